"""PoYo's rate limit: when each submit may be sent, first come, first served.

PoYo accepts `window_submits` submits in any `window_s` seconds. The submits of a stack are numbered,
and each has its turn one window after the one that is `window_submits` numbers before it. When its turn
comes, its start is recorded before it is sent: whatever came late, the last `window_submits` starts
say when one more may follow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagetasks.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The number of a submit (None: it could not be counted) and when to ask for its start again. If
    `not_before` is None, the start is recorded: the submit is sent at `start`, now or in a moment.

    `after_failures`: PoYo failed lately, so a success must be recorded. `breaker_open`: the submit
    also waits for PoYo to recover.
    """

    number: int | None
    not_before: int | None = None
    start: int = 0
    after_failures: bool = False
    breaker_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitQueue:
    """The numbers given out so far; instants are milliseconds since 1970.

    `starts` are the latest turns of the numbers up to `passed`, which no longer wait; those up to
    `issued` have their place. `sent` are the last starts that were recorded, in the order of time.
    Nobody submits before `paused_until`.
    """

    starts: tuple[int, ...] = ()
    sent: tuple[int, ...] = ()
    passed: int = 0
    issued: int = 0
    paused_until: int = 0

    def start_of(self, number: int, limits: Limits) -> int:
        """When the turn of `number`, which is greater than `passed`, comes."""
        rounds, place = divmod(number - self.passed - 1, limits.window_submits)
        return self._latest(limits)[place] + (rounds + 1) * _window_ms(limits)

    def room_at(self, limits: Limits) -> int:
        """When PoYo's window has room for one more start beside those that were recorded."""
        count, gap_ms = (
            limits.window_submits,
            round((limits.window_s + limits.path_jitter_s) * 1000),
        )
        return self.sent[-count] + gap_ms if len(self.sent) >= count else 0

    def recorded(self, start: int, limits: Limits) -> SubmitQueue:
        """The queue after a start was recorded."""
        return replace(self, sent=tuple(sorted((*self.sent, start))[-limits.window_submits :]))

    def without(self, start: int) -> SubmitQueue:
        """The queue without a recorded start at which nothing was sent."""
        sent = list(self.sent)
        if start in sent:
            sent.remove(start)
        return replace(self, sent=tuple(sent))

    def started(self, now: int, limits: Limits) -> SubmitQueue:
        """The queue after the next number started at `now`; no earlier number waits any more."""
        earlier = range(max(self.passed, self.issued - limits.window_submits) + 1, self.issued + 1)
        starts = (*self.starts, *(self.start_of(each, limits) for each in earlier), now)
        recent = [each for each in starts if each > now - _window_ms(limits)]
        number = self.issued + 1
        latest = tuple(recent[-limits.window_submits :])
        return replace(self, starts=latest, passed=number, issued=number)

    def paused(
        self, until: int, now: int, limits: Limits, *, sent: int | None = None
    ) -> SubmitQueue:
        """The queue moved on so that nobody starts before `until`; the order stays. `sent` was sent
        just now. Another number that started less than one window ago may not have been: it waits."""
        window_ms, count = _window_ms(limits), limits.window_submits
        old = sum(max(0, (now - each) // window_ms - 1) for each in self._latest(limits))
        passed = min(self.issued, self.passed + old)
        starts = tuple(until - window_ms + window_ms * each // count for each in range(count))
        passed += sent == passed + 1
        return replace(self, starts=starts, passed=passed, paused_until=until)

    def resumed(self, now: int) -> SubmitQueue:
        """The queue after PoYo recovered before the end of a pause: the next order may go at once,
        unless others wait before it."""
        if self.passed < self.issued:
            return self
        return replace(self, starts=(now,), paused_until=0)

    def bounded(self, now: int, limits: Limits) -> SubmitQueue:
        """The queue without what only a clock that is wrong can have written: a submit that starts more
        than one window after the next ones, or a pause that is longer than the longest."""
        latest = now + limits.slot_early_s * 1000 + _window_ms(limits)
        if any(each > latest for each in self.sent):
            sent = tuple(each for each in self.sent if each <= latest)
            return replace(self, sent=sent).bounded(now, limits)
        if self.paused_until > now + limits.max_pause_s * 1000 + _window_ms(limits):
            return SubmitQueue(sent=self.sent, passed=self.issued, issued=self.issued)
        if max(self.starts, default=0) > max(latest, self.paused_until):
            return replace(self, starts=(), passed=self.issued)
        return self

    def _latest(self, limits: Limits) -> tuple[int, ...]:
        """The last `window_submits` starts; a missing one was so long ago that it does not matter."""
        count = limits.window_submits
        return (*[-_window_ms(limits)] * count, *self.starts)[-count:]


def _window_ms(limits: Limits) -> int:
    """PoYo's window, and what a submit that comes late can make up for in its next round."""
    return round((limits.window_s + limits.window_margin_s) * 1000)
