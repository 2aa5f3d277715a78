"""How long an order usually takes, by the data of its model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from imagetasks.poyo.model_catalog import Model, model, models

BY_BOTH = {
    "by": ["quality", "resolution"],
    "seconds": {"low": {"1K": 30, "2K": 40}, "high": {"1K": 100}},
}


@pytest.mark.parametrize(
    ("timing", "values", "expected"),
    [
        ({}, {"quality": "low"}, None),
        ({"seconds": 10}, {"quality": "low"}, 10),
        (BY_BOTH, {"quality": "low", "resolution": "2K"}, 40),
        (BY_BOTH, {"quality": "high", "resolution": "1K"}, 100),
        (BY_BOTH, {"quality": "high", "resolution": "2K"}, None),
        (BY_BOTH, {"quality": "max", "resolution": "1K"}, None),
        (BY_BOTH, {"quality": "low"}, 30),
        (BY_BOTH, {}, 30),
    ],
)
def test_seconds_are_those_of_the_values_and_unknown_for_others(
    timing: dict[str, Any], values: dict[str, str], expected: int | None
) -> None:
    timed = replace(model("gpt-image-2"), timing=timing, billing={"credits": 1}, rules={})

    assert timed.typical_seconds({"prompt": "x", **values}) == expected


@pytest.mark.parametrize(
    ("image_input", "expected"),
    [
        ({}, 30),
        ({"quality": "high", "size": "16:9", "resolution": "4K"}, 140),
        ({"quality": "high", "size": "1:1", "resolution": "4K"}, 120),
        ({"quality": "medium", "size": "auto", "resolution": "4K"}, 60),
    ],
)
def test_the_resolution_that_poyo_makes_counts(image_input: dict[str, str], expected: int) -> None:
    assert model("gpt-image-2").typical_seconds({"prompt": "x", **image_input}) == expected


def test_time_of_several_images_is_not_known() -> None:
    several = model("gpt-image-1.5")

    assert several.typical_seconds({"prompt": "x"}) == 40
    assert several.typical_seconds({"prompt": "x", "n": 2}) is None


def test_time_of_a_new_quality_is_not_known() -> None:
    newer = model("gpt-image-2.5-flare")

    assert newer.typical_seconds({"prompt": "x"}) == 100
    assert newer.typical_seconds({"prompt": "x", "quality": "max"}) is None


@pytest.mark.parametrize("each", models().values(), ids=lambda each: each.model_id)
def test_every_time_is_within_what_callers_of_poyo_report_and_has_its_source(each: Model) -> None:
    """Images take up to 140 seconds; a later record is a case of its own."""
    for example in each.examples:
        seconds = each.typical_seconds(example)
        assert seconds is None or 5 <= seconds <= 140
    assert bool(each.timing) == bool(each.timing.get("source"))
