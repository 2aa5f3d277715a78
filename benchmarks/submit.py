"""CPU of one order, from the event of `POST /v1/tasks` to the answer: PoYo and AWS over TLS.

One order is a read, the writes of its start and of its task, PoYo's POST over a new connection, and the
two writes of its outcome. DynamoDB is the emulator that `make run` uses, behind the local TLS server.
"""

from __future__ import annotations

import statistics

from benchmarks.interpreter import ensure_built
from benchmarks.measured import handler_process
from benchmarks.report import Row, main
from benchmarks.servers import servers
from benchmarks.tasks import order_events, ordered_ids

WARMING, ROUNDS, ORDERS, MAX_MS = 5, 3, 20, 11  # orders of a round: as many as PoYo takes in 10 s


def measure() -> list[Row]:
    """The median order of a warm function."""
    ensure_built()
    with (
        servers(dynamodb=True) as local,
        handler_process(
            "api", order_events(WARMING + ROUNDS * ORDERS), local, deployed="api"
        ) as call,
    ):
        ordered_ids(call(WARMING))
        cpu_ms: list[float] = []
        for _ in range(ROUNDS):
            local.forget_submits()
            orders = call(ORDERS)
            ordered_ids(orders)
            cpu_ms += orders.cpu_ms
    median = statistics.median(cpu_ms)
    return [
        Row(
            number=5,
            measure="submit of an order, CPU over https",
            value=median,
            unit="ms",
            goal=f"≤ {MAX_MS} ms",
            met=median <= MAX_MS,
        )
    ]


if __name__ == "__main__":
    main(measure, __doc__)
