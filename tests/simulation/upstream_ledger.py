"""What PoYo has made and was asked for: its own memory of our orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from tests.simulation import answers
from tests.simulation.process import Process
from tests.simulation.scheduler import HOUR_MS, World

FILES = "https://files.invalid/CANARY-url"
FILE_LIFE_MS = 24 * HOUR_MS
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
FAILURES = {
    "exception": "Server exception",
    "moderated": "The prompt violates our content policy",
}


@dataclass(eq=False)
class Made:
    """A task at PoYo, made and charged; instants in ms, `ends_at` None for one that never ends."""

    poyo_id: str
    order: str
    task_id: str
    callback_url: str
    made_at: int
    known_at: int
    ends_at: int | None
    end: str
    urls: tuple[str, ...]
    lied: bool = False
    shared: bool = False
    owned: bool = False  # a row of ours has its id
    told: Process | None = None  # who got the answer that names this task
    heard_at: int | None = None  # our webhook's first 200 to a callback that names this task
    not_found_count: int = 0  # times that a status answered 404
    spoilt: int = 0  # times that the result was shown without a picture
    meter: set[Decimal] = field(default_factory=set)  # what it was said to have cost

    def ended(self, now: int) -> bool:
        """Whether PoYo is done with it."""
        return self.ends_at is not None and now >= self.ends_at


@dataclass(frozen=True, slots=True)
class Post:
    """A submit that reached PoYo: for which order, and whether it may have made something."""

    order: str
    outcome: str  # made, unclear, refused, later


@dataclass(eq=False)
class Ledger:
    """Everything PoYo has made and every submit that reached it."""

    world: World
    announce: Callable[[Made], None]
    made: list[Made] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    outdated: set[str] = field(default_factory=set)  # orders whose last submit had an old key

    def find(self, poyo_id: str) -> Made | None:
        """The task with this id."""
        return next((each for each in self.made if each.poyo_id == poyo_id), None)

    def posted(self, order: str) -> list[str]:
        """What came of every submit of an order so far."""
        return [post.outcome for post in self.posts if post.order == order]

    def serve(self, url: str) -> bytes | None:
        """The bytes at a file's address, None when they are gone."""
        made = next((each for each in self.made if url in each.urls), None)
        if made is None or made.ends_at is None or self.world.now > made.ends_at + FILE_LIFE_MS:
            return None
        return answers.picture(url)

    def spoilt(self, url: str) -> None:
        """The file host showed something else than the picture."""
        for made in self.made:
            made.spoilt += url in made.urls

    def make(self, order: str, task_id: str, url: str, *, lied: bool = False) -> Made:
        """Create and charge, or find again where the Idempotency-Key is honoured."""
        world = self.world
        known = [each for each in self.made if each.task_id == task_id]
        if known and world.plan.honours_idempotency:
            return known[0]
        chance, now = world.chance, world.now
        poyo_id = "".join(chance.choices(ALPHABET, k=16))
        shared = world.plan.shared_ids and bool(self.made) and chance.random() < 0.5
        if shared:
            first = chance.choice(self.made)
            first.shared, poyo_id = True, first.poyo_id
        work = world.fault("poyo.work")
        urls = tuple(f"{FILES}/{poyo_id}/{n}.png" for n in range(1 + (work == "two_files")))
        hidden_ms = 0 if chance.random() < 0.7 else chance.uniform(100, 40_000)
        made = Made(
            poyo_id=poyo_id,
            order=order,
            task_id=task_id,
            callback_url=url,
            made_at=now,
            known_at=now + round(hidden_ms),
            ends_at=self._ends_at(work),
            end=work if work in FAILURES else "image",
            urls=urls,
            lied=lied,
            shared=shared,
        )
        if any(each.task_id == task_id for each in self.made):
            world.counts["lie", "paid twice"] += 1
        self.made.append(made)
        world.tell("poyo", f"makes {poyo_id}", f"{task_id[:6]}: {made.end}, {work or 'ordinary'}")
        if made.ends_at is not None:
            world.at(made.ends_at, lambda: self.announce(made))
        return made

    def _ends_at(self, work: str | None) -> int | None:
        chance = self.world.chance
        if work == "stuck":
            return None
        if work == "instant":
            return self.world.now + chance.randint(0, 3000)
        if work in ("slow", "a_day"):
            hours = chance.choice((0.5, 3, 20)) if work == "slow" else chance.uniform(23.5, 30)
            return self.world.now + round(hours * HOUR_MS)
        return self.world.now + chance.randint(30_000, 600_000)
