"""`make chaos`: load, faults, kill -9 and attacks; prints a table, exits 1 if an invariant is violated."""

import argparse
import secrets
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from local.chaos import attackers, customers, drain, invariants, observations, report
from local.chaos.killer import ProcessKiller
from local.chaos.run import CALLBACK_MODES, Options, PlacedOrder, Run
from local.chaos.scenarios import DOUBLE, PLAIN, choose
from local.chaos.system_under_test import (
    BACKGROUND_FAULTS,
    fault_rules,
    running_system,
    temporary_state,
)
from local.processes import ROOT
from local.progress import StepFailed, say, step
from local.system import System

SUBJECTS = ("lighthouse", "paper boat", "sleeping gull", "brass telescope")
WORKERS = 4  # of the ten that the template allows
VISIBILITY_S = "15"  # the message of a killed worker is redelivered after this, not after 6 minutes


def main() -> int:
    """Exit status: 0 if every invariant holds, 1 if not or if a step failed, 2 for wrong options."""
    options = _options()
    logs = ROOT / ".local" / "run" / f"chaos-{options.callbacks}"
    try:
        good, table = chaos(options, logs)
    except StepFailed as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 1
    say(f"{table}\n\n  logs: {logs}")
    return 0 if good else 1


def chaos(options: Options, logs: Path, *, say: Callable[[str], None] = say) -> tuple[bool, str]:
    """Do one run; returns whether every invariant holds, and the table. Its logs are in `logs`."""
    began = time.monotonic()
    with temporary_state(logs) as state, running_system(options, state) as started:
        run = prepare(options, started)
        killer = ProcessKiller(run)
        with step(
            f"{options.tasks} orders, seed {options.seed}, callbacks {options.callbacks}", say
        ):
            threads = _load(run, killer)
        with step("wait until every task has ended", say):
            drain.wait_until_ended(run, killer.kill_one, say)
            while drain.send_late_callbacks(run, say):
                drain.wait_until_ended(run, killer.kill_one, say)
        run.over.set()
        for thread in threads:
            thread.join()
        with step("attack every task, collect the observations", say):
            changed = attackers.attack_all(run)
            for placed in run.orders:
                drain.read(run, placed)
            observed = observations.collect(run)
        for session in run.sessions:
            session.close()
    verdict = invariants.check(run, observed, changed)
    head = f"\nchaos: {options.tasks} tasks, seed {options.seed}, callbacks {options.callbacks}"
    head += f", {time.monotonic() - began:.0f} s"
    violated = "" if verdict.good else f"\n\nVIOLATED\n{report.violations(verdict)}"
    return verdict.good, f"{head}\n{report.table(run, observed, verdict)}{violated}"


def prepare(options: Options, started: System) -> Run:
    """Prepare a run on a system that has just started: its orders, rules and second customer."""
    canary = f"canary{secrets.token_hex(8)}"
    orders = []
    for n, scenario in enumerate(choose(options.tasks, options.seed, quick=options.quick)):
        extra = "" if scenario in (PLAIN, DOUBLE) else f" {BACKGROUND_FAULTS}"
        prompt = f"{scenario.marks} A {SUBJECTS[n % 4]} {n}{extra} {canary}"
        orders.append(PlacedOrder(n, scenario, f"chaos-{options.seed}-{n}", prompt.strip()))
    run = Run(options, started, canary, f"other-{secrets.token_hex(16)}", orders)
    run.poyo("PUT", "faults", json=fault_rules(options.callbacks))
    _limit_workers(started)
    attackers.admit_other_customer(run)
    if not attackers.other_customer_is_known(run):
        raise StepFailed(
            "the second customer's key is not accepted, so its rejections prove nothing"
        )
    return run


def _limit_workers(started: System) -> None:
    """Use fewer workers, because a kill restarts all of them, and a short visibility timeout."""
    queue, attributes = started.outputs["TaskQueueUrl"], {"VisibilityTimeout": VISIBILITY_S}
    started.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes=attributes)
    functions, name = started.client("lambda"), started.outputs["WorkerFunctionName"]
    for mapping in functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]:
        scaling = {"MaximumConcurrency": WORKERS}
        functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=scaling)


def _load(run: Run, killer: ProcessKiller) -> list[threading.Thread]:
    """Run customers, attacks and sweeps in threads, and kill processes in this (the main) thread.

    Returns the threads that continue until the run is over.
    """
    functions = (drain.keep_sweeping, attackers.attack_during_load)
    threads = [threading.Thread(target=each, args=(run,), daemon=True) for each in functions]
    loading = threading.Thread(target=customers.load, args=(run,), daemon=True)
    for thread in (*threads, loading):
        thread.start()
    while loading.is_alive():
        killer.kill_one()
    return threads


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m local.chaos", description=__doc__)
    parser.add_argument("--tasks", type=int, default=200, help="number of orders (200)")
    parser.add_argument("--seed", type=int, help="the same seed gives the same orders (random)")
    parser.add_argument("--callbacks", choices=CALLBACK_MODES, default="mixed", help="(mixed)")
    parser.add_argument("--quick", action="store_true", help="only what recovers within seconds")
    given = parser.parse_args()
    if given.tasks < 1:
        parser.error("--tasks must be at least 1")
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    return Options(given.tasks, seed, given.callbacks, given.quick)


if __name__ == "__main__":
    sys.exit(main())
