"""Clients that read an owner's task list page by page while tasks change."""

from __future__ import annotations

from collections import Counter
from typing import Any

from imagetasks.api import pagination
from imagetasks.tasks.list_position import ListPosition
from tests.simulation.functions import Functions
from tests.simulation.invariants import Invariants
from tests.simulation.process import InvariantViolated, Process, ProcessResult
from tests.simulation.scheduler import Simulator

STATUSES = (None, None, None, "not_started", "running", "finished", "failed")
MAX_ATTEMPTS = 6  # for each page
MAX_PAGES = 40


class ListReader:
    """Reads one list from its newest task to its oldest."""

    def __init__(self, simulator: Simulator, functions: Functions, invariants: Invariants) -> None:
        self._simulator = simulator
        self._functions = functions
        self._invariants = invariants
        self._owner = simulator.rng.choice(("owner0", "owner1"))
        self._status = simulator.rng.choice(STATUSES)
        self._limit = simulator.rng.choice((1, 1, 2, 3, 100))
        self._seen: Counter[str] = Counter()
        self._expected: set[str] = set()
        self._attempts = self._pages = 0

    def begin(self) -> None:
        """Request the first page; the list must show every task that its index holds by now."""
        lag_ms = self._simulator.scenario.index_lag_ms
        known = self._invariants.created.items()
        self._expected = {
            task_id
            for task_id, (owner, at) in known
            if owner == self._owner and at <= self._simulator.now - lag_ms
        }
        self._request(None)

    def _request(self, after: str | None) -> None:
        requested_at = self._simulator.now

        def on_end(process: Process, result: ProcessResult) -> None:
            if result.value is None:
                self._retry(after)
                return
            self._attempts = 0
            self._check(result.value.tasks, requested_at)
            self._next_page(result.value.last)

        position = pagination.decode_cursor(after) if after else None
        self._functions.list_page(self._owner, self._status, self._limit, position, on_end)

    def _retry(self, after: str | None) -> None:
        self._attempts += 1
        if self._attempts < MAX_ATTEMPTS:
            self._simulator.after(
                self._simulator.rng.choice((0.2, 5, 300)), lambda: self._request(after)
            )

    def _check(self, tasks: tuple[Any, ...], requested_at: int) -> None:
        for task in tasks:
            self._seen[task.task_id] += 1
            self._invariants.deletions.check_shown(task.task_id, requested_at)
            if task.owner != self._owner:
                raise InvariantViolated(f"a list shows its owner's tasks only: {task.task_id}")
            if self._seen[task.task_id] > 1:
                raise InvariantViolated(f"a list shows each task once: {task.task_id}")
        if len(tasks) > self._limit:
            raise InvariantViolated(f"a page respects its limit: {len(tasks)} of {self._limit}")

    def _next_page(self, last: ListPosition | None) -> None:
        self._pages += 1
        if self._pages > MAX_PAGES:
            raise InvariantViolated(f"a list ends: more than {MAX_PAGES} pages")
        if last is None:
            self._finish()
            return
        after = pagination.encode_cursor(last)
        self._simulator.after(
            self._simulator.rng.choice((0, 0.5, 20, 600)), lambda: self._request(after)
        )

    def _finish(self) -> None:
        """Check that every task which existed at the first page and was not deleted was shown."""
        self._simulator.counts["event", "list_walked"] += 1
        self._simulator.counts["event", "list_of_several_pages"] += self._pages > 1
        if self._status is not None:
            return  # a list by status may miss a task whose status changes, or show it late
        missed = self._expected - set(self._seen) - set(self._invariants.deletions.states)
        if missed:
            raise InvariantViolated(f"a list shows every task: {sorted(missed)}")
