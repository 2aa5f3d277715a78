"""Runs one seed, from the first order until no work is left."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from imagetasks.workflows.receive_callback import CallbackRequest
from tests.simulation.attackers import Attackers
from tests.simulation.bucket import SimulatedBucket, SimulatedDownloads
from tests.simulation.callbacks import CallbackSender
from tests.simulation.clients import Client
from tests.simulation.coverage import POINTS
from tests.simulation.functions import Functions
from tests.simulation.invariants import Invariants
from tests.simulation.list_readers import ListReader
from tests.simulation.log_capture import captured_logs
from tests.simulation.operators import Operator, first_items
from tests.simulation.process import InvariantViolated, TraceLine
from tests.simulation.queue import Message, SimulatedQueue
from tests.simulation.receivers import SimulatedReceivers
from tests.simulation.sandbox import ExternalServices
from tests.simulation.scenario import random_scenario
from tests.simulation.scheduler import BEGIN_MS, HOUR_MS, MINUTE_MS, Simulator
from tests.simulation.secrets import SimulatedSecrets
from tests.simulation.short_day import DAY_MS
from tests.simulation.spending_invariants import listed_query
from tests.simulation.table import SimulatedTable
from tests.simulation.upstream import SimulatedPoyo
from tests.simulation.upstream_ledger import Ledger

MAX_FAULT_FREE_MS = 8 * DAY_MS  # a recoverable failure may be polled for a week


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of a seed; `violation` names the invariant that does not hold, None if all hold."""

    seed: int
    violation: str | None
    lifecycles: int
    counts: Counter[tuple[str, str]]
    trace: list[TraceLine]

    @property
    def digest(self) -> str:
        """SHA-256 of the whole trace."""
        return hashlib.sha256(repr(self.trace).encode()).hexdigest()


def run_seed(seed: int, *, upstream_denies: bool = False, tracing: bool = False) -> Result:
    """Run one seed; the number determines everything that happens in it."""
    rng = random.Random(f"imagetasks {seed}")  # noqa: S311 - seeded, not secret
    simulator = Simulator(
        scenario=random_scenario(rng, POINTS, upstream_denies=upstream_denies),
        rng=rng,
        tracing=tracing,
    )
    simulation = _Simulation(simulator)
    violation = None
    with captured_logs(simulation.check_log_line):
        try:
            simulation.run()
        except InvariantViolated as error:
            violation = str(error)
    tasks = sum(pk.startswith("task#") for pk in simulation.table.memory.items)
    return Result(
        seed=seed,
        violation=violation,
        lifecycles=tasks,
        counts=simulator.counts,
        trace=simulator.trace,
    )


class _Simulation:
    """Builds and runs everything of one seed: services, functions, clients and attackers."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.bucket = SimulatedBucket(simulator)
        self.queue = SimulatedQueue(simulator)
        self.notification_queue = SimulatedQueue(simulator)
        self.secrets = SimulatedSecrets(simulator)
        self.callbacks = CallbackSender(simulator, self._send_callback)
        self.ledger = Ledger(simulator, self.callbacks)
        self.invariants = Invariants(simulator, self.ledger, self.bucket, self.secrets)
        spending = self.invariants.spending
        self.table = SimulatedTable(simulator, self.invariants.check_write, spending.check_commit)
        self.invariants.items = spending.items = self.table.memory.items
        for item in first_items(simulator):
            self.table.add(item)
        self.poyo = SimulatedPoyo(
            simulator, self.ledger, self.secrets, self.invariants.check_submit
        )
        downloads = SimulatedDownloads(simulator, self.ledger.file_at)
        self.invariants.results.without_image = downloads.without_image
        notifications = self.invariants.notifications
        services = ExternalServices(
            table=self.table,
            queue=self.queue,
            notification_queue=self.notification_queue,
            bucket=self.bucket,
            downloads=downloads,
            receivers=SimulatedReceivers(
                simulator, notifications.check_attempt, notifications.on_accepted
            ),
            secrets=self.secrets,
            poyo=self.poyo,
        )
        self.functions = Functions(simulator, services)
        self.queue.deliver = self._deliver
        self.notification_queue.deliver = self.functions.notify
        self.attackers = Attackers(simulator, self.functions, self.ledger, self.secrets)

    def run(self) -> None:
        """Run with faults until `chaos_ms`, then without faults until no work is left."""
        simulator, scenario = self.simulator, self.simulator.scenario
        self._schedule_actors()
        simulator.run(BEGIN_MS + scenario.chaos_ms)
        simulator.fault_free_since = simulator.now
        simulator.record("simulator", "faults end")
        self.queue.redrive()
        self.notification_queue.redrive()
        # A task that never ends leaves only events after the limit: stop, and let the check fail.
        simulator.run(simulator.now + MAX_FAULT_FREE_MS, is_over=self._is_idle)
        self.invariants.check_end()
        index, partition = listed_query()
        listed = self.table.memory.query_page(index, partition, limit=1000, after=None)
        self.invariants.spending.check_end([each["pk"] for each in listed])

    def _schedule_actors(self) -> None:
        """Schedule the orders, the list readers, the attacks, the key rotations and the sweep."""
        simulator, scenario, rng = self.simulator, self.simulator.scenario, self.simulator.rng
        for n in range(scenario.orders):
            name = f"owner{n % 2}/key{n // 2}"
            client = Client(simulator, self.functions, self.invariants, name)
            simulator.at(self._random_time(0.02 if scenario.orders_at_once else 0.7), client.begin)
        for _ in range(scenario.list_readers):
            simulator.at(
                self._random_time(), ListReader(simulator, self.functions, self.invariants).begin
            )
        for _ in range(scenario.attacks):
            simulator.at(self._random_time(), self.attackers.send_invalid_callback)
            simulator.at(self._random_time(), self.attackers.use_leaked_url)
        for _ in range(scenario.rotations):
            rotate = partial(self.secrets.rotate_poyo, overlap_s=rng.choice((0, 2, 900)))
            simulator.at(self._random_time(), rotate)
            simulator.at(self._random_time(), self.secrets.rotate_callback)
        if rng.random() < 0.5:
            simulator.at(self._random_time(), self.queue.redrive)
            simulator.at(self._random_time(), self.notification_queue.redrive)
        operator = Operator(simulator, self.functions)
        for _ in range(scenario.operator_acts):
            simulator.at(self._random_time(0.7), operator.act)
        for _ in range(scenario.settles):
            settled_at = self._random_time() + rng.choice((0, 2 * HOUR_MS))
            for _ in range(rng.choice((1, 2))):  # two operators at once
                simulator.at(settled_at + rng.randrange(50), operator.settle)
        simulator.at(BEGIN_MS + MINUTE_MS, self._run_schedule)

    def _random_time(self, share: float = 1.0) -> int:
        return BEGIN_MS + self.simulator.rng.randrange(
            round(self.simulator.scenario.chaos_ms * share) + 1
        )

    def _run_schedule(self) -> None:
        """Start a sweep every minute; under faults sometimes none and sometimes two."""
        simulator = self.simulator
        due_at = self.table.next_due()
        next_at = simulator.now + MINUTE_MS
        if due_at is None or due_at > simulator.now + simulator.scenario.skew_ms:
            # Skip sweeps that would find nothing: no task is due before the next event.
            due_at = due_at or simulator.now + HOUR_MS
            idle_ms = (
                min(due_at - simulator.scenario.skew_ms, simulator.next_at() or due_at)
                - simulator.now
            )
            next_at += max(0, idle_ms // MINUTE_MS) * MINUTE_MS
        else:
            times = 1
            if not simulator.fault_free and simulator.rng.random() < 0.1:
                times = simulator.rng.choice((0, 2))
                simulator.counts["event", "two_sweeps" if times else "sweep_skipped"] += 1
            for _ in range(times):
                self.functions.sweep()
        simulator.at(next_at, self._run_schedule)

    def _is_idle(self) -> bool:
        """Whether only the next sweep is scheduled and no task is due at any time."""
        return self.simulator.pending == 1 and self.table.next_due() is None

    def _send_callback(
        self, actor: str, callback: CallbackRequest, on_response: Callable[[bool], None]
    ) -> None:
        self.simulator.record(actor, "sends callback")
        self.functions.webhook(callback, lambda _, result: on_response(result.value is True))

    def _deliver(self, message: Message, done: Callable[[bool], None]) -> None:
        content = json.loads(message.body)
        if message.receives == 1 and not message.redriven:
            self.invariants.on_message(str(content["task_id"]))

        def on_end(ok: bool) -> None:
            if ok and (content["source"] == "callback" or content["poyo_id"]):
                self.invariants.on_callback_heard(str(content["task_id"]))
            done(ok)

        self.functions.worker(message, on_end)

    def check_log_line(self, text: str) -> None:
        """Check that a log line holds no prompt, key, MAC or URL."""
        secrets = ("CANARY", "https://", "/callbacks/", *self.poyo.macs)
        found = next((each for each in secrets if each in text), None)
        if found:
            raise InvariantViolated(f"no secret is logged: {found} in {text.strip()[:300]}")
