"""The invariants about images: what PoYo created and charged is in our bucket when the task ends."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal

from imagetasks.tasks.conditional_write import Item
from tests.simulation import upstream_responses
from tests.simulation.bucket import SimulatedBucket
from tests.simulation.process import require
from tests.simulation.scheduler import HOUR_MS, Simulator
from tests.simulation.short_day import DAY_MS, LIMITS
from tests.simulation.transition_invariants import RECOVERABLE, brief
from tests.simulation.upstream_ledger import FAILURES, FILE_LIFE_MS, Ledger, PoyoTask

RECOVERY_MS = 2 * HOUR_MS  # the longest backoff (30 min) twice, a claim, the clock skew, a margin
CALLBACK_MS = 10 * 60 * 1000  # by then a worker has heard an accepted callback
TRUST_MS = (
    20 * 60 * 1000
)  # a callback counts for half an hour; two clocks are wrong by five minutes each
NOT_FOUND_LIMIT = 6  # after so many 404s a candidate PoYo id may be dropped


class ResultInvariants:
    """Compares our items and our bucket with PoYo's ledger."""

    def __init__(self, simulator: Simulator, ledger: Ledger, bucket: SimulatedBucket) -> None:
        self.settled: dict[str, set[Decimal]] = {}  # by task id, what operators said of it
        self.without_image: set[str] = set()  # URLs that once had a page or half an image
        self._simulator = simulator
        self._ledger = ledger
        self._bucket = bucket

    def check_stored_images(self, item: Item) -> None:
        """Check that every file of a finished task is in the bucket, with the recorded SHA-256."""
        deleted = "deleted_at" in item
        require(bool(item["files"]) or deleted, "a finished task has files", brief(item))
        if deleted:
            return
        for file in item["files"]:
            stored = self._bucket.objects.get(file["key"])
            digest = hashlib.sha256(stored.body).hexdigest() if stored else ""
            right = digest == file["sha256"]
            require(right, "the images of a finished task are in the bucket", brief(item))

    def check_paid_image(self, task: PoyoTask, item: Item) -> None:
        """Check that a result which PoYo kept for long enough is finished here with its bytes."""
        if not self._is_recoverable(task, item):
            return
        self._simulator.counts["event", "image_recoverable"] += 1
        finished = item["state"] == "finished"
        require(finished, f"a paid image is not lost ({task.poyo_id})", brief(item))
        settled = {each for each in self.settled.get(task.task_id, ()) if each}
        charged = item["charged_credits"] in task.reported_credits | settled
        reported = f"charged credits are what PoYo reported ({task.reported_credits})"
        require(charged, reported, brief(item))
        if "deleted_at" in item:
            self._simulator.counts["event", "deleted_task_charged"] += 1
            return
        bodies = [self._bucket.objects[file["key"]].body for file in item["files"]]
        stored = [url for url in task.urls if _is_stored(url, bodies)]
        same = len(stored) == len(bodies) and self._is_complete(task, item, stored)
        require(same, "the stored images are those that PoYo created", brief(item))

    def _is_complete(self, task: PoyoTask, item: Item, stored: Sequence[str]) -> bool:
        """Whether every image of the task is stored. Of several, one is left out whose place had a page
        or half an image whenever it was asked for, the first time and after each quick retry, or one
        that did not come for as long as PoYo may still have it."""
        left_out = set(task.urls) - set(stored)
        if not left_out:
            return True
        retried = item.get("copy_attempts", 0) >= len(LIMITS.fast_retry_s)
        waited_ms = item["finished_at"] - item.get("result_seen_at", item["finished_at"])
        lost = waited_ms >= LIMITS.file_gone_after_s * 1000
        return bool(stored) and retried and (lost or left_out <= self.without_image)

    def _is_recoverable(self, task: PoyoTask, item: Item) -> bool:
        """Whether a correct product must have this image."""
        if task.result in FAILURES or task.ends_at is None:
            return False  # there is no image
        confirmed = item.get("poyo_id") == task.poyo_id
        if task.duplicate_id or (task.named_wrongly and not confirmed):
            return False  # PoYo, or a forged callback, gave one id to two tasks: not decidable
        if self._is_excused(task, item):
            return False
        failed = item["state"] == "failed" and item["reason"] in RECOVERABLE
        if "deleted_at" in item and failed:
            return False  # a deleted task is not reopened after a recoverable failure
        if not (confirmed or task.callback_accepted_at or _id_was_enqueued(task)):
            return False  # the response was lost and no callback named the id: it is unknown to us
        if failed and confirmed and _was_denied_late(task):
            return False  # PoYo still denied the result when its callback no longer counted
        if task.false_failures > 1:
            return False  # PoYo said twice that the task has failed
        if not confirmed and task.not_found_count >= NOT_FOUND_LIMIT:
            return False  # PoYo denied its own id several times
        return self._had_time(task, item, confirmed=confirmed)

    def _is_excused(self, task: PoyoTask, item: Item) -> bool:
        """Whether PoYo denied that it created the task, and nothing told us before it was too late:
        another submit of the order is the one whose image counts (`Invariants.check_submit` checks that
        it was rightly sent), or the task had ended."""
        if item.get("poyo_id") == task.poyo_id:
            return False
        others = [each for each in self._ledger.tasks if each.task_id == task.task_id]
        denied = any(each.creation_denied for each in others)
        if denied and any(each.poyo_id == item.get("poyo_id") for each in others):
            return True
        ended = item["state"] == "failed" and item["reason"] not in RECOVERABLE
        told = task.callback_accepted_at is not None and (
            task.callback_accepted_at + CALLBACK_MS < int(item.get("finished_at", 0))
        )
        return task.creation_denied and ended and not told

    def _had_time(self, task: PoyoTask, item: Item, *, confirmed: bool) -> bool:
        """Whether the file lived for long enough after the last fault, and we still polled."""
        assert task.ends_at is not None
        begin = max(
            self._simulator.fault_free_since or 0, task.ends_at, task.callback_accepted_at or 0
        )
        if begin + RECOVERY_MS > task.ends_at + FILE_LIFE_MS:
            return False  # the file expired before the faults were over
        late = confirmed and task.ends_at - int(item["confirmed_at"]) > DAY_MS - HOUR_MS
        # Polling stops a day after the confirmation: only a callback can reopen the task then.
        return not late or task.callback_accepted_at is not None


def _is_stored(url: str, bodies: Sequence[bytes]) -> bool:
    """Whether the image at `url`, or its re-encoded copy, is one of `bodies`."""
    return bool(
        {upstream_responses.png(url), upstream_responses.png(f"{url} re-encoded")} & {*bodies}
    )


def _was_denied_late(task: PoyoTask) -> bool:
    """Whether PoYo's status lagged behind its callback for longer than a callback is trusted."""
    called_at, denied_at = task.callback_accepted_at, task.denied_at
    return called_at is not None and denied_at is not None and denied_at - called_at > TRUST_MS


def _id_was_enqueued(task: PoyoTask) -> bool:
    """Whether the process that received the submit response could put the id into a message."""
    process = task.submitter
    return process is not None and process.completed and "queue.send" not in process.failures
