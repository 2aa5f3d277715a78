"""Row 14: 200 orders within a second against PoYo's limit of 20 submits in any 10 seconds.

The workflows and PoYo's sliding window are the real ones (the window is the simulated PoYo's); the time
is a timeline, so that a busy machine changes nothing. Calls of the table take up to 20 ms, the queue
delays in whole seconds and delivers up to 0.3 s late to ten workers, whose first message takes a second
more, PoYo is up to 0.15 s away and answers after half a second. The baseline sends every order at once,
and again after the wait that PoYo names. Both are the worst of several random seeds.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "functions")]

from benchmarks.paced_backend import Backend  # noqa: E402
from benchmarks.report import Row, main  # noqa: E402
from benchmarks.timeline import Timeline  # noqa: E402
from imagetasks import telemetry  # noqa: E402
from imagetasks.poyo.transport import HttpResponse  # noqa: E402
from local.poyo_simulator.account import Account  # noqa: E402
from local.poyo_simulator.responses import PoyoError  # noqa: E402
from local.poyo_simulator.settings import Settings  # noqa: E402

ORDERS, WITHIN_S = 200, 1.0
SETTINGS = Settings()
IDEAL_S = (
    (ORDERS - 1) // SETTINGS.rate * SETTINGS.rate_seconds
)  # first submit to last, at the limit
LONGEST_S = 900
PATH_S, ANSWER_S = (0.02, 0.15), 0.5
SEEDS = range(10)


class Poyo:
    """PoYo's rate limit at a distance, and what it answered: when it accepted which task, and how many
    submits it refused."""

    def __init__(self, timeline: Timeline) -> None:
        self.accepted: list[tuple[float, str]] = []
        self.refused = 0
        self._timeline = timeline
        self._account = Account(cast(Any, self))

    def now(self) -> float:
        """The account's clock."""
        return self._timeline.now_s

    def send(
        self, _method: str, _url: str, *, headers: Mapping[str, str], **_: Any
    ) -> HttpResponse:
        """Replaces `transport.send`."""
        self._timeline.sleep(self._timeline.rng.uniform(*PATH_S))
        try:
            self._account.count_submit(SETTINGS)
        except PoyoError as error:
            self.refused += 1
            response = HttpResponse(429, json.dumps({"error": {"message": str(error)}}).encode())
        else:
            self.accepted.append((self.now(), headers["Idempotency-Key"]))
            data = {"task_id": f"BENCHMARK{len(self.accepted):07}", "status": "not_started"}
            response = HttpResponse(200, json.dumps({"code": 200, "data": data}).encode())
        self._timeline.sleep(ANSWER_S)
        return response

    def used(self) -> float:
        """The part of the limit that was used between the first submit and the last."""
        instants = [at for at, _ in self.accepted]
        return IDEAL_S / max(IDEAL_S, max(instants) - min(instants))


def ours(timeline: Timeline, poyo: Poyo) -> Callable[[int], None]:
    """Place an order with our functions."""
    return Backend(timeline, cast(Any, poyo.send)).order


def naive(timeline: Timeline, poyo: Poyo) -> Callable[[int], None]:
    """Send an order until PoYo accepts it, each time after the wait that its refusal names."""

    def place(n: int) -> None:
        headers = {"Idempotency-Key": f"{n}"}
        while (answer := poyo.send("POST", "", headers=headers)).status != 200:
            words = json.loads(answer.body)["error"]["message"].split()
            timeline.sleep(int(words[-2]) + timeline.rng.uniform(0, 1))

    return place


def burst(sender: Callable[[Timeline, Poyo], Callable[[int], None]], seed: int) -> Poyo:
    """What PoYo saw of all orders, placed within the first second."""
    timeline = Timeline(seed)
    poyo = Poyo(timeline)
    place = sender(timeline, poyo)
    for n in range(ORDERS):
        timeline.start(lambda n=n: place(n), after_s=n * WITHIN_S / ORDERS)  # type: ignore[misc]
    timeline.run(until_s=LONGEST_S)
    if len({task_id for _, task_id in poyo.accepted}) != ORDERS:
        sys.exit("not every order was accepted")
    return poyo


def measure() -> list[Row]:
    """Both senders with each seed."""
    telemetry.log.setLevel("CRITICAL")
    with redirect_stdout(io.StringIO()):
        found = [burst(ours, seed) for seed in SEEDS]
        baseline = [burst(naive, seed) for seed in SEEDS]
    used, others = (min(each.used() for each in runs) for runs in (found, baseline))
    refused, refusals = (max(each.refused for each in runs) for runs in (found, baseline))
    twice = max(len(each.accepted) for each in found) - ORDERS
    named = "again after the named wait"
    shared: dict[str, Any] = {"number": 14}
    return [
        Row(
            measure=f"burst of {ORDERS} orders, part of PoYo's limit used",
            value=used * 100,
            unit="%",
            baseline=f"{named}: {others * 100:.0f} %",
            ratio=used / others,
            goal="≥ 95 %",
            met=used >= 0.95,
            **shared,
        ),
        Row(
            measure=f"burst of {ORDERS} orders, refusals by PoYo (429)",
            value=refused,
            unit="refusals",
            baseline=f"{named}: {refusals}",
            goal="0",
            met=refused == 0,
            **shared,
        ),
        Row(
            measure=f"burst of {ORDERS} orders, submitted twice",
            value=twice,
            unit="tasks",
            goal="0",
            met=twice == 0,
            **shared,
        ),
    ]


if __name__ == "__main__":
    main(measure, __doc__)
