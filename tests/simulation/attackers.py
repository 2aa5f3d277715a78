"""Strangers at the callback door, and those to whom a URL has leaked."""

from __future__ import annotations

from tests.simulation.callbacks import leaked, strange
from tests.simulation.faults import LEAKS, STRANGERS
from tests.simulation.functions import Functions
from tests.simulation.process import Broken, End, Process
from tests.simulation.scheduler import World
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.upstream_ledger import Ledger


class Visitors:
    """Everyone but PoYo who calls."""

    def __init__(
        self, world: World, functions: Functions, ledger: Ledger, secrets: SimulatedSecrets
    ) -> None:
        self._world = world
        self._functions = functions
        self._ledger = ledger
        self._secrets = secrets

    def stranger(self) -> None:
        """Somebody who knows a task's id and everything else but its mac."""
        if len(self._ledger.made) < 2:
            return
        kind = self._world.chance.choice(STRANGERS)
        mine, other = self._world.chance.sample(self._ledger.made, 2)
        if mine.task_id == other.task_id:
            return
        callback = strange(kind, mine.callback_url, other.callback_url, self._secrets.retired)
        self._world.counts["event", f"stranger {kind}"] += 1
        self._world.tell("stranger", "knocks", kind)
        self._functions.webhook(callback, _turned_away)

    def leak(self) -> None:
        """Somebody who has the URL, and with it the right to have a look taken, no more."""
        if not self._ledger.made:
            return
        kind = self._world.chance.choice(LEAKS)
        made = self._world.chance.choice(self._ledger.made)
        # An id that is bound already: of two unbound tasks none can be told from the other.
        others = [each for each in self._ledger.made if each.owned and each is not made]
        if kind == "id_of_another_task" and not others:
            return
        other_id = self._world.chance.choice(others).poyo_id if others else ""
        callback, readable = leaked(kind, made.callback_url, other_id)
        self._world.counts["event", f"leak {kind}"] += 1
        self._world.tell("stranger", "knows a URL", kind)
        refused = readable and self._world.plan.signed
        self._functions.webhook(callback, _turned_away if refused else _heard)


def _turned_away(process: Process, end: End) -> None:
    """The same 404 for all, and nothing but a secret was read for it."""
    if end.value:
        raise Broken("nobody gets in: a stranger was heard")
    if set(process.effects) - {"secrets.get"}:
        raise Broken(f"a stranger costs nothing: {process.effects}")


def _heard(_: Process, __: End) -> None:
    """Whatever is said at the right door costs a look."""
