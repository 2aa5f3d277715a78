"""Submitting: the row first, then one POST, then whatever became of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from imagetasks import telemetry
from imagetasks.errors import (
    KeyReused,
    PoyoIdTaken,
    PoyoRefused,
    PoyoUnavailable,
    QueueUnavailable,
    StoreUnavailable,
    SubmitUnknown,
)
from imagetasks.poyo.rate_limit import Turn, window_of
from imagetasks.tasks import signed_urls, transitions
from imagetasks.tasks.message import Ring
from imagetasks.tasks.task import (
    SHOWN,
    State,
    Task,
    derive_task_id,
    fingerprint,
    listed_as,
    shard_of,
)

if TYPE_CHECKING:
    from imagetasks.aws.secrets import CallbackKeys
    from imagetasks.aws.task_queue import Doorbell
    from imagetasks.aws.task_repository import Outcome, Store
    from imagetasks.aws.upload_bucket import Uploads
    from imagetasks.clock import Pace
    from imagetasks.poyo.client import Poyo
    from imagetasks.tasks.transitions import Change

ACCOUNT_REFUSALS = frozenset({"unavailable", "insufficient_credits"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A validated wish: `input` as PoYo takes it, but for uploads, which are named `upload://…`;
    `estimate` in credits, `origin` for callbacks, `notify_url` for the caller's own."""

    owner: str
    idempotency_key: str
    model: str
    input: Mapping[str, Any]
    metadata: Mapping[str, str]
    estimate: Decimal
    origin: str
    notify_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """Everything the one POST needs; the api and the worker are the only ones who have it."""

    store: Store
    poyo: Poyo
    doorbell: Doorbell
    callback_keys: CallbackKeys
    uploads: Uploads
    pace: Pace

    def submit(self, order: Order) -> tuple[Task, bool]:
        """The task of `order`, and whether it is a replay of an earlier one.

        Raises KeyReused when the key stands for another body, StoreUnavailable when nothing is
        known to be written (the same call may be made again).
        """
        self.ready()
        task = self._new(order)
        outcome = self.store.create(task)
        if not outcome.won:
            if outcome.task.fingerprint != task.fingerprint:
                raise KeyReused(task.task_id)
            return outcome.task, True
        telemetry.moved("submit", True, task)
        turn = self.turn()
        if turn.wait_s is not None:
            return self._defer(task, turn.wait_s, "waiting for its turn"), False
        return self.send(task, turn), False

    def turn(self) -> Turn:
        """Whether PoYo has room for one more submit now; a row too busy to be counted in has none."""
        try:
            return self.store.count_submit(window_of(self.pace)).turn(self.pace)
        except StoreUnavailable:
            return Turn(self.pace.backoff_s(1, self.pace.limits.submit_backoff_s))

    def send(self, task: Task, turn: Turn) -> Task:
        """POST `task`, which only the winner of T0 or T4 may do, and settle what came of it."""
        kid, key = self.callback_keys.current()
        try:
            poyo_id = self.poyo.submit(
                model=task.model,
                order=self._wish(task),
                callback_url=task.origin + signed_urls.callback_path(kid, key, task.task_id),
                idempotency_key=task.task_id,
            )
        except PoyoUnavailable as error:
            return self._defer(task, self._patience_s(task, error), error.detail)
        except PoyoRefused as error:
            if error.reason in ACCOUNT_REFUSALS:
                self._trouble(over=False)
            return self._refused(task, error)
        except SubmitUnknown as error:
            self._trouble(over=False)
            return self._doubt(task, error.detail)
        if turn.troubled:
            self._trouble(over=True)
        return self._bind(task, poyo_id)

    def _wish(self, task: Task) -> Mapping[str, Any]:
        """The order as PoYo takes it: uploads become links that it can follow for an hour."""
        urls = task.input.get("image_urls")
        linked = {"image_urls": self.uploads.linked(task.owner, urls)} if urls else {}
        return {**task.input, **linked}

    def ready(self) -> None:
        """Raises SecretInvalid when a key is missing: better known before the row than after."""
        self.poyo.key()
        self.callback_keys.current()

    def _new(self, order: Order) -> Task:
        at = self.pace.at()
        task_id = derive_task_id(order.owner, order.idempotency_key)
        wish = {"model": order.model, "input": order.input, "metadata": order.metadata}
        if order.notify_url:
            wish["notify_url"] = order.notify_url
        return Task(
            task_id=task_id,
            owner=order.owner,
            fingerprint=fingerprint(wish),
            model=order.model,
            input=order.input,
            metadata=order.metadata,
            state=State.SUBMITTING,
            attempt=1,
            estimate=order.estimate,
            origin=order.origin,
            created_at=at.now,
            updated_at=at.now,
            sent_at=at.now,
            stamp=at.stamp,
            due_at=self.pace.after(self.pace.limits.submit_overdue_s),
            due_shard=shard_of(task_id),
            link_key=f"{self.pace.chance.getrandbits(160):040x}",
            listed=order.owner,
            listed_status=listed_as(SHOWN[State.SUBMITTING], order.owner),
            notify_url=order.notify_url,
            history=({"at": at.now, "event": "accepted"},),
        )

    def _bind(self, task: Task, poyo_id: str) -> Task:
        """T1. If the table is away the id takes the bell, and if that is dumb too, the log."""
        due_at = self.pace.after(self.pace.limits.first_look_s)
        change = transitions.bind(
            task, self.pace.at(), poyo_id=poyo_id, due_at=due_at, how="answer"
        )
        try:
            outcome = self.store.bind(change, poyo_id)
        except PoyoIdTaken:
            telemetry.page("poyo_id_taken", task_id=task.task_id, poyo_id=poyo_id)
            return self._doubt(task, "PoYo gave the id of another task")
        except StoreUnavailable:
            telemetry.warn("bind_by_bell", task_id=task.task_id, poyo_id=poyo_id)
            self._ring(Ring(task_id=task.task_id, by="submit", poyo_id=poyo_id))
            return task
        if outcome.task.deleted_at != task.deleted_at:
            return self._bind(outcome.task, poyo_id)  # deleted meanwhile, and paid for all the same
        if not outcome.won and outcome.task.poyo_id != poyo_id:
            telemetry.page("paid_without_task", task_id=task.task_id, poyo_id=poyo_id)
        return self._moved(change, outcome)

    def _patience_s(self, task: Task, error: PoyoUnavailable) -> float:
        """Full jitter, after what PoYo asked for if it did."""
        bounds_s = self.pace.limits.submit_backoff_s
        return min(bounds_s[1], (error.wait_s or 0) + self.pace.backoff_s(task.attempt, bounds_s))

    def _defer(self, task: Task, wait_s: float, detail: str) -> Task:
        """T2: nothing was created. A bell rings when it is time, the sweep stands behind it."""
        not_before = self.pace.after(wait_s)
        due_at = not_before + self.pace.limits.backup_s * 1000
        deferred = self._apply(
            task,
            lambda stands: transitions.defer(
                stands, self.pace.at(), not_before=not_before, due_at=due_at, detail=detail
            ),
        )
        self._ring(Ring(task_id=task.task_id, by="retry"), delay_s=wait_s + 1)
        return deferred

    def _doubt(self, task: Task, detail: str) -> Task:
        """T3: only a callback can tell now, or an hour of silence."""
        due_at = task.sent_at + self.pace.limits.unconfirmed_after_s * 1000
        return self._apply(
            task,
            lambda stands: transitions.doubt(stands, self.pace.at(), due_at=due_at, detail=detail),
        )

    def _refused(self, task: Task, error: PoyoRefused) -> Task:
        """T6: PoYo said no before anything was created."""
        if error.reason in ACCOUNT_REFUSALS:
            telemetry.page("account_refused", task_id=task.task_id, reason=error.reason)
        facts = {"reason": error.reason, "detail": error.detail}
        return self._apply(
            task,
            lambda stands: transitions.fail(stands, self.pace.at(), tell=task.attempt > 1, **facts),
        )

    def _trouble(self, *, over: bool) -> None:
        """Tell the breaker; it is an estimate, so a lost word does no harm."""
        with contextlib.suppress(StoreUnavailable):
            self.store.trouble(over=over)

    def _apply(self, task: Task, make: Callable[[Task], Change]) -> Task:
        """After the POST nothing may raise: an unwritten outcome is found overdue by the sweep.

        The outcome of a task that was deleted meanwhile is made anew from what stands.
        """
        change = make(task)
        try:
            stands = self._moved(change, self.store.apply(change))
        except StoreUnavailable:
            telemetry.warn("unwritten", task_id=task.task_id, transition=change.name)
            return task
        return stands if stands.deleted_at == task.deleted_at else self._apply(stands, make)

    def _moved(self, change: Change, outcome: Outcome) -> Task:
        telemetry.moved(change.name, outcome.won, outcome.task)
        return outcome.task

    def _ring(self, ring: Ring, *, delay_s: float = 0) -> None:
        try:
            self.doorbell.ring(ring, delay_s=delay_s)
        except QueueUnavailable:
            telemetry.page("bell_dumb", task_id=ring.task_id, poyo_id=ring.poyo_id)
