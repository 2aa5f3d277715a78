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
    PoyoIdTaken,
    PoyoMissing,
    PoyoUnavailable,
    TaskNotFound,
)
from imagetasks.tasks import transitions
from imagetasks.tasks.failure_reasons import softly_failed
from imagetasks.tasks.message import Ring
from imagetasks.tasks.task import KeptFile, State, Task

if TYPE_CHECKING:
    from imagetasks.aws.image_bucket import Images
    from imagetasks.aws.task_queue import Doorbell
    from imagetasks.aws.task_repository import Store
    from imagetasks.clock import Pace
    from imagetasks.outbound.download import Downloads
    from imagetasks.poyo.client import Poyo, Report
    from imagetasks.workflows.notify_caller import Aftercare
    from imagetasks.workflows.submit import Submitter
    from imagetasks.workflows.task_updater import Steps

MOST_HINTS = 4  # ids that callbacks claimed for one task and that are still to be confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """Everything a look needs."""

    store: Store
    poyo: Poyo
    images: Images
    downloads: Downloads
    doorbell: Doorbell
    submitter: Submitter
    aftercare: Aftercare
    steps: Steps
    pace: Pace

    def look(self, ring: Ring) -> None:
        """Bring the task one step on, or write down when to look again.

        Raises StoreUnavailable, QueueUnavailable where an id would be lost, SecretUnavailable, or
        the bucket's own error: the queue rings again by itself.
        """
        try:
            task = self.store.read(ring.task_id)
        except TaskNotFound:
            telemetry.warn("no_such_task", by=ring.by)
            return
        if task.ended and task.deleted_at is not None:
            self.aftercare.erase(task)
        elif ring.poyo_id is None and ring.by != "callback" and self.aftercare.due(task):
            self.aftercare.tell(task)
        elif task.poyo_id is None and (ring.poyo_id or task.hints):
            self._adopt(task, ring)
        elif task.state == State.SUBMITTING:
            self._overdue(task)
        elif task.state == State.PENDING:
            self._retry(task)
        elif task.state == State.UNKNOWN:
            self._unconfirmed(task)
        elif task.poyo_id and (task.state == State.RUNNING or softly_failed(task)):
            self._ask(task, ring)

    # Without PoYo's id

    def _overdue(self, task: Task) -> None:
        """Nobody can be sending any more: what became of the POST is not known."""
        limits = self.pace.limits
        if not self.pace.older(task.sent_at, limits.submit_overdue_s):
            return
        due_at = task.sent_at + limits.unconfirmed_after_s * 1000
        self.steps.take(
            transitions.doubt(task, self.pace.at(), due_at=due_at, detail="the sender went away")
        )

    def _retry(self, task: Task) -> None:
        """PoYo would not have it earlier: the winner of T4 sends it once more."""
        limits = self.pace.limits
        too_late = self.pace.older(task.created_at, limits.unavailable_after_s)
        if too_late or task.deleted_at is not None:  # what nobody wants any more is not sent
            detail = task.detail or ""
            self.steps.take(
                transitions.fail(task, self.pace.at(), reason="unavailable", detail=detail)
            )
        elif self.pace.clock() >= (task.not_before or 0):
            self._attempt(task)

    def _attempt(self, task: Task) -> None:
        """T4 and the POST, when it is this task's turn; else it waits some more."""
        self.submitter.ready()
        turn = self.submitter.turn()
        if turn.wait_s is not None:
            self.steps.later(task, turn.wait_s, not_before=self.pace.after(turn.wait_s))
            return
        due_at = self.pace.after(self.pace.limits.submit_overdue_s)
        attempt = self.steps.take(transitions.retry(task, self.pace.at(), due_at=due_at))
        if attempt.won:
            self.submitter.send(attempt.task, turn)

    def _unconfirmed(self, task: Task) -> None:
        limits = self.pace.limits
        if self.pace.older(task.sent_at, limits.unconfirmed_after_s):
            detail = task.detail or ""
            self.steps.take(
                transitions.fail(task, self.pace.at(), reason="unconfirmed", detail=detail)
            )
        elif task.due_at != (due_at := task.sent_at + limits.unconfirmed_after_s * 1000):
            self.steps.move(task, due_at=due_at)

    def _adopt(self, task: Task, ring: Ring) -> None:
        """A callback says which PoYo task is ours: believed when PoYo itself knows that id."""
        if task.ended and not softly_failed(task):
            return None
        hints = tuple(dict.fromkeys((*task.hints, *filter(None, [ring.poyo_id]))))[-MOST_HINTS:]
        missing = True
        for poyo_id in reversed(hints):
            try:
                self.poyo.status(poyo_id)
                return self._bound(task, poyo_id)
            except PoyoMissing:
                continue
            except PoyoUnavailable:
                missing = False
            except PoyoIdTaken:
                telemetry.page("poyo_id_taken", task_id=task.task_id, poyo_id=poyo_id)
        self._keep_hints(task, ring, hints, missing=missing)
        return None

    def _bound(self, task: Task, poyo_id: str) -> None:
        """T1 by callback, and the first look at once: the image is probably there."""
        due_at = self.pace.after(self.pace.limits.first_look_s)
        change = transitions.bind(
            task, self.pace.at(), poyo_id=poyo_id, due_at=due_at, how="callback"
        )
        outcome = self.store.bind(change, poyo_id)
        telemetry.moved(change.name, outcome.won, outcome.task)
        if outcome.task.deleted_at != task.deleted_at:
            self._bound(outcome.task, poyo_id)  # deleted meanwhile, and paid for all the same
        elif outcome.task.state == State.RUNNING:
            self._ask(outcome.task, Ring(task_id=task.task_id, by="callback"))

    def _keep_hints(self, task: Task, ring: Ring, hints: tuple[str, ...], *, missing: bool) -> None:
        """Remember the ids until PoYo answers; it may not know a brand-new one for a moment.

        An id that is new here gets all of our patience, whatever others before it have used up.
        """
        limits = self.pace.limits
        fresh = ring.poyo_id is not None and ring.poyo_id not in task.hints
        looks, denied = (0, 0) if fresh else (task.looks, task.denied)
        if missing and denied >= limits.hint_looks:
            self.steps.move(task, due_at=None if task.ended else self.pace.clock(), hints=None)
            return
        wait_s = self.pace.hurry_s(looks, limits.look_backoff_s)
        facts = {"hints": list(hints), "looks": looks + 1, "denied": denied + missing}
        stands = self.steps.later(task, wait_s, **facts).task
        if ring.poyo_id and stands.poyo_id is None and ring.poyo_id not in stands.hints:
            # Somebody moved the row meanwhile. The id may be all that is left of a paid task, so
            # the bell carries it on; if that is dumb too, the queue brings this message back.
            self.doorbell.ring(ring, delay_s=wait_s)

    # With PoYo's id

    def _ask(self, task: Task, ring: Ring) -> None:
        """One GET status, and what follows from it."""
        try:
            report = self.poyo.status(str(task.poyo_id))
        except PoyoMissing:
            return self._still_running(task, ring, None)
        except PoyoUnavailable as error:
            if error.ours:
                telemetry.page("account_refused", task_id=task.task_id, reason="status")
            return self._again(task, ring, hurry=False)
        if report.status == "finished":
            return self._finished(task, report)
        if report.status == "failed":
            return self._failed(task, report)
        return self._still_running(task, ring, report)

    def _failed(self, task: Task, report: Report) -> None:
        """T6: PoYo failed it, and does not charge for that."""
        if task.state == State.RUNNING:
            reason = "moderated" if report.moderated else "upstream"
            self.steps.take(
                transitions.fail(task, self.pace.at(), reason=reason, detail=report.error)
            )
        elif task.due_at is not None:
            self.steps.move(task, due_at=None)

    def _still_running(self, task: Task, ring: Ring, report: Report | None) -> None:
        """PoYo is at it, or does not know it, or says so although the result was there already."""
        patience_s = self.pace.limits.timed_out_after_s
        promised = self._promised(task, ring)
        if task.ended and not promised:
            if task.due_at is not None:
                self.steps.move(task, due_at=None)
        elif not promised and self.pace.older(task.bound_at or task.sent_at, patience_s):
            self.steps.take(transitions.fail(task, self.pace.at(), reason="timed_out", detail=""))
        else:
            progress = {"progress": report.progress} if report and report.progress else {}
            self._again(task, ring, hurry=ring.by in ("callback", "retry"), **progress)

    def _promised(self, task: Task, ring: Ring) -> bool:
        """Whether PoYo spoke of a result: in a callback lately, or in its status within a day."""
        limits = self.pace.limits
        words = (
            (task.rung_at, limits.bell_counts_s),
            (task.result_seen_at, limits.timed_out_after_s),
        )
        fresh = (at is not None and not self.pace.older(at, good_s) for at, good_s in words)
        return ring.by == "callback" or any(fresh)

    def _finished(self, task: Task, report: Report) -> None:
        """The image is there to be had: T5 once it is in our bucket."""
        try:
            if not report.file_urls and task.deleted_at is None:
                raise NotAnImage("no_files")
            files = self._kept_all(task, report)
        except DownloadFailed as error:
            return self._copy_failed(task, error)
        charged = task.estimate if report.credits is None else report.credits
        rows = [asdict(kept) for kept in files]
        self.steps.take(transitions.finish(task, self.pace.at(), files=rows, charged=charged))
        return None

    def _kept_all(self, task: Task, report: Report) -> list[KeptFile]:
        """Every image of the task in our bucket; none of one that was deleted meanwhile."""
        if task.deleted_at is not None:
            return []
        return [self._kept(task, n, url) for n, url in enumerate(report.file_urls)]

    def _kept(self, task: Task, n: int, url: str) -> KeptFile:
        """The `n`th image in our bucket: one that is already there needs no download."""
        found = self.images.find(task.task_id, n)
        if found:
            return found
        with self.downloads.fetch(url) as download:
            return self.images.put(task.task_id, n, download)

    def _copy_failed(self, task: Task, error: DownloadFailed) -> None:
        """A copy that failed is not a task that failed, until the file is past hope."""
        telemetry.warn("copy_failed", task_id=task.task_id, code=error.code, copies=task.copies)
        if isinstance(error, DownloadForbidden):
            telemetry.page("download_refused", task_id=task.task_id, code=error.code)
        reason = self._hopeless(task, error)
        if reason and task.state == State.RUNNING:
            self.steps.take(
                transitions.fail(task, self.pace.at(), reason=reason, detail=str(error))
            )
            return
        if reason:
            self.steps.move(task, due_at=None)
            return
        wait_s = self.pace.hurry_s(task.copies, self.pace.limits.look_backoff_s)
        seen_at = task.result_seen_at or self.pace.clock()
        telemetry.uncopied(self.pace.clock() - seen_at)
        bad = task.bad_copies + isinstance(error, NotAnImage)
        facts = {"copies": task.copies + 1, "bad_copies": bad, "detail": str(error)}
        self.steps.later(task, wait_s, result_seen_at=seen_at, **facts)

    def _hopeless(self, task: Task, error: DownloadFailed) -> str | None:
        """Why no further try can help, or None while one may."""
        limits = self.pace.limits
        if isinstance(error, NotAnImage):
            most = limits.empty_results if error.code == "no_files" else limits.bad_results
            return "bad_result" if task.bad_copies >= most else None
        patience_s = limits.file_gone_after_s if error.gone else limits.file_lost_after_s
        seen_at = task.result_seen_at
        return "result_expired" if seen_at and self.pace.older(seen_at, patience_s) else None

    def _again(self, task: Task, ring: Ring, *, hurry: bool, **facts: Any) -> None:
        """Look again later; a callback says that there is something to see, so it begins anew."""
        limits = self.pace.limits
        if ring.by == "callback":
            facts["rung_at"] = self.pace.clock()
            task = replace(task, looks=0)
        if task.ended and self.pace.older(task.created_at, limits.revive_within_s):
            self.steps.move(task, due_at=None)
            return
        facts["looks"] = task.looks + 1
        if hurry and task.looks < len(limits.hurry_s):
            self.steps.later(task, self.pace.hurry_s(task.looks, limits.look_backoff_s), **facts)
        else:
            self.steps.later(task, self.pace.backoff_s(task.looks, limits.look_backoff_s), **facts)
