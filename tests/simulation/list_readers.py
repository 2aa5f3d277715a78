"""Those who leaf through an owner's list, a page at a time, while everything goes on."""

from __future__ import annotations

from collections import Counter
from typing import Any

from imagetasks.api import pagination
from imagetasks.api.pagination import ListPosition
from tests.simulation.functions import Functions
from tests.simulation.invariants import Promises
from tests.simulation.process import Broken, End, Process
from tests.simulation.scheduler import World

STATUSES = (None, None, None, "not_started", "running", "finished", "failed")
MOST_TRIES = 6  # at one page
MOST_PAGES = 40


class Browser:
    """One walk through a list, from its newest task to its oldest."""

    def __init__(self, world: World, functions: Functions, promises: Promises) -> None:
        self._world = world
        self._functions = functions
        self._promises = promises
        self._owner = world.chance.choice(("owner0", "owner1"))
        self._status = world.chance.choice(STATUSES)
        self._limit = world.chance.choice((1, 1, 2, 3, 100))
        self._seen: Counter[str] = Counter()
        self._owed: set[str] = set()
        self._tries = self._pages = 0

    def begin(self) -> None:
        """Ask for the first page; all that the list knows of by now has to be shown."""
        lag_ms = self._world.plan.index_lag_ms
        known = self._promises.created.items()
        self._owed = {
            task_id
            for task_id, (owner, at) in known
            if owner == self._owner and at <= self._world.now - lag_ms
        }
        self._ask(None)

    def _ask(self, after: str | None) -> None:
        asked_at = self._world.now

        def answered(process: Process, end: End) -> None:
            if end.value is None:
                self._again(after)
                return
            self._tries = 0
            self._check(end.value.tasks, asked_at)
            self._turn(end.value.last)

        place = pagination.decode_cursor(after) if after else None
        self._functions.page(self._owner, self._status, self._limit, place, answered)

    def _again(self, after: str | None) -> None:
        self._tries += 1
        if self._tries < MOST_TRIES:
            self._world.after(self._world.chance.choice((0.2, 5, 300)), lambda: self._ask(after))

    def _check(self, tasks: tuple[Any, ...], asked_at: int) -> None:
        for task in tasks:
            self._seen[task.task_id] += 1
            self._promises.deleting.shown(task.task_id, asked_at)
            if task.owner != self._owner:
                raise Broken(f"a list is its owner's: {task.task_id}")
            if self._seen[task.task_id] > 1:
                raise Broken(f"a list shows each task once: {task.task_id}")
        if len(tasks) > self._limit:
            raise Broken(f"a page has its limit: {len(tasks)} of {self._limit}")

    def _turn(self, last: ListPosition | None) -> None:
        self._pages += 1
        if self._pages > MOST_PAGES:
            raise Broken("a list has an end")
        if last is None:
            self._end()
            return
        after = pagination.encode_cursor(last)
        self._world.after(self._world.chance.choice((0, 0.5, 20, 600)), lambda: self._ask(after))

    def _end(self) -> None:
        """Every task that was there at the first page and still is has been shown."""
        self._world.counts["event", "list_walked"] += 1
        self._world.counts["event", "list_of_pages"] += self._pages > 1
        if self._status is not None:
            return  # one that changes its status meanwhile may be missed, or be met on its way
        missed = self._owed - set(self._seen) - set(self._promises.deleting.states)
        if missed:
            raise Broken(f"a list shows every task: {sorted(missed)}")
