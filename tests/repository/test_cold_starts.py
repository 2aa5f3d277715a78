"""Cold starts in instructions: a function that needs over 3 % more than recorded fails the gate."""

from __future__ import annotations

import sys

import pytest

from benchmarks import gate
from benchmarks.interpreter import HANDLERS


@pytest.mark.skipif(sys.platform != "linux", reason="valgrind counts the instructions on Linux")
def test_no_function_needs_more_instructions_than_recorded() -> None:
    assert gate.regressions(gate.ratios(), gate.recorded()) == []


def test_the_figures_name_every_function() -> None:
    assert set(gate.recorded()) == set(HANDLERS)


@pytest.mark.parametrize(
    ("now", "regressed"), [(2.0, False), (2.059, False), (2.061, True), (1.5, False)]
)
def test_more_than_three_percent_is_a_regression(now: float, regressed: bool) -> None:
    found = gate.regressions({"api": now}, {"api": 2.0})

    assert [sentence.split(":")[0] for sentence in found] == ["api"] * regressed


def test_a_function_without_a_figure_is_a_regression() -> None:
    assert gate.regressions({"new": 1.0}, {}) == ["new: 1.000 of the reference, recorded 0.000"]
