"""The comparison of the bundled models with a live catalogue of PoYo."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from imagetasks.poyo.model_catalog import models
from imagetasks.poyo.model_facts import billing_facts, digests, drift, input_facts

FACTS = Path(__file__).parents[3] / "catalog" / "facts.json"


@pytest.fixture
def live() -> dict[str, dict[str, Any]]:
    """The catalogue that the bundled models were made from, with texts as PoYo has them, by id."""
    items: list[dict[str, Any]] = json.loads(FACTS.read_text())["items"]
    for item in items:
        item |= {"title": "T", "description": "D", "examples": [{}], "status": "stable"}
        item["input_schema"] = dict(reversed(item["input_schema"].items()))
        item["input_schema"]["properties"]["prompt"] |= {"description": "D", "example": "E"}
        item["billing"] |= {"input_credits": None, "display": "D"}
    return {each["model_id"]: each for each in items}


def test_catalogue_that_the_models_were_made_from_has_not_drifted(
    live: dict[str, dict[str, Any]],
) -> None:
    assert drift(models(), live.values()) == {}


def test_drift_names_each_model_and_what_differs(live: dict[str, dict[str, Any]]) -> None:
    del live["z-image"]
    live["z-image-2"] = live["seedream-4"] | {"model_id": "z-image-2"}
    live["chat-1"] = {"model_id": "chat-1", "category": "chat"}
    live["gpt-image-2"]["billing"]["price_table"]["low"]["1K"] = 2.25
    live["flux-2-pro"]["input_schema"]["properties"]["prompt"]["maxLength"] = 6000
    live["qwen-image-3"]["billing"]["input_image_credits"] = 1
    live["qwen-image-3"]["input_schema"]["properties"]["seed"] = None
    live["wan-2.7-image"]["input_schema"]["properties"] = ["prompt"]
    live["wan-2.7-image-pro"]["billing"]["credits"] = 10**400

    assert drift(models(), live.values()) == {
        "flux-2-pro": "input",
        "gpt-image-2": "billing",
        "qwen-image-3": "input and billing",
        "wan-2.7-image": "input",
        "wan-2.7-image-pro": "billing",
        "z-image": "gone",
        "z-image-2": "new",
    }


def test_facts_are_the_same_however_they_are_written() -> None:
    item: dict[str, Any] = {
        "input_schema": {
            "properties": {
                "description": {"type": "string", "description": "D"},
                "n": {"maximum": 4},
            },
            "oneOf": [{"example": 1, "type": "object"}],
        },
        "billing": {"credits": 2, "formula": None, "display": "D"},
    }
    other = copy.deepcopy(item)
    other["billing"] = {"credits": Decimal("2.0")}
    other["input_schema"]["properties"]["n"] = {"maximum": 4.0, "example": 1}

    assert input_facts(item) == {
        "properties": {"description": {"type": "string"}, "n": {"maximum": 4}},
        "oneOf": [{"type": "object"}],
    }
    assert billing_facts(item) == {"credits": 2}
    assert digests(item) == digests(other)
    assert digests(item) != digests({**item, "billing": {"credits": True}})
