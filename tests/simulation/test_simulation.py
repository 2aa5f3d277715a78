"""Runs 300 seeds of the simulation, and checks that a seed always gives the same trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.run import run_seed

ROOT = Path(__file__).parents[2]
CHUNK = 15


@pytest.mark.parametrize("first", range(0, 300, CHUNK))
def test_every_invariant_holds(first: int) -> None:
    for seed in range(first, first + CHUNK):
        result = run_seed(seed)

        assert result.violation is None, f"make simulate SEED={seed}: {result.violation}"


def test_invariants_hold_when_poyo_denies_tasks_that_it_created() -> None:
    for seed in range(30):
        result = run_seed(seed, upstream_denies=True)

        assert result.violation is None, f"seed {seed} with --upstream-denies: {result.violation}"


@pytest.mark.parametrize("seed", [7, 42])
def test_seed_gives_the_same_trace_in_every_process(seed: int) -> None:
    program = (
        f"from tests.simulation.run import run_seed; print(run_seed({seed}, tracing=True).digest)"
    )
    expected = run_seed(seed, tracing=True).digest

    completed = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": f"{ROOT / 'functions'}:{ROOT}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert completed.stdout.strip() == expected


def test_tracing_does_not_change_a_run() -> None:
    untraced, traced = run_seed(42), run_seed(42, tracing=True)

    assert untraced.counts == traced.counts
    assert traced.trace


def test_no_trace_contains_a_secret() -> None:
    trace = "\n".join(
        str(line) for seed in range(20) for line in run_seed(seed, tracing=True).trace
    )

    assert "CANARY" not in trace
    assert "https://" not in trace
