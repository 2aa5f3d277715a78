"""Validation of orders against the simulated PoYo, which implements PoYo's documented rules."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagetasks.errors import InvalidOrder
from imagetasks.tasks.image_reference import is_upload
from local.poyo_simulator.orders import read_order
from local.poyo_simulator.responses import PoyoError
from tests.support.gpt_image_2 import NAMES, RATIOS
from tests.support.orders import IMAGE_URL, UPLOAD_URL, order_of

MODELS = list(NAMES)


def mostly[T](valid: list[T], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Nine times of ten one of `valid`, so that most orders are valid in most fields."""
    return st.integers(0, 9).flatmap(lambda n: other if n == 9 else st.sampled_from(valid))


ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just([])
)
EDGES_PX = st.integers(30, 250).map(lambda n: 16 * n) | st.integers(0, 5000)
CUSTOM = st.builds("{}x{}".format, EDGES_PX, EDGES_PX)
SIZES = (
    st.sampled_from(["auto", *RATIOS])
    | CUSTOM
    | mostly(["1:1"], st.text("0123456789x:", max_size=9) | ANYTHING)
)
HOSTS = st.text("abcxyz0129.-:@[]%é ", max_size=20)
IMAGE_URLS = mostly(
    [IMAGE_URL, UPLOAD_URL, "https://a.example/b?c=d"],
    st.builds("{}://{}/{}".format, st.sampled_from(["https", "http", "upload"]), HOSTS, HOSTS)
    | ANYTHING,
)
INPUTS = st.fixed_dictionaries(
    {"prompt": mostly(["A boat", "🗼"], st.text(max_size=30) | ANYTHING)},
    optional={
        "quality": mostly(["low", "medium", "high"], ANYTHING),
        "size": SIZES,
        "resolution": mostly(["1K", "2K", "4K"], ANYTHING),
        "image_urls": mostly(
            [[IMAGE_URL], [UPLOAD_URL, IMAGE_URL]], st.lists(IMAGE_URLS, max_size=3) | ANYTHING
        ),
    },
)
BODIES = st.fixed_dictionaries(
    {"model": mostly(MODELS, ANYTHING), "input": INPUTS},
    optional={"max_credits": mostly([100, 2.5], ANYTHING)},
)
outcomes: Counter[bool] = Counter()


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BODIES)
def check_that_poyo_accepts_it(body: dict[str, Any]) -> None:
    try:
        placed = order_of(body)
    except InvalidOrder:
        outcomes[False] += 1
        return
    outcomes[True] += 1
    image_input = dict(placed.input)
    if "image_urls" in image_input:
        image_input["image_urls"] = [
            IMAGE_URL if is_upload(each) else each for each in image_input["image_urls"]
        ]
    try:
        order = read_order({"model": placed.model, "input": image_input}, None)
    except PoyoError as error:
        pytest.fail(f"PoYo rejects {image_input}: {error}")
    assert order.sent == image_input
    assert order.credits == placed.estimated_credits


def test_simulated_poyo_accepts_every_valid_order_at_the_estimated_price() -> None:
    outcomes.clear()

    check_that_poyo_accepts_it()

    assert outcomes[True] > 100, (
        "nearly all generated orders were invalid, so the test shows nothing"
    )
    assert outcomes[False] > 100
