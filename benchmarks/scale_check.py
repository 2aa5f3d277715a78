"""The pace of submits at the rates of docs/scale.md: the real workflows on a clock that jumps, against a
PoYo that accepts exactly as many submits in ten seconds as the page says that the rate needs."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "functions")]

from benchmarks.scale import LIMITS, window_for  # noqa: E402
from imagetasks import telemetry  # noqa: E402
from tests.support.traffic import Traffic  # noqa: E402

CHECKED, CHECKED_S = (10, 100, 1_000), 300


@dataclass(frozen=True)
class Check:
    """What the simulated PoYo saw of one rate."""

    images: int
    sent: int
    refused: int
    longest_wait_s: float


def simulate(images: int) -> Check:
    """`CHECKED_S` seconds of orders at this rate, through the workflows, with `PoyoSubmitsPer10s` as the
    table says and a PoYo that accepts no more than that in ten seconds."""
    per_window = window_for(images)
    limits = replace(LIMITS, window_submits=per_window, first_poll_s=10**8)
    traffic = Traffic(limits=limits, accepted_in_10_s=per_window)
    orders = images * CHECKED_S // 60
    for n in range(orders):
        traffic.order_at(n * CHECKED_S / orders)
    traffic.run(CHECKED_S * 2)
    sent_at = {task_id: at for at, task_id in traffic.poyo.sent}
    waits = [sent_at[each.task_id] - each.created_at for each in traffic.orders]
    return Check(images, len(traffic.poyo.sent), traffic.poyo.refused, max(waits) / 1000)


def main() -> None:
    """Check each rate and print what was found."""
    telemetry.log.setLevel("CRITICAL")
    for images in CHECKED:
        with redirect_stdout(io.StringIO()):
            check = simulate(images)
        print(
            f"{check.images:,} a minute for {CHECKED_S} s: {check.sent:,} sent, "
            f"{check.refused} refused, the longest waited {check.longest_wait_s:.1f} s"
        )


if __name__ == "__main__":
    main()
