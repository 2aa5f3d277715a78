"""CPU of one callback: a warm and a forged one, against a typical webhook with Powertools.

Both run in turns in bare interpreters, against the same local AWS over TLS with kept connections.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from benchmarks.interpreter import ensure_built
from benchmarks.measured import handler_process, interleaved
from benchmarks.report import Row, main, show
from benchmarks.server import CALLBACK_KEY
from benchmarks.servers import servers
from imagetasks.tasks.signed_urls import callback_path
from local.processes import ROOT

TASK_ID = "x5syhv2d4ewo3t3kliialymxrs"
ROUNDS, EACH, MAX_RATIO, MAX_FORGED_US = 25, 20, 0.10, 15
EVENTS = 4000  # more than are sent, so that each is a new callback to the baseline, too


def callback_events(*, forged: bool = False) -> list[dict[str, Any]]:
    """Callbacks that differ in PoYo's id; forged ones have another task's signature."""
    sample = json.loads((ROOT / "events" / "webhook-finished.json").read_text())
    path = callback_path("k1", CALLBACK_KEY, "another-task" if forged else TASK_ID)
    mac = path.rpartition("/")[2]
    path = f"/callbacks/poyo/k1/{TASK_ID}/{mac}"
    sample |= {
        "rawPath": path,
        "pathParameters": {"kid": "k1", "task_id": TASK_ID, "mac": mac},
    }
    sample["requestContext"]["http"]["path"] = path
    body = sample["body"]
    found = []
    for n in range(1 if forged else EVENTS):
        event = copy.deepcopy(sample)
        event["body"] = body.replace("EVENTSSAMPLE0001", f"BENCHMARK{n:07}")
        found.append(event)
    return found


def measure() -> list[Row]:
    """The median of both kinds of callback."""
    ensure_built()
    typical = "benchmarks.baselines.powertools_webhook"
    with (
        servers() as local,
        handler_process("webhook", callback_events(), local, deployed="webhook") as ours,
        handler_process(typical, callback_events(), local) as theirs,
    ):
        for call in (ours, theirs):
            if {each["statusCode"] for each in call(5).results} != {200}:
                raise RuntimeError("a valid callback was refused")
        warm = interleaved({"ours": ours, "theirs": theirs}, rounds=ROUNDS, each=EACH)
    false = callback_events(forged=True)
    with (
        servers() as local,
        handler_process("webhook", false, local, deployed="webhook") as ours,
        handler_process(typical, false, local) as theirs,
    ):
        for call in (ours, theirs):
            if {each["statusCode"] for each in call(5).results} != {404}:
                raise RuntimeError("a forged callback was accepted")
        forged = interleaved({"ours": ours, "theirs": theirs}, rounds=ROUNDS, each=EACH * 10)
    return rows(warm, forged)


def rows(warm: dict[str, float], forged: dict[str, float]) -> list[Row]:
    """Rows 3 and 4."""
    ratio = warm["ours"] / warm["theirs"]
    forged_us = forged["ours"] * 1000
    return [
        Row(
            number=3,
            measure="warm callback, CPU",
            value=warm["ours"],
            unit="ms",
            baseline=f"typical Powertools webhook: {show(warm['theirs'])} ms",
            ratio=ratio,
            goal=f"ratio ≤ {MAX_RATIO:.2f}",
            met=ratio <= MAX_RATIO,
        ),
        Row(
            number=4,
            measure="forged callback, CPU",
            value=forged_us,
            unit="µs",
            baseline=f"typical Powertools webhook: {show(forged['theirs'] * 1000)} µs",
            ratio=forged["ours"] / forged["theirs"],
            goal=f"≤ {MAX_FORGED_US} µs",
            met=forged_us <= MAX_FORGED_US,
        ),
    ]


if __name__ == "__main__":
    main(measure, __doc__)
