"""Strangers at the callback door, and those to whom a URL has leaked."""

from __future__ import annotations

from tests.simulation.callbacks import invalid_callback, leaked_url_callback
from tests.simulation.faults import INVALID_CALLBACKS, LEAKED_URL_BODIES
from tests.simulation.functions import Functions
from tests.simulation.process import InvariantViolated, Process, ProcessResult
from tests.simulation.scheduler import Simulator
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.upstream_ledger import Ledger


class Attackers:
    """Everyone but PoYo who calls."""

    def __init__(
        self, simulator: Simulator, functions: Functions, ledger: Ledger, secrets: SimulatedSecrets
    ) -> None:
        self._simulator = simulator
        self._functions = functions
        self._ledger = ledger
        self._secrets = secrets

    def send_invalid_callback(self) -> None:
        """Somebody who knows a task's id and everything else but its mac."""
        if len(self._ledger.tasks) < 2:
            return
        kind = self._simulator.rng.choice(INVALID_CALLBACKS)
        mine, other = self._simulator.rng.sample(self._ledger.tasks, 2)
        if mine.task_id == other.task_id:
            return
        callback = invalid_callback(
            kind, mine.callback_url, other.callback_url, self._secrets.retired
        )
        self._simulator.counts["event", f"invalid_callback {kind}"] += 1
        self._simulator.record("stranger", "knocks", kind)
        self._functions.webhook(callback, _expect_rejected)

    def use_leaked_url(self) -> None:
        """Somebody who has the URL, and with it the right to have a look taken, no more."""
        if not self._ledger.tasks:
            return
        kind = self._simulator.rng.choice(LEAKED_URL_BODIES)
        task = self._simulator.rng.choice(self._ledger.tasks)
        # An id that is bound already: of two unbound tasks none can be told from the other.
        others = [each for each in self._ledger.tasks if each.confirmed and each is not task]
        if kind == "id_of_another_task" and not others:
            return
        other_id = self._simulator.rng.choice(others).poyo_id if others else ""
        callback, readable = leaked_url_callback(kind, task.callback_url, other_id)
        self._simulator.counts["event", f"leaked_url {kind}"] += 1
        self._simulator.record("stranger", "knows a URL", kind)
        refused = readable and self._simulator.scenario.signed_callbacks
        self._functions.webhook(callback, _expect_rejected if refused else _accept)


def _expect_rejected(process: Process, result: ProcessResult) -> None:
    """The same 404 for all, and nothing but a secret was read for it."""
    if result.value:
        raise InvariantViolated("nobody gets in: a stranger was heard")
    if set(process.effects) - {"secrets.get"}:
        raise InvariantViolated(f"a stranger costs nothing: {process.effects}")


def _accept(_: Process, __: ProcessResult) -> None:
    """Whatever is said at the right door costs a look."""
