"""`make chaos`: a small run of it, and that what it proves it would also notice."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest

from imagetasks.tasks import failure_reasons
from local.chaos.__main__ import chaos
from local.chaos.invariants import SOFT, judge
from local.chaos.observations import Evidence, leaks
from local.chaos.run import Answer, Kill, Options, Placed, Run
from local.chaos.scenarios import FAULTY, FINISHED, PLAIN, mix
from local.poyo_simulator.faults import FAULTS
from local.poyo_simulator.prompt_marks import parse_marks
from local.system import System


@pytest.mark.skipif(sys.platform != "linux", reason="finds its victims in Linux's process table")
@pytest.mark.xdist_group("stack")  # not while another stack is being deployed
def test_a_small_run_keeps_every_promise(tmp_path: Path) -> None:
    good, table = chaos(Options(16, seed=3, callbacks="mixed", quick=True), tmp_path / "logs")

    assert good, table


def test_the_same_seed_is_the_same_mix() -> None:
    assert mix(200, 7, quick=False) == mix(200, 7, quick=False) != mix(200, 8, quick=False)


def test_two_hundred_orders_have_every_kind_in_them() -> None:
    assert set(mix(200, 7, quick=False)) >= {PLAIN, *FAULTY}


def test_every_fault_of_the_simulator_is_ordered_by_some_kind() -> None:
    ordered = {rule.fault.name for kind in FAULTY for rule in parse_marks(kind.marks)}

    # It would take the id of whichever order came just before, and with it that order's end.
    assert set(FAULTS) - ordered == {"same-id-twice"}


def test_every_end_is_one_that_tasks_have() -> None:
    assert {kind.ends for kind in FAULTY} == {FINISHED, *failure_reasons.REASONS}
    assert set(SOFT) == set(failure_reasons.RECOVERABLE)


OURS, THEIRS = "a" * 26, "A" * 16
FILE = {"sha256": "5a"}
TASK: dict[str, Any] = {"status": "finished", "error": None, "files": [FILE], "history": []}


def placed(**further: Any) -> Placed:
    order = Placed(0, PLAIN, "key", "prompt", task_ids={OURS}, task=TASK, first_end=TASK)
    for name, value in further.items():
        setattr(order, name, value)
    return order


def run_of(order: Placed, **further: Any) -> Run:
    nobody = cast("System", None)
    return Run(Options(1, 0, "mixed"), nobody, "canary", "other", [order], **further)


def seen(*, posts: int = 1, kept: str = "5a", leaked: tuple[str, ...] = ()) -> Evidence:
    theirs = {"sha256": "5a", "callbacks": [], "status_reads": 1}
    return Evidence(
        submits={OURS: [{"created": True, "faults": []}] * posts},
        theirs={OURS: [theirs]},
        kept={f"images/{OURS}/0": kept},
        dead_letters=0,
        leaks=list(leaked),
        searched=1,
        pages=Counter(),
        unhandled=[],
    )


def broken(run: Run, evidence: Evidence) -> set[str]:
    offenders = judge(run, evidence, changed=[]).offenders
    return {promise for promise, by in offenders.items() if by}


def test_a_finished_order_offends_nobody() -> None:
    assert broken(run_of(placed()), seen()) == set()


def test_an_order_that_did_not_end_is_lost() -> None:
    still = TASK | {"status": "running", "files": []}

    assert "lost" in broken(run_of(placed(task=still, first_end=None)), seen())


def test_two_created_submits_of_one_task_are_paid_twice() -> None:
    assert broken(run_of(placed()), seen(posts=2)) == {"paid twice"}


def test_other_bytes_than_poyo_drew_are_noticed() -> None:
    assert broken(run_of(placed()), seen(kept="00")) == {"not PoYo's image"}


def test_a_paid_task_may_not_stay_unconfirmed() -> None:
    failed = TASK | {"status": "failed", "error": {"code": "unconfirmed"}, "files": []}

    assert "ended otherwise" in broken(run_of(placed(task=failed)), seen())


def test_a_final_end_that_changes_is_noticed() -> None:
    failed = TASK | {"status": "failed", "error": {"code": "upstream"}}

    assert "changed after the end" in broken(run_of(placed(first_end=failed)), seen())


@pytest.mark.parametrize(
    ("code", "killed_at", "offends"),
    [("", 5.0, False), ("", 50.0, True), ("unavailable", 5.0, True)],
)
def test_a_5xx_wants_a_death_and_one_in_our_own_words_more(
    code: str, killed_at: float, offends: bool
) -> None:
    answer = Answer("POST order", 502, code, 5.0, 6.0, PLAIN.name)
    kill = Kill("api at work", killed_at, killed_at + 2)

    run = run_of(placed(), answers=[answer], kills=[kill])

    assert ("unexplained 5xx" in broken(run, seen())) is offends


def test_a_secret_in_a_log_is_found_and_not_repeated() -> None:
    found = leaks({"worker": "… sk-secret …", "api": "nothing"}, {"sk-secret": "a key"})

    assert found == ["worker has a key (1 of them)"]
