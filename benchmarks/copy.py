"""CPU of copying an image from a TLS server into S3 over TLS, for each megabyte (10⁶ bytes).

Four processes take turns on the same images: our clients, `requests.get` with `put_object`, raw TLS
sockets that read and send the bytes, which is the least that a copy can cost, and one that only reads.
"""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.interpreter import ensure_built
from benchmarks.measured import Call, handler_process, interleaved
from benchmarks.report import Row, main, show
from benchmarks.servers import Servers, servers

ROUNDS = {2: 15, 8: 10, 25: 6}  # by megabytes
MAX_RATIO_TO_RAW = {2: 2.5, 8: 2.0, 25: 2.0}
MAX_RATIO_TO_NAIVE = 0.6
RAW = "benchmarks.baselines.raw_tls"
# Each side: its module, the function whose bundle it imports from, and whether a raw socket sends, too.
SIDES = {
    "ours": ("benchmarks.copying", "worker", True),
    "naive": ("benchmarks.baselines.naive_copy", "", True),
    "raw": (RAW, "", True),
    "read": (RAW, "", False),
}


def measure() -> list[Row]:
    """Two rows for each size: against the raw sockets and against the naive copy."""
    ensure_built()
    with servers() as local:
        return [row for megabytes in ROUNDS for row in _rows(megabytes, _cpu_ms(megabytes, local))]


def _cpu_ms(megabytes: int, local: Servers) -> dict[str, float]:
    """The median CPU time of each side for one megabyte."""
    event = {"url": local.image_url(megabytes), "task_id": "x5syhv2d4ewo3t3kliialymxrs"}
    calls: dict[str, Call] = {}
    with ExitStack() as stack:
        for name, (module, deployed, send) in SIDES.items():
            events = [{**event, "send": send}]
            process = handler_process(module, events, local, deployed=deployed)
            calls[name] = stack.enter_context(process)
        if len({call(1).results[0]["bytes"] for call in calls.values()}) > 1:
            raise RuntimeError("not every side read the whole image")
        medians = interleaved(calls, rounds=ROUNDS[megabytes], each=2)
    return {name: median / megabytes for name, median in medians.items()}


def _rows(megabytes: int, cpu_ms: dict[str, float]) -> list[Row]:
    raw = f"raw TLS sockets: {show(cpu_ms['raw'])} ms (reading alone {show(cpu_ms['read'])})"
    naive = f"requests and put_object: {show(cpu_ms['naive'])} ms"
    return [
        Row(
            number=7,
            measure=f"copy of an image of {megabytes} MB, CPU for each MB",
            value=cpu_ms["ours"],
            unit="ms",
            baseline=baseline,
            ratio=cpu_ms["ours"] / cpu_ms[name],
            goal=f"ratio ≤ {limit}",
            met=cpu_ms["ours"] / cpu_ms[name] <= limit,
        )
        for name, baseline, limit in (
            ("raw", raw, MAX_RATIO_TO_RAW[megabytes]),
            ("naive", naive, MAX_RATIO_TO_NAIVE),
        )
    ]


if __name__ == "__main__":
    main(measure, __doc__)
