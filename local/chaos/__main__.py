"""`make chaos`: load, faults, kill -9 and strangers; a table, and 1 if a promise was broken."""

import argparse
import secrets
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from local.chaos import attackers, customers, drain, invariants, observations, report
from local.chaos.killer import Havoc
from local.chaos.run import MODES, Options, Placed, Run
from local.chaos.scenarios import DOUBLE, PLAIN, mix
from local.chaos.system_under_test import WEATHER, rules, scratch, system
from local.processes import ROOT
from local.progress import StepFailed, say, step
from local.system import System

SUBJECTS = ("lighthouse", "paper boat", "sleeping gull", "brass telescope")
WORKERS = 4  # of the ten the template allows
VISIBILITY_S = "15"  # a bell whose worker was killed comes back after this, not after six minutes


def main() -> int:
    """Exit status: 0 when every promise was kept, 1 when not, 2 for options that make no sense."""
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
    """One whole run: whether every promise was kept, and the table; its logs are left in `logs`."""
    began = time.monotonic()
    with scratch(logs) as state, system(options, state) as started:
        run = prepare(options, started)
        havoc = Havoc(run)
        with step(
            f"{options.tasks} orders, seed {options.seed}, callbacks {options.callbacks}", say
        ):
            threads = _under_load(run, havoc)
        with step("every task to its end", say):
            drain.settle(run, havoc.strike, say)
            drain.ring_late(run, say)
            drain.settle(run, havoc.strike, say)
        run.over.set()
        for thread in threads:
            thread.join()
        with step("strangers at every door, then the evidence", say):
            changed = attackers.try_all(run)
            for placed in run.orders:
                drain.read(run, placed)
            seen = observations.gather(run)
        for session in run.sessions:
            session.close()
    judged = invariants.judge(run, seen, changed)
    head = f"\nchaos: {options.tasks} tasks, seed {options.seed}, callbacks {options.callbacks}"
    head += f", {time.monotonic() - began:.0f} s"
    broken = "" if judged.good else f"\n\nBROKEN\n{report.offenders(judged)}"
    return judged.good, f"{head}\n{report.table(run, seen, judged)}{broken}"


def prepare(options: Options, started: System) -> Run:
    """A run on a system that was just started: its orders, its rules, its second customer."""
    canary = f"canary{secrets.token_hex(8)}"
    orders = []
    for n, kind in enumerate(mix(options.tasks, options.seed, quick=options.quick)):
        weather = "" if kind in (PLAIN, DOUBLE) else f" {WEATHER}"
        prompt = f"{kind.marks} A {SUBJECTS[n % 4]} {n}{weather} {canary}"
        orders.append(Placed(n, kind, f"chaos-{options.seed}-{n}", prompt.strip()))
    run = Run(options, started, canary, f"other-{secrets.token_hex(16)}", orders)
    run.poyo("PUT", "faults", json=rules(options.callbacks))
    _fit_to_machine(started)
    attackers.admit_other_customer(run)
    if not attackers.other_customer_is_known(run):
        raise StepFailed("the second customer's key opens nothing, so its refusals prove nothing")
    return run


def _fit_to_machine(started: System) -> None:
    """Fewer workers, which all start anew when one is killed, and bells that come back soon."""
    queue, attributes = started.outputs["TaskQueueUrl"], {"VisibilityTimeout": VISIBILITY_S}
    started.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes=attributes)
    functions, name = started.client("lambda"), started.outputs["WorkerFunctionName"]
    for bell in functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]:
        scaling = {"MaximumConcurrency": WORKERS}
        functions.update_event_source_mapping(UUID=bell["UUID"], ScalingConfig=scaling)


def _under_load(run: Run, havoc: Havoc) -> list[threading.Thread]:
    """Customers, strangers and sweeps in threads; whoever kills is here, in the main one.

    Gives the threads that go on until the run is over.
    """
    works = (drain.keep_sweeping, attackers.prowl)
    threads = [threading.Thread(target=work, args=(run,), daemon=True) for work in works]
    loading = threading.Thread(target=customers.load, args=(run,), daemon=True)
    for thread in (*threads, loading):
        thread.start()
    while loading.is_alive():
        havoc.strike()
    return threads


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m local.chaos", description=__doc__)
    parser.add_argument("--tasks", type=int, default=200, help="how many orders (200)")
    parser.add_argument("--seed", type=int, help="the same seed, the same orders (random)")
    parser.add_argument("--callbacks", choices=MODES, default="mixed", help="(mixed)")
    parser.add_argument("--quick", action="store_true", help="only what heals within seconds")
    given = parser.parse_args()
    if given.tasks < 1:
        parser.error("--tasks must be at least 1")
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    return Options(given.tasks, seed, given.callbacks, given.quick)


if __name__ == "__main__":
    sys.exit(main())
