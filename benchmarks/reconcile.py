"""CPU of one reconcile of the worker, from the SQS event to its answer: PoYo and AWS over TLS.

The first message for each task finds it running at PoYo (a read, PoYo's GET over a new connection, a
write); the second finds it finished, and copies its image of 2 MB from a file host into S3.
"""

from __future__ import annotations

import json
import statistics

from benchmarks.interpreter import ensure_built
from benchmarks.measured import Calls, handler_process
from benchmarks.report import Row, main
from benchmarks.servers import servers
from benchmarks.tasks import message_events, order_events, ordered_ids

TASKS, MAX_MS, MAX_WITH_IMAGE_MS = 50, 11, 24


def measure() -> list[Row]:
    """The median reconcile with and without an image; the first five warm the function up."""
    ensure_built()
    with servers(dynamodb=True) as local:
        local.image_url(2)
        with handler_process("api", order_events(TASKS), local, deployed="api") as order:
            events = message_events(ordered_ids(order(TASKS)))
        with handler_process("worker", events, local, deployed="worker") as call:
            running = _median_ms(call(TASKS))
            finished = _median_ms(call(TASKS))
        with handler_process("api", order_events(TASKS), local, deployed="api") as repeat:
            repeated = [json.loads(each["body"]) for each in repeat(TASKS).results]
    if {each["status"] for each in repeated} != {"finished"}:
        raise RuntimeError("not every task is finished")
    return [
        _row("reconcile of a running task, CPU over https", running, MAX_MS),
        _row("reconcile with an image of 2 MB, CPU over https", finished, MAX_WITH_IMAGE_MS),
    ]


def _median_ms(calls: Calls) -> float:
    failed = [each for each in calls.results if each["batchItemFailures"]]
    if failed:
        raise RuntimeError(f"{len(failed)} messages failed")
    return statistics.median(calls.cpu_ms[5:])


def _row(measure: str, value: float, limit: float) -> Row:
    goal, met = f"≤ {limit} ms", value <= limit
    return Row(number=6, measure=measure, value=value, unit="ms", goal=goal, met=met)


if __name__ == "__main__":
    main(measure, __doc__)
