"""A circuit breaker for submits: after several failures in a row, one probe at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagetasks.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """Consecutive submits that failed on PoYo's side, and when the last one did (milliseconds)."""

    failures: int = 0
    failed_at: int = 0

    def is_open(self, now: int, limits: Limits) -> bool:
        """Whether only probes may be sent."""
        return self._counted(now, limits) >= limits.breaker_threshold

    def after_failure(self, now: int, limits: Limits) -> CircuitBreaker:
        """The breaker after one more failure."""
        return CircuitBreaker(failures=self._counted(now, limits) + 1, failed_at=now)

    def probe_at(self, limits: Limits) -> int:
        """When the next probe may be sent: the delay doubles with each failed probe."""
        first_s, max_s = limits.probe_backoff_s
        failed_probes = min(self.failures - limits.breaker_threshold, 20)
        delay_s: int = min(max_s, first_s * 2**failed_probes)
        return self.failed_at + delay_s * 1000

    def _counted(self, now: int, limits: Limits) -> int:
        """Failures that still count: the last one is neither long ago nor far in the future."""
        recent = abs(now - self.failed_at) < limits.failure_counts_s * 1000
        return self.failures if recent else 0
