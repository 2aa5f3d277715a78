"""The catalogue: its schemas are real ones, and say what the validation says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from imagetasks.api import order_request
from imagetasks.errors import InvalidOrder
from imagetasks.poyo import catalog
from imagetasks.poyo.models import (
    CREDITS_PER_IMAGE,
    CUSTOM_SIZE,
    MODELS,
    RATIOS,
    billed_resolution,
    estimate_credits,
)
from imagetasks.tasks.image_reference import is_fetchable_url

HTTPS = "https://images.example.com/a.png"
UPLOAD = f"upload://{'a' * 26}"
PROMPT = "A lighthouse"


def schema(model: str) -> dict[str, Any]:
    """As a client reads it."""
    found: dict[str, Any] = json.loads(json.dumps(catalog.model_entry(model)))["input_schema"]
    return found


def promised(model: str, wish: object) -> bool:
    """Whether the catalogue says that this input may be ordered."""
    return bool(Draft202012Validator(schema(model)).is_valid(wish))


def accepted(model: str, wish: object) -> bool:
    """Whether it may."""
    try:
        order_request.parse(json.dumps({"model": model, "input": wish}).encode())
    except InvalidOrder:
        return False
    return True


def test_there_is_an_item_for_every_model() -> None:
    page = catalog.list_models({})

    assert [item["model_id"] for item in page["items"]] == list(MODELS)
    assert (page["schema_version"], page["next_cursor"], page["has_more"]) == ("1.0", None, False)


@pytest.mark.parametrize("model", MODELS)
def test_the_schemas_of_a_model_are_schemas(model: str) -> None:
    item = json.loads(json.dumps(catalog.model_entry(model)))

    Draft202012Validator.check_schema(item["input_schema"])
    Draft202012Validator.check_schema(item["output_schema"])
    assert set(item["input_schema"]["properties"]) == set(order_request.ImageInput.model_fields)


@pytest.mark.parametrize("model", MODELS)
def test_the_defaults_are_those_of_an_order(model: str) -> None:
    said = {k: v["default"] for k, v in schema(model)["properties"].items() if "default" in v}
    fields = order_request.ImageInput.model_fields

    assert said == {name: fields[name].default for name in ("quality", "size", "resolution")}


@pytest.mark.parametrize("model", MODELS)
def test_the_examples_may_be_ordered(model: str) -> None:
    pictures = {"image_urls": [HTTPS]} if MODELS[model].images_min else {}

    assert catalog.model_entry(model)["examples"]
    for each in catalog.model_entry(model)["examples"]:
        assert accepted(model, {**each, **pictures})


def test_the_prices_are_the_tables() -> None:
    said = catalog.model_entry("gpt-image-2")["billing"]["credits"]

    told = {(quality, size): price for quality, row in said.items() for size, price in row.items()}
    assert told == {key: float(price) for key, price in CREDITS_PER_IMAGE.items()}
    wish = {"quality": "high", "size": "16:9", "resolution": "4K"}
    assert told["high", billed_resolution(wish)] == float(estimate_credits(wish))


RATIO_WISHES: list[dict[str, object]] = [{"prompt": PROMPT, "size": ratio} for ratio in RATIOS]
EXACT: tuple[dict[str, object], ...] = (
    {},
    {"prompt": ""},
    {"prompt": " \t\n"},
    {"prompt": "\u2003\x85\x1c"},
    {"prompt": "x" * 20_000},
    {"prompt": "x" * 20_001},
    {"prompt": 5},
    {"prompt": None},
    {"prompt": PROMPT, "quality": "high"},
    {"prompt": PROMPT, "quality": "ultra"},
    {"prompt": PROMPT, "quality": None},
    {"prompt": PROMPT, "resolution": "4K"},
    {"prompt": PROMPT, "resolution": "8K"},
    *RATIO_WISHES,
    {"prompt": PROMPT, "size": "7:5"},
    {"prompt": PROMPT, "size": "autox"},
    {"prompt": PROMPT, "size": "1024x1024"},
    {"prompt": PROMPT, "size": "1024x1024", "resolution": "1K"},
    {"prompt": PROMPT, "size": "1024x1024", "resolution": "2K"},
    {"prompt": PROMPT, "size": "3840x2160", "resolution": "4K"},
    {"prompt": PROMPT, "size": "0x1024", "resolution": "2K"},
    {"prompt": PROMPT, "size": "10240x16", "resolution": "2K"},
    {"prompt": PROMPT, "aspect_ratio": "3:2"},
    {"prompt": PROMPT, "image_urls": []},
    {"prompt": PROMPT, "image_urls": [UPLOAD, HTTPS]},
    {"prompt": PROMPT, "image_urls": [HTTPS] * 16},
    {"prompt": PROMPT, "image_urls": [HTTPS] * 17},
    {"prompt": PROMPT, "image_urls": HTTPS},
    {"prompt": PROMPT, "image_urls": [5]},
    {"prompt": PROMPT, "image_urls": ["data:image/png;base64,iVBORw0KGgo="]},
    {"prompt": PROMPT, "image_urls": ["http://images.example.com/a.png"]},
    {"prompt": PROMPT, "image_urls": [f"{HTTPS}?{'x' * 2048}"]},
    {"prompt": PROMPT, "image_urls": ["upload://short"]},
)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("wish", EXACT, ids=lambda wish: json.dumps(wish)[:60])
def test_the_schema_takes_and_refuses_what_an_order_does(
    model: str, wish: dict[str, object]
) -> None:
    assert promised(model, wish) is accepted(model, wish)


def custom(wish: dict[str, Any]) -> bool:
    """Whether the size is given in pixels: how many there may be, a schema cannot say."""
    return CUSTOM_SIZE.fullmatch(wish.get("size", "")) is not None


edges = st.integers(1, 400).map(lambda n: n * 16) | st.integers(1, 12_000)
sizes = (
    st.sampled_from(["auto", "7:5", "", *RATIOS])
    | st.builds(lambda a, b: f"{a}x{b}", edges, edges)
    | st.text(max_size=8)
)
wishes = st.fixed_dictionaries(
    {},
    optional={
        "prompt": st.text(max_size=20) | st.sampled_from([PROMPT, " ", "\x1f"]),
        "quality": st.sampled_from(["low", "medium", "high", "xhigh", "LOW"]),
        "size": sizes,
        "resolution": st.sampled_from(["1K", "2K", "4K", "8K"]),
        "image_urls": st.lists(
            st.sampled_from([HTTPS, UPLOAD, "http://a.example/b", ""]), max_size=18
        ),
        "n": st.just(1),
    },
)


@given(model=st.sampled_from(list(MODELS)), wish=wishes)
@example(model="gpt-image-2", wish={"prompt": PROMPT, "size": "1040x1040", "resolution": "2K"})
def test_the_schema_never_hides_what_may_be_ordered_and_promises_only_pixels_too_many(
    model: str, wish: dict[str, Any]
) -> None:
    if promised(model, wish) != accepted(model, wish):
        assert promised(model, wish)
        assert custom(wish)


hosts = st.text("abz09-.:_é", min_size=1, max_size=12)
paths = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=8)


@given(host=hosts, path=paths)
@example(host="a", path="b c")
@example(host="a", path="é")
def test_an_address_that_may_be_ordered_is_never_hidden(host: str, path: str) -> None:
    url = f"https://{host}.example/{path}"

    if is_fetchable_url(url):
        assert promised("gpt-image-2", {"prompt": PROMPT, "image_urls": [url]})


@pytest.mark.parametrize(
    ("asked", "found", "cursor"),
    [
        ({"limit": "1"}, ["gpt-image-2"], "1"),
        ({"limit": "1", "cursor": "1"}, ["gpt-image-2-edit"], None),
        ({"limit": "2"}, ["gpt-image-2", "gpt-image-2-edit"], None),
        ({"cursor": "2"}, [], None),
        ({"cursor": "99999"}, [], None),
        ({"category": "image"}, ["gpt-image-2", "gpt-image-2-edit"], None),
        ({"category": "video"}, [], None),
        ({"service_type": "chat"}, [], None),
        ({"tags": "image-to-image"}, ["gpt-image-2-edit"], None),
        ({"tags": "image-to-image,text-to-image"}, [], None),
        ({"q": "image 2 EDIT"}, ["gpt-image-2-edit"], None),
        ({"q": "gpt-image-2-edit", "limit": "1"}, ["gpt-image-2-edit"], None),
    ],
)
def test_a_page_has_what_was_asked_for(
    asked: dict[str, str], found: list[str], cursor: str | None
) -> None:
    page = catalog.list_models(asked)

    assert [item["model_id"] for item in page["items"]] == found
    assert (page["next_cursor"], page["has_more"]) == (cursor, cursor is not None)


@pytest.mark.parametrize(
    "asked",
    [{"limit": each} for each in ("0", "-1", "many", "", "1.5", "٣", "9" * 5000)]
    + [{"cursor": each} for each in ("-1", "next", "1e3", " 1")],
)
def test_a_limit_or_cursor_that_is_no_number_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"integer|one model"):
        catalog.list_models(asked)


def test_a_model_that_is_not_sold_has_no_item() -> None:
    with pytest.raises(KeyError):
        catalog.model_entry("gpt-image-9")
