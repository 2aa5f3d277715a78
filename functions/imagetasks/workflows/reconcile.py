"""Looking: a bell rang for a task, so ask PoYo for the truth, keep the image, settle.

The only place where an accepted task ends. A bell carries no news, so doubled, forged and late
ones cost one look. Trouble upstream is written down as a later `due_at`, never raised.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from imagetasks import telemetry
from imagetasks.errors import (
    DownloadFailed,
    DownloadForbidden,
    NotAnImage,
    PoyoIdConflict,
    PoyoTaskNotFound,
    PoyoUnavailable,
    TaskNotFound,
)
from imagetasks.tasks import transitions
from imagetasks.tasks.failure_reasons import is_recoverable
from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import State, StoredImage, Task

if TYPE_CHECKING:
    from imagetasks.aws.image_bucket import ImageBucket
    from imagetasks.aws.task_queue import TaskQueue
    from imagetasks.aws.task_repository import TaskRepository
    from imagetasks.clock import Clock
    from imagetasks.outbound.download import ImageDownloader
    from imagetasks.poyo.client import PoyoClient, TaskStatus
    from imagetasks.workflows.notify_caller import CallerNotifier
    from imagetasks.workflows.submit import Submitter
    from imagetasks.workflows.task_updater import TaskUpdater

MAX_CANDIDATE_IDS = 4  # ids that callbacks claimed for one task and that are still to be confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReconciler:
    """Everything a look needs."""

    repository: TaskRepository
    poyo: PoyoClient
    images: ImageBucket
    downloads: ImageDownloader
    queue: TaskQueue
    submitter: Submitter
    notifier: CallerNotifier
    updater: TaskUpdater
    clock: Clock

    def reconcile(self, ring: TaskMessage) -> None:
        """Bring the task one step on, or write down when to look again.

        Raises StoreUnavailable, QueueUnavailable where an id would be lost, SecretUnavailable, or
        the bucket's own error: the queue rings again by itself.
        """
        try:
            task = self.repository.get(ring.task_id)
        except TaskNotFound:
            telemetry.warning("task_not_found", source=ring.source)
            return
        if task.ended and task.deleted_at is not None:
            self.notifier.erase(task)
        elif ring.poyo_id is None and ring.source != "callback" and self.notifier.is_due(task):
            self.notifier.attempt(task)
        elif task.poyo_id is None and (ring.poyo_id or task.candidate_poyo_ids):
            self._adopt(task, ring)
        elif task.state == State.SUBMITTING:
            self._overdue(task)
        elif task.state == State.PENDING:
            self._retry(task)
        elif task.state == State.UNKNOWN:
            self._unconfirmed(task)
        elif task.poyo_id and (task.state == State.RUNNING or is_recoverable(task)):
            self._ask(task, ring)

    # Without PoYo's id

    def _overdue(self, task: Task) -> None:
        """Nobody can be sending any more: what became of the POST is not known."""
        limits = self.clock.limits
        if not self.clock.has_elapsed(task.attempted_at, limits.submit_lease_s):
            return
        due_at = task.attempted_at + limits.unconfirmed_after_s * 1000
        self.updater.apply(
            transitions.mark_unknown(
                task, self.clock.stamp(), due_at=due_at, detail="the sender went away"
            )
        )

    def _retry(self, task: Task) -> None:
        """PoYo would not have it earlier: the winner of T4 sends it once more."""
        limits = self.clock.limits
        too_late = self.clock.has_elapsed(task.created_at, limits.unavailable_after_s)
        if too_late or task.deleted_at is not None:  # what nobody wants any more is not sent
            detail = task.detail or ""
            self.updater.apply(
                transitions.fail(task, self.clock.stamp(), reason="unavailable", detail=detail)
            )
        elif self.clock.now_ms() >= (task.not_before or 0):
            self._attempt(task)

    def _attempt(self, task: Task) -> None:
        """T4 and the POST, when it is this task's turn; else it waits some more."""
        self.submitter.require_credentials()
        turn = self.submitter.acquire_slot()
        if turn.wait_s is not None:
            self.updater.retry_in(task, turn.wait_s, not_before=self.clock.after(turn.wait_s))
            return
        due_at = self.clock.after(self.clock.limits.submit_lease_s)
        attempt = self.updater.apply(transitions.retry(task, self.clock.stamp(), due_at=due_at))
        if attempt.applied:
            self.submitter.submit_to_poyo(attempt.task, turn)

    def _unconfirmed(self, task: Task) -> None:
        limits = self.clock.limits
        if self.clock.has_elapsed(task.attempted_at, limits.unconfirmed_after_s):
            detail = task.detail or ""
            self.updater.apply(
                transitions.fail(task, self.clock.stamp(), reason="unconfirmed", detail=detail)
            )
        elif task.due_at != (due_at := task.attempted_at + limits.unconfirmed_after_s * 1000):
            self.updater.reschedule(task, due_at=due_at)

    def _adopt(self, task: Task, ring: TaskMessage) -> None:
        """A callback says which PoYo task is ours: believed when PoYo itself knows that id."""
        if task.ended and not is_recoverable(task):
            return None
        candidate_poyo_ids = tuple(
            dict.fromkeys((*task.candidate_poyo_ids, *filter(None, [ring.poyo_id])))
        )[-MAX_CANDIDATE_IDS:]
        missing = True
        for poyo_id in reversed(candidate_poyo_ids):
            try:
                self.poyo.status(poyo_id)
                return self._bound(task, poyo_id)
            except PoyoTaskNotFound:
                continue
            except PoyoUnavailable:
                missing = False
            except PoyoIdConflict:
                telemetry.alarm("poyo_id_conflict", task_id=task.task_id, poyo_id=poyo_id)
        self._keep_hints(task, ring, candidate_poyo_ids, missing=missing)
        return None

    def _bound(self, task: Task, poyo_id: str) -> None:
        """T1 by callback, and the first look at once: the image is probably there."""
        due_at = self.clock.after(self.clock.limits.first_poll_s)
        change = transitions.confirm_submission(
            task, self.clock.stamp(), poyo_id=poyo_id, due_at=due_at, how="callback"
        )
        outcome = self.repository.confirm_submission(change, poyo_id)
        telemetry.log_transition(change.name, outcome.applied, outcome.task)
        if outcome.task.deleted_at != task.deleted_at:
            self._bound(outcome.task, poyo_id)  # deleted meanwhile, and paid for all the same
        elif outcome.task.state == State.RUNNING:
            self._ask(outcome.task, TaskMessage(task_id=task.task_id, source="callback"))

    def _keep_hints(
        self, task: Task, ring: TaskMessage, candidate_poyo_ids: tuple[str, ...], *, missing: bool
    ) -> None:
        """Remember the ids until PoYo answers; it may not know a brand-new one for a moment.

        An id that is new here gets all of our patience, whatever others before it have used up.
        """
        limits = self.clock.limits
        fresh = ring.poyo_id is not None and ring.poyo_id not in task.candidate_poyo_ids
        polls, not_found_count = (0, 0) if fresh else (task.polls, task.not_found_count)
        if missing and not_found_count >= limits.candidate_checks:
            self.updater.reschedule(
                task, due_at=None if task.ended else self.clock.now_ms(), candidate_poyo_ids=None
            )
            return
        wait_s = self.clock.fast_retry_s(polls, limits.poll_backoff_s)
        facts = {
            "candidate_poyo_ids": list(candidate_poyo_ids),
            "polls": polls + 1,
            "not_found_count": not_found_count + missing,
        }
        stands = self.updater.retry_in(task, wait_s, **facts).task
        if (
            ring.poyo_id
            and stands.poyo_id is None
            and ring.poyo_id not in stands.candidate_poyo_ids
        ):
            # Somebody moved the row meanwhile. The id may be all that is left of a paid task, so
            # the bell carries it on; if that is dumb too, the queue brings this message back.
            self.queue.send(ring, delay_s=wait_s)

    # With PoYo's id

    def _ask(self, task: Task, ring: TaskMessage) -> None:
        """One GET status, and what follows from it."""
        try:
            report = self.poyo.status(str(task.poyo_id))
        except PoyoTaskNotFound:
            return self._still_running(task, ring, None)
        except PoyoUnavailable as error:
            if error.ours:
                telemetry.alarm("poyo_account_rejected", task_id=task.task_id, reason="status")
            return self._again(task, ring, hurry=False)
        if report.status == "finished":
            return self._finished(task, report)
        if report.status == "failed":
            return self._failed(task, report)
        return self._still_running(task, ring, report)

    def _failed(self, task: Task, report: TaskStatus) -> None:
        """T6: PoYo failed it, and does not charge for that."""
        if task.state == State.RUNNING:
            reason = "moderated" if report.moderated else "upstream"
            self.updater.apply(
                transitions.fail(task, self.clock.stamp(), reason=reason, detail=report.error)
            )
        elif task.due_at is not None:
            self.updater.reschedule(task, due_at=None)

    def _still_running(self, task: Task, ring: TaskMessage, report: TaskStatus | None) -> None:
        """PoYo is at it, or does not know it, or says so although the result was there already."""
        patience_s = self.clock.limits.timed_out_after_s
        promised = self._promised(task, ring)
        if task.ended and not promised:
            if task.due_at is not None:
                self.updater.reschedule(task, due_at=None)
        elif not promised and self.clock.has_elapsed(
            task.confirmed_at or task.attempted_at, patience_s
        ):
            self.updater.apply(
                transitions.fail(task, self.clock.stamp(), reason="timed_out", detail="")
            )
        else:
            progress = {"progress": report.progress} if report and report.progress else {}
            self._again(task, ring, hurry=ring.source in ("callback", "retry"), **progress)

    def _promised(self, task: Task, ring: TaskMessage) -> bool:
        """Whether PoYo spoke of a result: in a callback lately, or in its status within a day."""
        limits = self.clock.limits
        words = (
            (task.callback_at, limits.callback_trust_s),
            (task.result_seen_at, limits.timed_out_after_s),
        )
        fresh = (at is not None and not self.clock.has_elapsed(at, good_s) for at, good_s in words)
        return ring.source == "callback" or any(fresh)

    def _finished(self, task: Task, report: TaskStatus) -> None:
        """The image is there to be had: T5 once it is in our bucket."""
        try:
            if not report.file_urls and task.deleted_at is None:
                raise NotAnImage("no_files")
            files = self._kept_all(task, report)
        except DownloadFailed as error:
            return self._copy_failed(task, error)
        charged = task.estimated_credits if report.credits is None else report.credits
        rows = [asdict(kept) for kept in files]
        self.updater.apply(
            transitions.finish(task, self.clock.stamp(), files=rows, charged_credits=charged)
        )
        return None

    def _kept_all(self, task: Task, report: TaskStatus) -> list[StoredImage]:
        """Every image of the task in our bucket; none of one that was deleted meanwhile."""
        if task.deleted_at is not None:
            return []
        return [self._kept(task, n, url) for n, url in enumerate(report.file_urls)]

    def _kept(self, task: Task, n: int, url: str) -> StoredImage:
        """The `n`th image in our bucket: one that is already there needs no download."""
        found = self.images.find(task.task_id, n)
        if found:
            return found
        with self.downloads.fetch(url) as download:
            return self.images.put(task.task_id, n, download)

    def _copy_failed(self, task: Task, error: DownloadFailed) -> None:
        """A copy that failed is not a task that failed, until the file is past hope."""
        telemetry.warning(
            "image_copy_failed",
            task_id=task.task_id,
            code=error.code,
            copy_attempts=task.copy_attempts,
        )
        if isinstance(error, DownloadForbidden):
            telemetry.alarm("download_host_not_allowed", task_id=task.task_id, code=error.code)
        reason = self._hopeless(task, error)
        if reason and task.state == State.RUNNING:
            self.updater.apply(
                transitions.fail(task, self.clock.stamp(), reason=reason, detail=str(error))
            )
            return
        if reason:
            self.updater.reschedule(task, due_at=None)
            return
        wait_s = self.clock.fast_retry_s(task.copy_attempts, self.clock.limits.poll_backoff_s)
        seen_at = task.result_seen_at or self.clock.now_ms()
        telemetry.record_uncopied(self.clock.now_ms() - seen_at)
        bad = task.invalid_results + isinstance(error, NotAnImage)
        facts = {
            "copy_attempts": task.copy_attempts + 1,
            "invalid_results": bad,
            "detail": str(error),
        }
        self.updater.retry_in(task, wait_s, result_seen_at=seen_at, **facts)

    def _hopeless(self, task: Task, error: DownloadFailed) -> str | None:
        """Why no further try can help, or None while one may."""
        limits = self.clock.limits
        if isinstance(error, NotAnImage):
            most = limits.empty_results if error.code == "no_files" else limits.bad_results
            return "bad_result" if task.invalid_results >= most else None
        patience_s = limits.file_gone_after_s if error.gone else limits.file_lost_after_s
        seen_at = task.result_seen_at
        return "result_expired" if seen_at and self.clock.has_elapsed(seen_at, patience_s) else None

    def _again(self, task: Task, ring: TaskMessage, *, hurry: bool, **facts: Any) -> None:
        """Look again later; a callback says that there is something to see, so it begins anew."""
        limits = self.clock.limits
        if ring.source == "callback":
            facts["callback_at"] = self.clock.now_ms()
            task = replace(task, polls=0)
        if task.ended and self.clock.has_elapsed(task.created_at, limits.reopen_within_s):
            self.updater.reschedule(task, due_at=None)
            return
        facts["polls"] = task.polls + 1
        if hurry and task.polls < len(limits.fast_retry_s):
            self.updater.retry_in(
                task, self.clock.fast_retry_s(task.polls, limits.poll_backoff_s), **facts
            )
        else:
            self.updater.retry_in(
                task, self.clock.backoff_s(task.polls, limits.poll_backoff_s), **facts
            )
