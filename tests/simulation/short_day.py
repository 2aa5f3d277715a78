"""A day of six hours. What takes a day or longer is four times as short in the simulation, so that a run
does not poll hundreds of times for the same answer; everything shorter lasts as long as in production."""

from __future__ import annotations

from imagetasks.limits import Limits

DAY_S = 6 * 3600
DAY_MS = 1000 * DAY_S
LIMITS = Limits(
    timed_out_after_s=DAY_S,
    callback_extends_s=2 * DAY_S,
    poll_alarm_s=DAY_S // 4,
    file_gone_after_s=DAY_S,
    file_lost_after_s=3 * DAY_S,
    reopen_within_s=7 * DAY_S,
)
