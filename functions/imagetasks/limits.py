"""Every patience and bound of a task's life in one place, so that a test can pass its own."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long to wait for what; all in seconds unless the name says otherwise."""

    first_poll_s: int = 90  # the callback normally wins; typical tasks take 30 to 140 s
    submit_lease_s: int = 60  # the api is killed at 25 s, so nobody is sending any more
    unconfirmed_after_s: int = 60 * 60  # no sign of life after an ambiguous submit
    unavailable_after_s: int = 30 * 60  # could not submit at all
    timed_out_after_s: int = 24 * 60 * 60  # worst task seen upstream: 7 minutes; outages: hours
    poll_backoff_s: tuple[int, int] = (60, 30 * 60)
    submit_backoff_s: tuple[int, int] = (5, 5 * 60)
    window_s: int = 10  # PoYo takes 20 submits in 10 s an account
    window_submits: int = 20
    breaker_threshold: int = (
        3  # submits in a row that PoYo answered with 401, 402, 5xx or not at all
    )
    fast_retry_s: tuple[int, ...] = (5, 15, 45)  # a user is waiting: first tries after a hiccup
    sweep_fallback_s: int = 60  # the sweep stands this far behind a delayed bell
    claim_s: int = 5 * 60  # how long a claimed task is left to the worker
    file_gone_after_s: int = 24 * 60 * 60  # PoYo keeps files 24 h (one page says 3 days)
    file_lost_after_s: int = 72 * 60 * 60  # unreachable, but nobody said it is gone
    reopen_within_s: int = 7 * 24 * 60 * 60  # retries on a softly failed task end here
    callback_trust_s: int = 30 * 60  # PoYo's status may lag behind its callback: no giving up
    empty_results: int = 5  # `finished` without files, before it counts as a bad result
    bad_results: int = 8  # not an image, before it counts as a bad result: about an hour
    candidate_checks: int = 6  # PoYo may not know a brand-new id yet: 404s before a hint is dropped
    notification_waits_s: tuple[int, ...] = (
        60,
        120,
        240,
        480,
        600,
    )  # between tries, as PoYo does it
    erase_again_s: int = 15 * 60  # a worker lives a minute; clocks may be some minutes apart
    shard_rows: int = 200
    claims_per_run: int = 2000

    @classmethod
    def from_env(cls) -> Limits:
        """The defaults, with what a deployment chooses: FIRST_POLL_SECONDS, POYO_SUBMITS_PER_10S."""
        return cls(
            first_poll_s=int(os.environ["FIRST_POLL_SECONDS"]),
            window_submits=int(os.environ["POYO_SUBMITS_PER_10S"]),
        )
