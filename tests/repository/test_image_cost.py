"""Rows 11 and 12 of docs/performance.md are counted, not timed: none may grow by more than 3 %."""

from __future__ import annotations

import pytest

from benchmarks import image_life
from benchmarks.baselines import typical_backend
from benchmarks.cost import LIMITS, bill, polling_usd, waiting_usd, write_rows
from benchmarks.image_life import Life, counted_life, without_credits

TOLERANCE = 1.03
BARE, USAGE, TWO_LIMITS = 13, 7, 8  # write units; docs/operating.md states them
USD = 0.0408  # for a thousand images
# The typical backend does less: it is the yardstick of one that never looks back.
TYPICAL_WRITTEN = 12


@pytest.fixture(scope="module")
def lives() -> tuple[Life, Life, Life]:
    with without_credits():
        bare = counted_life()
    return bare, counted_life(), counted_life(**LIMITS)


def test_write_units_of_an_image_do_not_grow(lives: tuple[Life, Life, Life]) -> None:
    units = [row.value for row in write_rows(*lives)]

    assert units[0] <= BARE * TOLERANCE
    assert sum(units[:2]) <= (BARE + USAGE) * TOLERANCE
    assert sum(units) <= (BARE + USAGE + TWO_LIMITS) * TOLERANCE


def test_bill_of_an_image_does_not_grow(lives: tuple[Life, Life, Life]) -> None:
    assert bill(lives[1]).usd() <= USD * TOLERANCE


def test_life_is_a_whole_one(lives: tuple[Life, Life, Life]) -> None:
    calls = lives[1].total.calls

    assert len(lives[1].steps) == len(image_life.STEPS)
    assert calls["s3.PutObject"] == lives[1].messages == 1
    assert calls["dynamodb.TransactWriteItems"] == 2  # the order's credits, reserved and charged


def test_long_polling_costs_many_times_as_much_as_polling() -> None:
    assert 15 < waiting_usd() / polling_usd() < 30


def test_typical_backend_is_counted_by_the_same_rules() -> None:
    used = typical_backend.counted_life(image_life.ORDER, {"task_id": "t"})

    assert used.written == TYPICAL_WRITTEN
    assert used.calls["s3.PutObject"] == 1
