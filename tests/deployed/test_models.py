"""Each model that a stack offers by default: drawn as ordered, stored, and charged as estimated."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
import requests

from imagetasks.poyo.model_catalog import Model, allowed
from local.system import System
from tests.deployed.test_journeys import Journey


def examples() -> list[Any]:
    """The last example of each model; every example of every model is in
    integration/workflows/test_every_model."""
    offered = allowed("gpt-image-*").items()
    return [pytest.param(each, each.examples[-1], id=name) for name, each in offered]


@pytest.mark.parametrize(("model", "example"), examples())
def test_example_of_each_model_ends_with_the_images_of_poyo(
    stack: System, model: Model, example: dict[str, Any]
) -> None:
    journey = Journey(stack)
    placed = requests.post(
        f"{stack.url}/v1/tasks",
        json={"model": model.model_id, "input": example},
        headers={**journey.headers, "Idempotency-Key": f"models-{uuid.uuid4()}"},
        timeout=30,
    )
    assert placed.status_code == 202, placed.text

    task = journey.ended(placed.json()["task_id"])

    assert task["status"] == "finished", task
    poyo_task = journey.poyo_task(task["task_id"])
    drawn = [each["sha256"] for each in poyo_task["files"]]
    assert [each["sha256"] for each in task["files"]] == drawn
    assert len(drawn) == model.images(example)
    content_type = f"image/{model.output_format(example) or 'png'}"
    assert {each["content_type"] for each in task["files"]} == {content_type}
    charged = Decimal(str(task["credits"]["charged"]))
    price = model.price(example)
    assert charged == price.credits if price.exact else 0 < charged <= price.credits
