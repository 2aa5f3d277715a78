"""Every delay and bound of a task's life in one place, so that tests pass their own."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Limits:
    """Delays and bounds; seconds unless the name says otherwise."""

    first_poll_s: int = 90  # the callback normally arrives first; typical tasks take 30 to 140 s
    submit_lease_s: int = 60  # no function lives for longer, so the sender is gone by then
    unconfirmed_after_s: int = 60 * 60  # no sign of the task after a submit with unknown outcome
    unavailable_after_s: int = 30 * 60  # since PoYo first refused the submit
    timed_out_after_s: int = 24 * 60 * 60  # slowest task seen: 7 minutes; outages last hours
    callback_extends_s: int = 48 * 60 * 60  # no callback keeps a task running longer than this
    failure_confirm_s: int = 5  # between the two polls that must both say `failed`
    poll_backoff_s: tuple[int, int] = (60, 30 * 60)
    submit_backoff_s: tuple[int, int] = (5, 5 * 60)
    window_s: int = 10  # PoYo accepts 20 submits in 10 s for one account
    window_submits: int = 20
    window_margin_s: float = 0.3  # turns are so much further apart, so that late ones catch up
    path_jitter_s: float = 0.2  # a request reaches PoYo so much faster or slower than another
    late_start_s: float = 0.1  # a submit that is sent later after its start needs another one
    slot_early_s: int = 1  # SQS delays in whole seconds, so a message comes early: its worker waits
    max_queue_s: int = 30 * 60  # orders whose submit would start later are refused
    slot_tolerance_s: int = 30  # a submit that starts later than this needs a new slot
    max_delay_s: int = 15 * 60  # SQS delays a message no longer
    swept_before_slot_s: int = 10 * 60  # the sweep triggers a task with a slot beyond that
    max_pause_s: int = 60  # of all submits, whatever PoYo's 429 says
    breaker_threshold: int = 3  # consecutive submits that PoYo did not take: 401, 402, 5xx, silence
    failure_counts_s: int = 10 * 60  # failures before a longer gap no longer count
    probe_backoff_s: tuple[int, int] = (10, 60)  # between probes while the circuit breaker is open
    probe_lease_s: int = 20  # longer than a submit can last, connecting included
    fast_retry_s: tuple[int, ...] = (5, 15, 45)  # first retries while a user waits
    sweep_fallback_s: int = 60  # the sweep acts this long after a delayed message was due
    claim_s: int = 5 * 60  # how long the sweep leaves a claimed task to the worker
    file_gone_after_s: int = 24 * 60 * 60  # PoYo keeps files 24 h (one of its pages says 3 days)
    poll_alarm_s: int = 6 * 60 * 60  # the polls of one task raise an alarm no more often
    file_lost_after_s: int = 72 * 60 * 60  # the host is unreachable but never said "gone"
    reopen_within_s: int = 7 * 24 * 60 * 60  # polling of a recoverable failure ends here
    callback_trust_s: int = 30 * 60  # PoYo's status may lag behind its callback: keep polling
    candidate_checks: int = 6  # PoYo may not know a new id yet: 404s before candidates are dropped
    notification_waits_s: tuple[int, ...] = (60, 120, 240, 480, 600)  # between attempts, as PoYo's
    erase_again_s: int = 15 * 60  # a worker lives a minute; clocks may differ by some minutes
    candidate_hold_s: int = 15  # the task that an ended id belongs to gets its callback meanwhile
    callback_gap_s: int = 30  # callbacks of one task cause a poll at most this often
    aws_call_s: float = 7  # a call to AWS that hangs ends by then
    submit_needs_s: float = 23  # to send a paid request and to record its outcome once
    store_needs_s: float = 21  # to store a downloaded image and to record that
    image_retention_days: int = 0  # after which the bucket deletes images; 0: never
    shard_rows: int = 400  # due tasks read from each shard in one sweep: more than its cap needs
    claims_per_run: int = 2000

    @classmethod
    def from_env(cls) -> Limits:
        """The defaults with FIRST_POLL_SECONDS, POYO_SUBMITS_PER_10S and IMAGE_RETENTION_DAYS as
        deployed."""
        return cls(
            first_poll_s=int(os.environ["FIRST_POLL_SECONDS"]),
            window_submits=int(os.environ["POYO_SUBMITS_PER_10S"]),
            image_retention_days=int(os.environ.get("IMAGE_RETENTION_DAYS", "0")),
        )
