"""The report of `cli.reconcile`: what it reads, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cli.charges import GROUPS, Usage
from cli.snapshots import Comparison, Snapshot
from cli.unresolved import plain
from imagetasks.tasks.bookings import booking
from imagetasks.tasks.budgets import Spend
from imagetasks.tasks.task import Task

MAX_LINES = 20  # of one group; JSON has all of them
COLUMNS = ("tasks", "estimated", "reserved", "charged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`usage` of the days `first` to `last`, the balance as of `snapshot` and how it `compared` with the
    one before (None: there was none), and the unresolved tasks."""

    first: str
    last: str
    usage: Usage
    snapshot: Snapshot
    compared: Comparison | None
    unresolved: tuple[Task, ...]

    @property
    def unresolved_credits(self) -> Decimal:
        """Credits that the unresolved tasks have reserved."""
        return sum((booking(task).reserved for task in self.unresolved), Decimal(0))

    def text(self) -> str:
        """The report for people."""
        return "\n".join([*self._period(), "", *self._balance(), "", *self._tasks()])

    def json(self) -> Mapping[str, Any]:
        """The report for programs: numbers are credits, instants RFC 3339."""
        groups = {
            name: {each: _sums(spend) for each, spend in self.usage.by(group).items()}
            for name, group in GROUPS.items()
        }
        total = _sums(self.usage.total())
        return {
            "period": {"from": self.first, "to": self.last, "total": total, "by": groups},
            "balance": self._balance_json(),
            "unresolved": {
                "credits": float(self.unresolved_credits),
                "tasks": [_task_json(task, self.snapshot.at) for task in self.unresolved],
            },
        }

    def _period(self) -> list[str]:
        lines = [f"Usage of {self.first} to {self.last}, by the day of the order (UTC)"]
        lines.append(_row("", COLUMNS))
        for name, group in GROUPS.items():
            sums = self.usage.by(group)
            lines += [_row(f"{name} {each}", _cells(sums[each])) for each in list(sums)[:MAX_LINES]]
            if len(sums) > MAX_LINES:
                lines.append(f"  and {len(sums) - MAX_LINES} more by {name}: --json lists them")
        return [*lines, _row("total", _cells(self.usage.total()))]

    def _balance(self) -> list[str]:
        balance, compared = plain(self.snapshot.balance), self.compared
        if compared is None:
            return [
                f"PoYo's balance: {balance} credits",
                "This is the first run. It is stored as the starting point: the next run compares with it.",
            ]
        since, unexplained = instant(compared.before.at), compared.unexplained
        lines = [
            f"PoYo's balance: {balance} credits, {plain(compared.before.balance)} on {since}",
            f"since then {plain(compared.charged)} charged, {plain(compared.reserved)} more reserved",
            f"unexplained: {plain(unexplained)} (since the first run: {plain(self.snapshot.unexplained)})",
        ]
        if unexplained < 0:
            lines.append(
                "  Less left than tasks have taken: a top-up, credits that PoYo gave back, or tasks that PoYo has"
                " not charged (yet, or ever). A top-up cannot be told apart, and hides unexplained credits."
            )
        if unexplained > 0:
            lines.append(
                "  More left than tasks have taken: a second PoYo task of an order, a task of another program with"
                " the same key, or a charge that nobody has told us."
            )
        return lines

    def _tasks(self) -> list[str]:
        of_period, unresolved = plain(self.usage.total().reserved), plain(self.unresolved_credits)
        lines = [
            f"Reserved by tasks of the period: {of_period} credits",
            f"Reserved by {len(self.unresolved)} unresolved tasks of any day: {unresolved} credits",
        ]
        for task in self.unresolved:
            polled = "still polled" if task.due_at is not None else "no longer polled"
            ids = task.poyo_id or ", ".join(task.candidate_poyo_ids) or "no PoYo id"
            age = _age(self.snapshot.at - task.created_at)
            lines.append(
                f"  {task.task_id}  {plain(booking(task).reserved)} credits, {task.model}, {task.owner},"
                f" {task.reason}, {age} old, {polled}, {ids}"
            )
        if self.unresolved:
            lines.append("decide each: reconcile charge TASK_ID, or reconcile release TASK_ID")
        return lines

    def _balance_json(self) -> Mapping[str, Any]:
        found: dict[str, Any] = {"credits": float(self.snapshot.balance), "since": None}
        if self.compared is not None:
            found |= {
                "since": instant(self.compared.before.at),
                "before": float(self.compared.before.balance),
                "charged": float(self.compared.charged),
                "reserved": float(self.compared.reserved),
                "unexplained": float(self.compared.unexplained),
                "unexplained_since_first_run": float(self.snapshot.unexplained),
            }
        return found


def instant(at: int) -> str:
    """An instant (milliseconds) to the second, in UTC."""
    text = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")


def _sums(spend: Spend) -> Mapping[str, float]:
    return {
        "tasks": spend.tasks,
        "estimated": float(spend.estimated),
        "reserved": float(spend.reserved),
        "charged": float(spend.charged),
    }


def _cells(spend: Spend) -> tuple[str, ...]:
    amounts = (spend.estimated, spend.reserved, spend.charged)
    return (str(spend.tasks), *map(plain, amounts))


def _row(name: str, cells: tuple[str, ...]) -> str:
    return f"  {name:<40}" + "".join(f"{cell:>12}" for cell in cells)


def _age(age_ms: int) -> str:
    hours = age_ms // (60 * 60 * 1000)
    return f"{hours} h" if hours < 72 else f"{hours // 24} days"


def _task_json(task: Task, now: int) -> Mapping[str, Any]:
    return {
        "task_id": task.task_id,
        "owner": task.owner,
        "model": task.model,
        "reason": task.reason,
        "reserved": float(booking(task).reserved),
        "created_at": instant(task.created_at),
        "age_s": (now - task.created_at) // 1000,
        "poyo_id": task.poyo_id,
        "candidate_poyo_ids": list(task.candidate_poyo_ids),
        "polled": task.due_at is not None,
    }
