"""The tables of docs/scale.md: which limit comes first, and what each rate needs.

`python -m benchmarks.scale` prints them from the template's defaults, the code's limits and the facts
below; `benchmarks.scale_check` checks the pace of submits.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "functions")]

from boto3.dynamodb.types import TypeSerializer  # noqa: E402

from imagetasks.aws.submit_account import Account  # noqa: E402
from imagetasks.limits import Limits  # noqa: E402
from imagetasks.poyo.circuit_breaker import CircuitBreaker  # noqa: E402
from imagetasks.poyo.rate_limit import SubmitQueue  # noqa: E402
from imagetasks.tasks.task import SHARDS  # noqa: E402
from tests.support.consumed_capacity import item_bytes  # noqa: E402
from tests.support.template import properties, template  # noqa: E402

RATES = (10, 100, 1_000, 10_000)  # images a minute
CHECKED, CHECKED_S = (10, 100, 1_000), 300
LIMITS = Limits()

# Facts that no code of ours holds.
REQUESTS = 4  # of a client for an image: the order, and three polls at `Retry-After`
WORKER_S = 1.5  # of a worker for an image: a poll, 2 MB from PoYo to the bucket
SUBMIT_S = 1.0  # of the API, or of a worker if the order waited, until PoYo has answered
LOST = 0.05  # of all callbacks, for whose tasks the sweep has to send a message
PARTITION_UNITS = 1_000  # write units a second that DynamoDB allows for one key
OWNER_TRANSACTIONS = 24  # a second on one item: "dozens" in docs/decisions.md, until conflicts show
ACCOUNT_EXECUTIONS = 1_000  # of Lambda at once in an account; a new one may have ten
AWS_USD = 0.0408  # of 1,000 images: row 12 of docs/performance.md
WRITES_OF_A_SUBMIT = 2  # to the account item, if it waits for its turn
DUE_UNITS = 5  # of an image in the index of due tasks: created, moved twice (out and in), ended
LIST_UNITS = 2  # of an image in one partition of its owner's list by status: in and out


@dataclass(frozen=True)
class Ceiling:
    """A limit: how many images a minute it allows with the defaults, and what raises it at which cost."""

    name: str
    images: float
    raised: str
    costs: str


def default(parameter: str) -> int:
    """A parameter's default in the template."""
    return int(template()["Parameters"][parameter]["Default"])


def callbacks_a_second() -> int:
    """How many callbacks API Gateway lets through."""
    routes = properties("HttpApi")["RouteSettings"]
    [rate] = [each["ThrottlingRateLimit"] for name, each in routes.items() if "callbacks" in name]
    return int(rate)


def submits_a_minute(per_window: float) -> float:
    return per_window * 60 / (LIMITS.window_s + LIMITS.window_margin_s)


def window_for(images: float) -> int:
    """The `PoyoSubmitsPer10s` that carries so many images a minute."""
    return math.ceil(images / submits_a_minute(1))


def account_bytes(per_window: int) -> int:
    """The size of the item that paces the submits, when its lists are full."""
    instants = tuple(1_795_867_200_000 + n for n in range(per_window))
    queue = SubmitQueue(starts=instants, sent=instants, passed=10**6, issued=10**6)
    account = Account(queue=queue, breaker=CircuitBreaker(), revision=10**6, sent_as_read=None)
    item = account.replaced(queue, account.breaker).item
    serialize = TypeSerializer().serialize
    return item_bytes({name: serialize(value) for name, value in item.items()})


def account_units(images: float) -> float:
    """Write units a second that the account item takes at so many images a minute that all wait."""
    units = math.ceil(account_bytes(window_for(images)) / 1024)
    return images / 60 * WRITES_OF_A_SUBMIT * units


def last(holds: Callable[[int], bool], step: int = 10) -> int:
    """The greatest number of images a minute at which `holds` is still true."""
    images = step
    while holds(images + step):
        images += step
    return images


def executions(images: float) -> int:
    """Lambda executions at once, of the API and the worker."""
    return math.ceil(images / 60 * (SUBMIT_S + WORKER_S))


def workers(images: float) -> int:
    """Workers at once, if every order waits: then the worker submits it, too, half a second early."""
    waits_s = LIMITS.slot_early_s / 2
    return math.ceil(images / 60 * (WORKER_S + SUBMIT_S + waits_s))


# What raises each limit, and what that costs.
RAISED = {
    "PoYo's limit, `PoyoSubmitsPer10s`": (
        "a higher limit by PoYo, then the parameter",
        "what PoYo asks",
    ),
    "`WorkerConcurrency`": (
        "the parameter, up to the account's executions",
        "nothing: Lambda bills the time that is used",
    ),
    "`RequestsPerSecond`": (
        "the parameter",
        "nothing by itself; a stolen key can order faster",
    ),
    "transactions on one owner's usage": (
        "several owners (`X-Owner`), or several keys",
        "nothing",
    ),
    "the sweep, if every callback is lost": (
        "`claims_per_run`, `shard_rows` and the function's timeout",
        "two requests and some milliseconds of CPU for each task",
    ),
    "the item that paces submits": (
        "several stacks, each with a PoYo account of its own",
        "a stack's fixed costs: alarms and secrets",
    ),
    "the greatest `PoyoSubmitsPer10s`": (
        "the parameter's `MaxValue`",
        "larger writes of the item that paces submits",
    ),
    "callbacks that API Gateway lets through": (
        "the route's throttle in the template",
        "nothing; forged callbacks cost more",
    ),
    "Lambda executions of an account": (
        "a quota of AWS, on request",
        "nothing",
    ),
    "one owner's index by status": (
        "several owners",
        "nothing",
    ),
    f"the index of due tasks, {SHARDS} partitions": (
        "`SHARDS`, with both numbers swept during the change",
        "a query a minute for each shard",
    ),
}


def ceilings() -> list[Ceiling]:
    """Every limit, the lowest first."""
    images = (
        submits_a_minute(default("PoyoSubmitsPer10s")),
        last(lambda images: workers(images) <= default("WorkerConcurrency")),
        default("RequestsPerSecond") * 60 / REQUESTS,
        OWNER_TRANSACTIONS * 60 / 2,
        LIMITS.claims_per_run,
        last(lambda images: account_units(images) <= PARTITION_UNITS),
        submits_a_minute(int(template()["Parameters"]["PoyoSubmitsPer10s"]["MaxValue"])),
        callbacks_a_second() * 60,
        last(lambda images: executions(images) <= ACCOUNT_EXECUTIONS),
        PARTITION_UNITS / LIST_UNITS * 60,
        PARTITION_UNITS * SHARDS / DUE_UNITS * 60,
    )
    found = zip(RAISED.items(), images, strict=True)
    ceilings = (Ceiling(name, number, *texts) for (name, texts), number in found)
    return sorted(ceilings, key=lambda each: each.images)


def significant(value: float) -> str:
    """Two significant digits, rounded down: none of these ceilings is known better."""
    size = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return f"{math.floor(value / size) * size:,}"


def ceiling_table() -> str:
    head = "| limit | images a minute | raised by | costs |\n|---|---|---|---|"
    rows = (
        f"| {each.name} | {significant(each.images)} | {each.raised} | {each.costs} |"
        for each in ceilings()
    )
    return "\n".join([head, *rows])


def needs(images: int) -> Sequence[str]:
    """One column of the second table."""
    units = account_units(images)
    return (
        f"{window_for(images):,}",
        f"{math.ceil(images / 60 * REQUESTS):,}",
        f"{workers(images):,}",
        f"{executions(images):,}",
        f"{math.ceil(images * LOST):,}",
        f"{units:,.0f}" + (" (too many)" if units > PARTITION_UNITS else ""),
        f"{images / 60 * DUE_UNITS / SHARDS:,.1f}",
        f"{images * 60 * 24 / 1000 * AWS_USD:,.2f}",
    )


def need_table() -> str:
    names = (
        "`PoyoSubmitsPer10s`",
        "`RequestsPerSecond`",
        "`WorkerConcurrency`",
        "Lambda executions at once",
        "due tasks in a sweep, one callback in twenty lost",
        "write units a second of the item that paces submits, if every order waits",
        "write units a second of one partition of the due index",
        "AWS, dollars a day",
    )
    head = ["| images a minute |" + "".join(f" {images:,} |" for images in RATES)]
    head.append("|---" * (len(RATES) + 1) + "|")
    columns = [needs(images) for images in RATES]
    rows = [f"| {name} | {' | '.join(row)} |" for name, *row in zip(names, *columns, strict=True)]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    print(ceiling_table(), need_table(), sep="\n\n")
