"""The next step of a task, as a table over its state, its ids, its deletion and the task message."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from imagetasks.tasks.message import TaskMessage
from imagetasks.tasks.task import State, Task, notification_is_due
from imagetasks.workflows.reconcile import Step, next_step
from tests.support.fakes import POYO_ID, START, task

NEWER = "a state of a newer version"
RECOVERABLE = (
    "unconfirmed",
    "timed_out",
    "upstream",
    "moderated",
    "bad_result",
    "result_expired",
)
FINAL = ("rejected", "insufficient_credits", "unavailable")
SOURCES = ("callback", "sweep", "retry", "submit", "delete", "operator")
NOTIFICATIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "due": {"notification_attempts": 1, "next_notification_at": START},
    "later": {"notification_attempts": 1, "next_notification_at": START + 1},
}
# Kinds of task: its state, and for a failed task whether the failure is recoverable.
STATES: dict[str, tuple[tuple[str, str | None], ...]] = {
    **{each: ((each, None),) for each in State if each != State.FAILED},
    NEWER: (("upscaling", None),),
    "failed, recoverable": tuple(("failed", reason) for reason in RECOVERABLE),
    "failed, final": tuple(("failed", reason) for reason in FINAL),
}
ENDED = ("finished", "failed, recoverable", "failed, final")
OPEN = ("submitting", "pending", "unknown", "running", NEWER)


@dataclass(frozen=True)
class Situation:
    """A task and a task message, as values that the rows of the table select by."""

    state: str
    poyo_id: bool
    candidates: bool
    deleted: bool
    notification: str
    source: str
    message_id: bool

    @property
    def from_poyo(self) -> bool:
        """PoYo sent the news: a callback, or a message that carries an id of a callback."""
        return self.source == "callback" or self.message_id

    def steps(self) -> set[Step]:
        """The next step for each reason that a task of this kind may have failed for."""
        message = TaskMessage(
            task_id="t", source=self.source, poyo_id="CANDIDATE" if self.message_id else None
        )
        return {next_step(each, message, now_ms=START) for each in self._tasks()}

    def _tasks(self) -> Iterator[Task]:
        for state, reason in STATES[self.state]:
            yield task(
                state=state,
                reason=reason,
                poyo_id=POYO_ID if self.poyo_id else None,
                candidate_poyo_ids=("EARLIER",) if self.candidates else (),
                deleted_at=START if self.deleted else None,
                **NOTIFICATIONS[self.notification],
            )


class Case:
    """A row of the table: the situations with these values all have the step. No two rows share a
    situation, so the order of the rows means nothing."""

    def __init__(self, name: str, step: Step, **selected: Collection[str] | bool) -> None:
        self.name = name
        self.step = step
        self._selected = selected

    def selects(self, situation: Situation) -> bool:
        return all(
            value is wanted if isinstance(wanted, bool) else value in wanted
            for name, wanted in self._selected.items()
            for value in [getattr(situation, name)]
        )


CASES = (
    Case("erase the images of a tombstone", Step.ERASE_IMAGES, state=ENDED, deleted=True),
    Case(
        "notify the caller when it is due",
        Step.NOTIFY_CALLER,
        state=ENDED, deleted=False, notification=("due",), from_poyo=False,
    ),
    Case(
        "a final task without a due notification is at rest",
        Step.NOTHING,
        state=("finished", "failed, final"), deleted=False, notification=("none", "later"),
    ),
    Case(
        "news of PoYo change nothing in a final task and do not notify",
        Step.NOTHING,
        state=("finished", "failed, final"), deleted=False, notification=("due",), from_poyo=True,
    ),
    Case(
        "a recoverable failure with PoYo's id is polled",
        Step.POLL,
        state=("failed, recoverable",), deleted=False, notification=("none", "later"), poyo_id=True,
    ),
    Case(
        "news of PoYo about a recoverable failure are polled before the caller is notified",
        Step.POLL,
        state=("failed, recoverable",), deleted=False, notification=("due",), from_poyo=True,
        poyo_id=True,
    ),
    Case(
        "a recoverable failure confirms its candidates",
        Step.CONFIRM_POYO_ID,
        state=("failed, recoverable",), deleted=False, notification=("none", "later"),
        poyo_id=False, candidates=True,
    ),
    Case(
        "a recoverable failure confirms its candidates after a callback, before the notification",
        Step.CONFIRM_POYO_ID,
        state=("failed, recoverable",), deleted=False, notification=("due",), from_poyo=True,
        poyo_id=False, candidates=True,
    ),
    Case(
        "a recoverable failure confirms the id of the message, whatever notification is pending",
        Step.CONFIRM_POYO_ID,
        state=("failed, recoverable",), deleted=False, poyo_id=False, candidates=False,
        message_id=True,
    ),
    Case(
        "a recoverable failure without any id is at rest",
        Step.NOTHING,
        state=("failed, recoverable",), deleted=False, notification=("none", "later"),
        poyo_id=False, candidates=False, message_id=False,
    ),
    Case(
        "a callback without an id is no news for a recoverable failure without any id",
        Step.NOTHING,
        state=("failed, recoverable",), deleted=False, notification=("due",), source=("callback",),
        poyo_id=False, candidates=False, message_id=False,
    ),
    Case("a running task is polled, deleted or not", Step.POLL, state=("running",), poyo_id=True),
    Case(
        "PoYo's id is stored only together with the state running: leave another version's task",
        Step.NOTHING,
        state=("submitting", "pending", "unknown", NEWER), poyo_id=True,
    ),
    Case(
        "an open task confirms its candidates before anything else",
        Step.CONFIRM_POYO_ID,
        state=OPEN, poyo_id=False, candidates=True,
    ),
    Case(
        "an open task confirms the id of the message before anything else",
        Step.CONFIRM_POYO_ID,
        state=OPEN, poyo_id=False, candidates=False, message_id=True,
    ),
    Case(
        "a submission may have expired",
        Step.EXPIRE_SUBMISSION,
        state=("submitting",), poyo_id=False, candidates=False, message_id=False,
    ),
    Case(
        "a pending order may be submitted again",
        Step.RETRY_SUBMISSION,
        state=("pending",), poyo_id=False, candidates=False, message_id=False,
    ),
    Case(
        "an unknown submission may have expired",
        Step.EXPIRE_UNKNOWN,
        state=("unknown",), poyo_id=False, candidates=False, message_id=False,
    ),
    Case(
        "nothing is known to do for a running task without PoYo's id or for another version's task",
        Step.NOTHING,
        state=("running", NEWER), poyo_id=False, candidates=False, message_id=False,
    ),
)  # fmt: skip
BOTH = (False, True)
SITUATIONS = [
    Situation(*values) for values in product(STATES, BOTH, BOTH, BOTH, NOTIFICATIONS, SOURCES, BOTH)
]


def test_every_situation_is_in_exactly_one_case() -> None:
    selected = {
        situation: [case.name for case in CASES if case.selects(situation)]
        for situation in SITUATIONS
    }

    assert len(selected) == len(SITUATIONS) == 8 * 2**3 * 3 * 6 * 2
    assert {each: names for each, names in selected.items() if len(names) != 1} == {}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_next_step_of_every_situation_is_the_step_of_its_case(case: Case) -> None:
    situations = [each for each in SITUATIONS if case.selects(each)]

    assert situations
    assert [each for each in situations if each.steps() != {case.step}] == []


def test_every_step_is_the_next_step_of_some_situation() -> None:
    assert {step for each in SITUATIONS for step in each.steps()} == set(Step)


@pytest.mark.parametrize(
    ("attempts", "next_at", "due"),
    [
        (None, None, False),
        (None, START, False),
        (0, None, True),
        (0, START, True),
        (5, START - 1, True),
        (5, START, True),
        (5, START + 1, False),
        (6, START, True),
    ],
)
def test_notification_is_due_from_its_instant_on(
    attempts: int | None, next_at: int | None, due: bool
) -> None:
    ended = task(state="finished", notification_attempts=attempts, next_notification_at=next_at)

    assert notification_is_due(ended, now_ms=START) is due


@pytest.mark.parametrize("state", ["submitting", "pending", "unknown", "running"])
def test_notification_of_an_open_task_is_never_due(state: str) -> None:
    reopened = task(state=state, notification_attempts=2, next_notification_at=START)

    assert not notification_is_due(reopened, now_ms=START)


@pytest.mark.parametrize("source", ["sweep", "retry"])
def test_message_about_an_earlier_schedule_needs_nothing(source: str) -> None:
    running = task(state="running", poyo_id=POYO_ID, due_at=START + 300_000, due_since=START)
    message = TaskMessage(task_id="t", source=source, due_since=START)
    stale = TaskMessage(task_id="t", source=source, due_since=START - 1)

    assert next_step(running, message, now_ms=START) == Step.POLL
    assert next_step(running, stale, now_ms=START) == Step.NOTHING
