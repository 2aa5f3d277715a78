"""`make chaos`: one small run, and a check that each invariant detects its violation."""

import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pytest

from imagetasks.aws.attribute_values import marshal
from imagetasks.tasks import failure_reasons
from imagetasks.tasks.task import Task
from imagetasks.tasks.task_item import to_item
from local.chaos.__main__ import chaos
from local.chaos.invariants import RECOVERABLE, check
from local.chaos.observations import Observations, find_leaks
from local.chaos.run import ApiResponse, Kill, Options, PlacedOrder, Run
from local.chaos.scenarios import FAULTY, FINISHED, PLAIN, choose
from local.chaos.time_skip import instants
from local.poyo_simulator.faults import FAULTS
from local.poyo_simulator.prompt_marks import parse_marks
from local.system import System
from tests.support.fakes import START, task


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
@pytest.mark.xdist_group("stack")  # do not run it while another stack is deployed
def test_a_small_run_violates_no_invariant(tmp_path: Path) -> None:
    good, table = chaos(Options(16, seed=3, callbacks="mixed", quick=True), tmp_path / "logs")

    assert good, table


def test_the_same_seed_gives_the_same_scenarios() -> None:
    assert choose(200, 7, quick=False) == choose(200, 7, quick=False) != choose(200, 8, quick=False)


def test_two_hundred_orders_contain_every_scenario() -> None:
    assert set(choose(200, 7, quick=False)) >= {PLAIN, *FAULTY}


def test_every_fault_of_the_simulator_occurs_in_a_scenario() -> None:
    used = {rule.fault.name for scenario in FAULTY for rule in parse_marks(scenario.marks)}

    # The task would get the id of the order just before it, and so also the end of that order.
    assert set(FAULTS) - used == {"same-id-twice"}


def test_the_ends_of_the_scenarios_are_those_of_tasks() -> None:
    assert {scenario.end for scenario in FAULTY} == {FINISHED, *failure_reasons.REASONS}
    assert set(RECOVERABLE) == set(failure_reasons.RECOVERABLE)


OUR_ID = "a" * 26
FILE = {"sha256": "5a"}
TASK: dict[str, Any] = {"status": "finished", "error": None, "files": [FILE], "history": []}


def placed(**further: Any) -> PlacedOrder:
    order = PlacedOrder(0, PLAIN, "key", "prompt", task_ids={OUR_ID}, task=TASK, first_end=TASK)
    for name, value in further.items():
        setattr(order, name, value)
    return order


def run_of(order: PlacedOrder, **further: Any) -> Run:
    no_system = cast("System", None)
    return Run(Options(1, 0, "mixed"), no_system, "canary", "other", [order], **further)


def observed(*, submits: int = 1, stored: str = "5a") -> Observations:
    poyo_task = {"sha256": "5a", "callbacks": [], "status_reads": 1}
    return Observations(
        submits={OUR_ID: [{"created": True, "faults": []}] * submits},
        poyo_tasks={OUR_ID: [poyo_task]},
        stored_images={f"images/{OUR_ID}/0": stored},
        dead_letters=0,
        leaks=[],
        logs_searched=1,
        alarms=Counter(),
        unhandled_errors=[],
    )


def violated(run: Run, observations: Observations) -> set[str]:
    violations = check(run, observations, changed=[]).violations
    return {invariant for invariant, found in violations.items() if found}


def test_a_finished_order_violates_no_invariant() -> None:
    assert violated(run_of(placed()), observed()) == set()


def test_an_open_task_is_never_ended() -> None:
    running = TASK | {"status": "running", "files": []}

    assert "never ended" in violated(run_of(placed(task=running, first_end=None)), observed())


def test_two_poyo_tasks_for_one_task_are_paid_twice() -> None:
    assert violated(run_of(placed()), observed(submits=2)) == {"paid twice"}


def test_stored_bytes_that_differ_from_poyos_are_detected() -> None:
    assert violated(run_of(placed()), observed(stored="00")) == {"not PoYo's image"}


def test_a_paid_task_must_not_stay_unconfirmed() -> None:
    failed = TASK | {"status": "failed", "error": {"code": "unconfirmed"}, "files": []}

    assert "unexpected end" in violated(run_of(placed(task=failed)), observed())


def test_a_change_after_a_final_end_is_detected() -> None:
    failed = TASK | {"status": "failed", "error": {"code": "rejected"}}

    assert "changed after the end" in violated(run_of(placed(first_end=failed)), observed())


@pytest.mark.parametrize(
    ("code", "killed_at", "unexplained"),
    [("", 5.0, False), ("", 50.0, True), ("unavailable", 5.0, True)],
)
def test_a_5xx_needs_a_kill_and_a_problem_response_also_a_fault(
    code: str, killed_at: float, unexplained: bool
) -> None:
    response = ApiResponse("POST order", 502, code, 5.0, 6.0, PLAIN.name)
    kill = Kill("api busy", killed_at, killed_at + 2)

    run = run_of(placed(), responses=[response], kills=[kill])

    assert ("unexplained 5xx" in violated(run, observed())) is unexplained


def test_a_secret_in_a_log_is_reported_without_the_secret() -> None:
    found = find_leaks({"worker": "… sk-secret …", "api": "nothing"}, {"sk-secret": "a key"})

    assert found == ["worker has a key (1 of them)"]


def test_every_instant_of_a_task_is_moved_when_time_is_skipped() -> None:
    named = [each.name for each in fields(Task) if each.type in ("int", "int | None")]
    counters = {"attempt", "typical_seconds", "slot_number", "polls", "not_found_count"}
    counters |= {"copy_attempts", "notification_attempts"}
    given: dict[str, Any] = dict.fromkeys(named, START)
    item = marshal(to_item(task(**given)))

    assert set(instants(item)) == set(named) - counters
