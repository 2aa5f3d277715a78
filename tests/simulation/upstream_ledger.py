"""PoYo's own records: the tasks it created and the submits it received."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from tests.simulation import upstream_responses
from tests.simulation.process import Process
from tests.simulation.scheduler import Simulator
from tests.simulation.short_day import DAY_MS

FILES = "https://files.invalid/CANARY-url"
FILE_LIFE_MS = DAY_MS
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
FAILURES = {
    "exception": "Server exception",
    "moderated": "The prompt violates our content policy",
}


ESTIMATES = tuple(map(Decimal, ("2", "2.37", "0.55", "4.4")))


def estimate(order: str) -> Decimal:
    """What the client's order of this name is estimated to cost."""
    return ESTIMATES[zlib.crc32(order.encode()) % len(ESTIMATES)]


@dataclass(eq=False)
class PoyoTask:
    """A task that PoYo created and charged; instants in ms, `ends_at` None if it never ends."""

    poyo_id: str
    order: str
    task_id: str
    callback_url: str
    created_at: int
    visible_at: int
    ends_at: int | None
    result: str
    urls: tuple[str, ...]
    creation_denied: bool = False
    duplicate_id: bool = False
    confirmed: bool = False  # one of our items holds its id
    named_wrongly: bool = False  # before that, a callback named it for another task or another's id
    submitter: Process | None = None  # the process that received the submit response with its id
    callback_accepted_at: int | None = None  # our first 200 to a callback with its id
    not_found_count: int = 0  # number of 404 status responses
    denied_at: int | None = None  # its last status response `running` or 404 after it had ended
    false_failures: int = 0  # number of status responses `failed` although it does not fail
    reported_credits: set[Decimal] = field(default_factory=set)  # in any status response

    def ended(self, now: int) -> bool:
        """Whether PoYo has ended it."""
        return self.ends_at is not None and now >= self.ends_at


@dataclass(frozen=True, slots=True)
class Submit:
    """A submit that reached PoYo, and whether it may have created a task."""

    order: str
    outcome: str  # created, unclear, rejected, retryable


@dataclass(eq=False)
class Ledger:
    """Every task that PoYo created and every submit that it received."""

    simulator: Simulator
    on_end: Callable[[PoyoTask], None]
    tasks: list[PoyoTask] = field(default_factory=list)
    submits: list[Submit] = field(default_factory=list)
    # The orders whose last submit was rejected because of a rotated key.
    outdated_key_orders: set[str] = field(default_factory=set)

    def find(self, poyo_id: str) -> PoyoTask | None:
        """The task with this id."""
        return next((each for each in self.tasks if each.poyo_id == poyo_id), None)

    def outcomes(self, order: str) -> list[str]:
        """The outcome of every submit of an order so far."""
        return [submit.outcome for submit in self.submits if submit.order == order]

    def file_at(self, url: str) -> bytes | None:
        """The bytes at a file URL, None when the file expired."""
        task = next((each for each in self.tasks if url in each.urls), None)
        if task is None or task.ends_at is None or self.simulator.now > task.ends_at + FILE_LIFE_MS:
            return None
        return upstream_responses.png(url)

    def create_task(
        self, order: str, task_id: str, url: str, *, creation_denied: bool = False
    ) -> PoyoTask:
        """Create and charge a task, or return the existing one if PoYo honours Idempotency-Key."""
        simulator = self.simulator
        known = [each for each in self.tasks if each.task_id == task_id]
        if known and simulator.scenario.honours_idempotency:
            return known[0]
        rng, now = simulator.rng, simulator.now
        poyo_id, duplicate_id = self._new_id()
        work = simulator.fault("poyo.work")
        urls = tuple(f"{FILES}/{poyo_id}/{n}.png" for n in range(1 + (work == "two_files")))
        hidden_ms = 0 if rng.random() < 0.7 else rng.uniform(100, 40_000)
        task = PoyoTask(
            poyo_id=poyo_id,
            order=order,
            task_id=task_id,
            callback_url=url,
            created_at=now,
            visible_at=now + round(hidden_ms),
            ends_at=self._ends_at(work),
            result=work if work in FAILURES else "image",
            urls=urls,
            creation_denied=creation_denied,
            duplicate_id=duplicate_id,
        )
        if any(each.task_id == task_id for each in self.tasks):
            simulator.counts["denied_creation", "paid_twice"] += 1
        self.tasks.append(task)
        simulator.record(
            "poyo", f"creates {poyo_id}", f"{task_id[:6]}: {task.result}, {work or 'ordinary'}"
        )
        if task.ends_at is not None:
            simulator.at(task.ends_at, lambda: self.on_end(task))
        return task

    def _new_id(self) -> tuple[str, bool]:
        """A PoYo id, and whether PoYo gave it to an earlier task, too."""
        rng = self.simulator.rng
        if self.simulator.scenario.duplicate_poyo_ids and self.tasks and rng.random() < 0.5:
            first = rng.choice(self.tasks)
            first.duplicate_id = True
            return first.poyo_id, True
        return "".join(rng.choices(ALPHABET, k=16)), False

    def _ends_at(self, work: str | None) -> int | None:
        rng = self.simulator.rng
        if work == "stuck":
            return None
        if work == "instant":
            return self.simulator.now + rng.randint(0, 3000)
        if work in ("slow", "about_a_day"):
            days = rng.choice((0.08, 0.2, 0.8)) if work == "slow" else rng.uniform(0.98, 1.25)
            return self.simulator.now + round(days * DAY_MS)
        return self.simulator.now + rng.randint(30_000, 600_000)
