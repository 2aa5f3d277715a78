"""300 seeds of the simulation, and that a seed always tells the same story."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.run import play

ROOT = Path(__file__).parents[2]
CHUNK = 15


@pytest.mark.parametrize("first", range(0, 300, CHUNK))
def test_every_promise_holds(first: int) -> None:
    for seed in range(first, first + CHUNK):
        result = play(seed)

        assert result.broken is None, f"make simulate SEED={seed}: {result.broken}"


def test_the_rest_holds_although_poyo_denies_what_it_made() -> None:
    for seed in range(30):
        result = play(seed, lies=True)

        assert result.broken is None, f"seed {seed} with lies: {result.broken}"


@pytest.mark.parametrize("seed", [7, 42])
def test_a_seed_tells_the_same_story_in_every_process(seed: int) -> None:
    program = f"from tests.simulation.run import play; print(play({seed}, telling=True).digest)"
    here = play(seed, telling=True).digest

    there = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": f"{ROOT / 'functions'}:{ROOT}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert there.stdout.strip() == here


def test_telling_a_story_does_not_change_it() -> None:
    silent, told = play(42), play(42, telling=True)

    assert silent.counts == told.counts
    assert told.story


def test_no_story_tells_a_secret() -> None:
    story = "\n".join(str(line) for seed in range(20) for line in play(seed, telling=True).story)

    assert "CANARY" not in story
    assert "https://" not in story
