"""What one image costs at AWS: write units, the bill of a thousand, and what waiting for it adds.

`python -m benchmarks.cost` counts the requests of a whole life (`image_life`) and of a typical backend's
(`baselines/typical_backend`) in the same run, and prices them by `aws_prices`. Requests, units and log bytes are
counted; how long a function waits for others is not, and is stated here as data.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import image_life
from benchmarks.aws_prices import (
    API_REQUEST,
    GB_SECOND,
    LAMBDA_REQUEST,
    READ_UNIT,
    THOUSAND,
    WRITE_UNIT,
    Bill,
    Invocation,
)
from benchmarks.baselines import typical_backend
from benchmarks.image_life import ORDER, Life
from benchmarks.metered_aws import Usage
from benchmarks.report import Row, main, show
from imagetasks.api.pagination import MAX_WAIT_S
from imagetasks.api.routes.tasks import POLL_INTERVAL_S
from imagetasks.workflows.owner_tasks import REREAD_S

LIMITS = {"STACK_DAILY_CREDITS": "100000", "OWNER_DAILY_CREDITS": "1000"}
API_MB, WEBHOOK_MB, WORKER_MB = 512, 256, 512  # as in template.yaml
# Milliseconds that a function waits for others: PoYo takes an order in 500 and says a status in 200, its
# host sends 2 MB in 250, S3 stores them in 100, and AWS answers any other request in 6.
POYO_SUBMIT_MS, POYO_STATUS_MS, DOWNLOAD_MS, STORE_MS, AWS_MS = 500, 200, 250, 100, 6
# CPU of a whole core (rows 5, 6, 3 of docs/performance.md), of which a function gets its memory's share.
CORE_MB = 1769
CPU_MS: Mapping[str, float] = {"order": 11, "read": 3, "callback": 2, "worker": 24}
# What Lambda and API Gateway log of each invocation and request, in bytes.
PLATFORM_LOG, ACCESS_LOG = 330, 230
IMAGE_S = 60  # of row 13: until the image is there


def billed(cpu_ms: float, waits_ms: float, memory_mb: int) -> Invocation:
    """The invocation of a function with this much memory."""
    return Invocation(ms=cpu_ms * CORE_MB / memory_mb + waits_ms, memory_mb=memory_mb)


def invocations(calls: Mapping[str, int]) -> tuple[Invocation, ...]:
    """Those of one image, from how many calls to AWS each step makes."""
    waits = {step: AWS_MS * n for step, n in calls.items()}
    read = billed(CPU_MS["read"], waits["read"], API_MB)
    copied_ms = POYO_STATUS_MS + DOWNLOAD_MS + STORE_MS
    return (
        billed(CPU_MS["order"], POYO_SUBMIT_MS + waits["order"], API_MB),
        *[read] * 3,
        billed(CPU_MS["callback"], AWS_MS, WEBHOOK_MB),
        billed(CPU_MS["worker"], copied_ms + waits["worker"], WORKER_MB),
    )


def bill(life: Life) -> Bill:
    """The bill of one image of ours. Each message costs a send, a receive and a delete."""
    calls = {
        step: used.calls.total() for step, used in zip(image_life.STEPS, life.steps, strict=True)
    }
    used, all_invocations = life.total, invocations(calls)
    return Bill(
        invocations=all_invocations,
        api_requests=len(all_invocations) - 1,
        write_units=used.written,
        read_units=used.read,
        sqs_requests=3 * life.messages,
        s3_puts=used.calls["s3.PutObject"],
        s3_gets=used.calls["s3.HeadObject"],
        log_bytes=life.log_bytes + len(all_invocations) * (PLATFORM_LOG + ACCESS_LOG),
    )


def typical_bill(used: Usage, log_bytes: int, *, architecture: str, api: str) -> Bill:
    """The bill of the typical backend: its webhook does the work of our worker. It has our waits, CPU
    and log lines."""
    copied_ms = POYO_STATUS_MS + DOWNLOAD_MS + STORE_MS
    read = billed(CPU_MS["read"], AWS_MS, API_MB)
    all_invocations = (
        billed(CPU_MS["order"], POYO_SUBMIT_MS + 4 * AWS_MS, API_MB),
        *[read] * 3,
        billed(CPU_MS["worker"], copied_ms + 4 * AWS_MS, WORKER_MB),
    )
    return Bill(
        invocations=all_invocations,
        api_requests=len(all_invocations),
        write_units=used.written,
        read_units=used.read,
        sqs_requests=0,
        s3_puts=used.calls["s3.PutObject"],
        s3_gets=0,
        log_bytes=log_bytes + len(all_invocations) * (PLATFORM_LOG + ACCESS_LOG),
        architecture=architecture,
        api=api,
    )


def polling_usd() -> float:
    """USD for a thousand clients that await an image by one read after each `Retry-After`."""
    read = billed(CPU_MS["read"], AWS_MS, API_MB)
    each = API_REQUEST["HTTP"] + LAMBDA_REQUEST + READ_UNIT + read.gb_s * GB_SECOND["arm64"]
    return IMAGE_S / int(POLL_INTERVAL_S) * each * THOUSAND


def waiting_usd() -> float:
    """USD for a thousand clients that await an image by `?wait=`: the item is read again and again, and
    a slot is taken and freed by a write each."""
    held = Invocation(ms=MAX_WAIT_S * 1000, memory_mb=API_MB)
    dynamodb = (MAX_WAIT_S / REREAD_S + 1) * READ_UNIT + 2 * WRITE_UNIT
    each = API_REQUEST["HTTP"] + LAMBDA_REQUEST + dynamodb + held.gb_s * GB_SECOND["arm64"]
    return IMAGE_S / MAX_WAIT_S * each * THOUSAND


def write_rows(bare: Life, plain: Life, limited: Life) -> list[Row]:
    """Row 11: of an image without any booking, and what its owner's usage and two limits add."""
    own = bare.total.written
    usage, limits = plain.total.written - own, limited.total.written - plain.total.written
    name = "write units of an image, 200-character prompt"
    return [
        Row(
            number=11,
            measure=f"{name}, without usage and budgets",
            value=own,
            unit="units",
            goal="<= 13",
            met=own <= 13,
        ),
        Row(number=11, measure="… added by its owner's usage", value=usage, unit="units"),
        Row(number=11, measure="… added by two limits (stack, owner)", value=limits, unit="units"),
    ]


def bill_rows(plain: Life) -> list[Row]:
    """Row 12: the bill of a thousand images beside those of a typical backend."""
    response = {"task_id": "a" * 26, "status": "running", "input": ORDER["input"]}
    typical = typical_backend.counted_life(ORDER, response)
    ours = bill(plain).usd()
    same = typical_bill(typical, plain.log_bytes, architecture="arm64", api="HTTP").usd()
    default = typical_bill(typical, plain.log_bytes, architecture="x86_64", api="REST").usd()
    return [
        Row(
            number=12,
            measure="AWS for 1,000 images, 3 reads each",
            value=ours,
            unit="USD",
            baseline=f"typical, as sam init makes it: {show(default)} USD",
            ratio=ours / default,
            goal="<= 0.034 USD",
            met=ours <= 0.034,
        ),
        Row(
            number=12,
            measure="… against a typical one on arm64 and HTTP API",
            value=ours,
            unit="USD",
            baseline=f"typical: {show(same)} USD",
            ratio=ours / same,
        ),
    ]


def waiting_row() -> Row:
    """Row 13: what it costs to await an image."""
    polling, waiting = polling_usd(), waiting_usd()
    return Row(
        number=13,
        measure=f"1,000 clients await an image of {IMAGE_S} s by polling at Retry-After",
        value=polling,
        unit="USD",
        baseline=f"?wait={MAX_WAIT_S}: {show(waiting)} USD",
        ratio=polling / waiting,
        goal="polling is the default",
        met=polling < waiting,
    )


def measure() -> list[Row]:
    """Rows 11, 12 and 13."""
    with image_life.without_credits():
        bare = image_life.counted_life()
    plain, limited = image_life.counted_life(), image_life.counted_life(**LIMITS)
    return [*write_rows(bare, plain, limited), *bill_rows(plain), waiting_row()]


if __name__ == "__main__":
    main(measure, __doc__)
