"""Every order in docs/prompts.md is valid, and costs what the page says at each quality of its model."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from imagetasks.poyo.model_catalog import model

PAGE = (Path(__file__).parents[2] / "docs" / "prompts.md").read_text()
RECIPES = re.findall(
    r"```json\n(.*?)```\n\n\| quality \| (.*?) \|\n\|[-|]+\|\n\| credits \| (.*?) \|\n",
    PAGE,
    re.DOTALL,
)


def test_every_order_of_the_page_has_its_prices() -> None:
    assert len(RECIPES) == PAGE.count("```json") >= 8


@pytest.mark.parametrize(("order", "qualities", "prices"), RECIPES)
def test_order_is_valid_and_costs_what_the_page_says(
    order: str, qualities: str, prices: str
) -> None:
    body = json.loads(order)
    ordered, given = model(body["model"]), body["input"]
    enum = ordered.fields["quality"]["enum"]
    assert qualities.split(" | ") == enum
    shown = [Decimal(each) for each in prices.split(" | ")]
    inputs: list[dict[str, Any]] = [{**given, "quality": each} for each in enum]
    assert [list(ordered.errors(each)) for each in inputs] == [[]] * len(enum)
    assert [ordered.price(each).credits for each in inputs] == shown
