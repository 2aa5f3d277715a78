"""Tasks: what PoYo stores of each accepted order, and the JSON it shows of it."""

import math
import string
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from local.poyo_simulator.clock import naive_timestamp
from local.poyo_simulator.orders import Order
from local.poyo_simulator.seeded_random import seeded_random

ALPHABET = string.ascii_uppercase + string.digits
NOT_STARTED, RUNNING, FINISHED, FAILED = "not_started", "running", "finished", "failed"


def derive_id(*seed_parts: object) -> str:
    """Return an id in PoYo's form, the same for the same parts."""
    return "".join(seeded_random("id", *seed_parts).choices(ALPHABET, k=16))


@dataclass
class Task:
    """One accepted order; moments are unix seconds of the simulator's clock."""

    id: str
    order: Order
    created: float
    begins: float
    ends: float
    origin: str
    credits: Decimal
    state: str = NOT_STARTED
    ended: float | None = None
    error_message: str | None = None
    fails_with: str | None = None
    callback_early_s: float = 0.0
    file_query: str = ""
    submits: int = 1
    status_reads: int = 0
    file_reads: int = 0
    callbacks: list[dict[str, object]] = field(default_factory=list)

    @property
    def open(self) -> bool:
        return self.state in (NOT_STARTED, RUNNING)

    @property
    def file_names(self) -> list[str]:
        numbers = range(self.order.images)
        return [f"{self.id}{f'-{n}' if n else ''}.{self.order.format}" for n in numbers]

    @property
    def file_urls(self) -> list[str]:
        names = self.file_names
        return [f"{self.origin}/files/{self.id}/{name}{self.file_query}" for name in names]

    def progress(self, now: float) -> float:
        if self.state != RUNNING:
            return 100.0 if self.state == FINISHED else 0.0
        if math.isinf(self.ends) or self.ends <= self.begins:
            return 50.0
        return round(min(99.0, 100 * (now - self.begins) / (self.ends - self.begins)), 1)

    def body(self, now: float, state: str | None = None) -> dict[str, object]:
        """Return the task object of PoYo's status and callback, optionally as if in ``state``."""
        state = state or self.state
        finished, failed = state == FINISHED, state == FAILED
        files = [{"file_url": url, "file_type": "image"} for url in self.file_urls]
        charged = float(self.credits) if finished else 0.0 if failed else None
        body: dict[str, object] = {
            "task_id": self.id,
            "status": state,
            "progress": 100.0 if finished else self.progress(now),
            "files": files if finished else [],
            "created_time": naive_timestamp(self.created),
            "credits_amount": charged,
        }
        if failed:
            body["error_message"] = self.error_message or "Server exception"
        return body


class TaskStore:
    """All tasks since the start or the last reset, in order."""

    def __init__(self, seed: str) -> None:
        self.tasks: list[Task] = []
        self.key_submits: Counter[str] = Counter()
        self._seed = seed
        self._by_id: dict[str, Task] = {}
        self._by_key: dict[str, Task] = {}
        self._order_counts: Counter[str] = Counter()

    def new_id(self, order: Order) -> str:
        """Return an id that depends on the seed, the order and how often it was accepted before.

        Submits of other orders in between do not change it.
        """
        key = order.correlation_key
        self._order_counts[key] += 1
        return derive_id(self._seed, key, self._order_counts[key])

    def add(self, task: Task) -> None:
        """Store a task; of two tasks with the same id, ``find`` returns the first."""
        self.tasks.append(task)
        self._by_id.setdefault(task.id, task)
        if task.order.idempotency_key:
            self._by_key.setdefault(task.order.idempotency_key, task)

    def find(self, task_id: str) -> Task | None:
        return self._by_id.get(task_id)

    def with_key(self, idempotency_key: str | None) -> Task | None:
        return self._by_key.get(idempotency_key or "")
