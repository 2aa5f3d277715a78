"""The invariants about credits: no cap is passed, and the sums of items are the sums of their tasks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from imagetasks.tasks.conditional_write import Item
from tests.simulation.process import Process, require
from tests.simulation.scheduler import HOUR_MS, Simulator
from tests.simulation.transition_invariants import brief
from tests.simulation.upstream_ledger import Ledger
from tests.support.booked_credits import UNRESOLVED, false_items, is_unresolved, spend_pks

MONEY = ("state", "reason", "charged_credits", "estimated_credits", "spend_pks")
BOOKED = ("spend", "usage", "token", "unresolved")
LENGTHS_MS = {"1h": HOUR_MS, "1d": 24 * HOUR_MS, "2d": 48 * HOUR_MS}


class SpendingInvariants:
    """Checks every transaction that books credits, and the whole table at the end."""

    def __init__(self, simulator: Simulator, ledger: Ledger) -> None:
        self.items: dict[str, dict[str, Any]]  # the table's, by pk
        self.settled: dict[str, set[Decimal]] = {}  # what operators said of each task
        self._simulator = simulator
        self._ledger = ledger
        self._new: list[Item] = []
        self._changed = False

    def check_write(self, old: Item, new: Item) -> None:
        """Note what a write does to credits; `check_commit` judges it with the others of its transaction."""
        kind = new["pk"].partition("#")[0]
        if kind == "task":
            self._check_task(old, new)
        elif kind in BOOKED:
            self._changed = True
            kept = "revoked_at" not in old or old["revoked_at"] == new.get("revoked_at")
            require(kept, "revoked_at is written once", new["pk"])
            risen = old.get("soft_limit", -1) <= new.get("soft_limit", -1)
            require(risen, "a soft limit is noted once, or again when it is raised", new["pk"])

    def _check_task(self, old: Item, new: Item) -> None:
        if not old:
            self._new.append(new)
        changed = [name for name in MONEY if old.get(name) != new.get(name)]
        self._changed = self._changed or bool(changed)
        kept = not old or not {"estimated_credits", "spend_pks"} & set(changed)
        require(
            kept, "an order's estimate and the items that it is booked in never change", brief(new)
        )
        if self._simulator.process.operation == "operate" and "charged_credits" in changed:
            self.settled.setdefault(str(new["task_id"]), set()).add(new["charged_credits"])
            self._simulator.counts["event", "settled"] += 1

    def check_commit(self) -> None:
        """Check the sums after a transaction, and the limits if it accepted an order."""
        if not self._changed:
            return
        accepted, self._new, self._changed = self._new, [], False
        wrong = false_items(self.items)
        require(not wrong, "the sums of an item are the sums of its tasks", wrong)
        for task in accepted:
            self._check_accepted(task, self._simulator.process)

    def _check_accepted(self, task: Item, process: Process) -> None:
        pks = spend_pks(task)
        shown = task["pk"], pks
        paused = process.rules.get("settings", {}).get("paused")
        require(not paused, "no order is accepted while orders are paused", shown)
        parts = {pk: _parts(pk) for pk in pks if pk.startswith("spend#")}
        periods = {(duration, scope): pk for pk, (duration, _, scope) in parts.items()}
        caps = self._caps(task, process)
        require(set(periods) == set(caps), f"an order counts against {sorted(caps)}", shown)
        for key, pk in periods.items():
            within = self.items[pk]["committed"] <= caps[key]
            require(within, f"no reservation passes its limit {caps[key]}", self.items[pk])
            require(
                _is_current(pk, self._simulator.now, process), "the period is the present one", pk
            )
        tokens = [pk for pk in pks if pk.startswith("token#")]
        expected = [f"token#{process.token_id}"] if process.token_id else []
        require(tokens == expected, "an order counts against its token", shown)
        for pk in tokens:
            self._check_token(self.items[pk])
        usages = [pk for pk in pks if pk.startswith("usage#")]
        named = [pk.partition("#")[2].split("#")[1:] for pk in usages]
        require(
            named == [[task["model"], task["owner"]]], "an order is in its owner's usage", shown
        )

    def _caps(self, task: Item, process: Process) -> dict[tuple[str, str], Decimal]:
        """The lowest limit by duration and scope, from what the process read and the deployment."""
        scenario, owner = self._simulator.scenario, str(task["owner"])
        caps: dict[tuple[str, str], Decimal] = {}
        if scenario.stack_daily is not None:
            caps["1d", "stack"] = scenario.stack_daily
        for scope in ("stack", f"key:{owner}", f"owner:{owner}"):
            budget = process.rules.get(f"budget#{scope}", {"removed": True})
            if "removed" not in budget:
                key = (budget.get("duration", "ever"), scope)
                caps[key] = min(caps.get(key, budget["max_credits"]), budget["max_credits"])
            elif scope.startswith("owner:") and scenario.owner_daily is not None:
                caps["1d", scope] = scenario.owner_daily
        return caps

    def _check_token(self, token: Item) -> None:
        self._simulator.counts["event", "ordered_with_token"] += 1
        require("revoked_at" not in token, "a revoked token orders nothing", token)
        require(token["committed"] <= token["max_credits"], "a token keeps its credits", token)
        few = "max_tasks" not in token or token["tasks"] <= token["max_tasks"]
        require(few, "a token keeps its number of tasks", token)

    def check_end(self, listed: list[str]) -> None:
        """Check the list of unresolved tasks as its index shows it, and the charges of finished tasks."""
        tasks = [item for pk, item in self.items.items() if pk.startswith("task#")]
        unresolved = {f"unresolved#{each['task_id']}" for each in tasks if is_unresolved(each)}
        require(set(listed) == unresolved, f"unresolved tasks are listed: {unresolved}", listed)
        self._simulator.counts["event", "unresolved_listed"] += bool(unresolved)
        wrong = false_items(self.items)
        require(not wrong, "the sums of an item are the sums of its tasks", wrong)
        for task in tasks:
            if task["state"] == "finished":
                self._check_charged(task)

    def _check_charged(self, task: Item) -> None:
        """A finished task is charged what PoYo's status said, or the operator before."""
        known = [each for each in self._ledger.tasks if each.poyo_id == task["poyo_id"]]
        amounts = {amount for each in known for amount in each.reported_credits}
        amounts |= {each for each in self.settled.get(str(task["task_id"]), ()) if each}
        if any(each.task_id != task["task_id"] for each in known):
            amounts.add(task["estimated_credits"])  # a forged callback gave it another one's id
        right = task["charged_credits"] in amounts
        require(right, f"a finished task is charged what PoYo said: {amounts}", brief(task))


def listed_query() -> tuple[str, str]:
    """The index, and the partition in it, that list unresolved tasks."""
    return "by_owner", UNRESOLVED


def _parts(pk: str) -> tuple[str, str, str]:
    """Duration, start and scope of the item of a period."""
    _, duration, start, scope = pk.split("#", 3)
    return duration, start, scope


def _is_current(pk: str, now: int, process: Process) -> bool:
    """Whether the period contains an instant of the process, by its own clock."""
    duration, start, _ = _parts(pk)
    if duration == "ever":
        return start == "0"
    first, last = process.begun_at + process.clock_skew_ms, now + process.clock_skew_ms
    length, began = LENGTHS_MS[duration], int(start)
    aligned = began % LENGTHS_MS["1h" if duration == "1h" else "1d"] == 0
    return aligned and began <= last and first < began + length
