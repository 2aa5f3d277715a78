"""Unauthenticated callers of the callback URL, and callers who hold a leaked URL."""

from __future__ import annotations

from tests.simulation.callbacks import invalid_callback, leaked_url_callback
from tests.simulation.faults import INVALID_CALLBACKS, LEAKED_URL_BODIES
from tests.simulation.functions import Functions
from tests.simulation.process import InvariantViolated, Process, ProcessResult
from tests.simulation.scheduler import Simulator
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.upstream_ledger import Ledger


class Attackers:
    """Calls the callback URLs of tasks without being PoYo."""

    def __init__(
        self, simulator: Simulator, functions: Functions, ledger: Ledger, secrets: SimulatedSecrets
    ) -> None:
        self._simulator = simulator
        self._functions = functions
        self._ledger = ledger
        self._secrets = secrets

    def send_invalid_callback(self) -> None:
        """Call with a correct task id but without a valid MAC."""
        if len(self._ledger.tasks) < 2:
            return
        kind = self._simulator.rng.choice(INVALID_CALLBACKS)
        task, other = self._simulator.rng.sample(self._ledger.tasks, 2)
        if task.task_id == other.task_id:
            return
        callback = invalid_callback(
            kind, task.callback_url, other.callback_url, self._secrets.retired
        )
        self._simulator.counts["event", f"invalid_callback {kind}"] += 1
        self._simulator.record("attacker", "sends invalid callback", kind)
        self._functions.webhook(callback, _expect_rejected)

    def use_leaked_url(self) -> None:
        """Call a valid callback URL with a forged body: at most it triggers a status check."""
        if not self._ledger.tasks:
            return
        kind = self._simulator.rng.choice(LEAKED_URL_BODIES)
        task = self._simulator.rng.choice(self._ledger.tasks)
        others = [each for each in self._ledger.tasks if each.task_id != task.task_id]
        if kind == "id_of_another_task" and not others:
            return
        other = self._simulator.rng.choice(others or [task])
        if kind == "id_of_another_task" and not self._simulator.scenario.signed_callbacks:
            self._simulator.counts["event", "unconfirmed_id_named"] += not other.confirmed
            task.named_wrongly = task.named_wrongly or not task.confirmed
            other.named_wrongly = other.named_wrongly or not other.confirmed
        callback = leaked_url_callback(kind, task.callback_url, other.poyo_id)
        self._simulator.counts["event", f"leaked_url {kind}"] += 1
        self._simulator.record("attacker", "uses a leaked URL", kind)
        self._functions.webhook(callback, _ignore)


def _expect_rejected(process: Process, result: ProcessResult) -> None:
    """Check that the callback was rejected and that only a secret was read for it."""
    if result.value:
        raise InvariantViolated(f"an unauthenticated callback is rejected: {process.actor}")
    if set(process.effects) - {"secrets.get"}:
        raise InvariantViolated(f"an unauthenticated callback causes no work: {process.effects}")


def _ignore(_: Process, __: ProcessResult) -> None:
    """A callback to a valid URL may be accepted: it triggers one status check."""
