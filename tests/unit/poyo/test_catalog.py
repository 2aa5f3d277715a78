"""The catalog: its schemas are valid and agree with the validation of orders, and its pages filter."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from imagetasks.api import order_input, order_request
from imagetasks.errors import InvalidOrder, InvalidParameter
from imagetasks.poyo import catalog
from imagetasks.poyo.model_catalog import Model, models
from imagetasks.poyo.model_catalog import model as bundled
from imagetasks.poyo.served_schema import NOT_BLANK
from imagetasks.tasks.image_reference import is_fetchable_url
from tests.support import gpt_image_2
from tests.support.gpt_image_2 import CREDITS_PER_IMAGE, CUSTOM_SIZE, RATIOS

HTTPS = "https://images.example.com/a.png"
UPLOAD = f"upload://{'a' * 26}"
PROMPT = "A lighthouse"
MODELS = gpt_image_2.NAMES
ABSENT = [object()]  # in the place of a field that is left out
PAIR = {name: bundled(name) for name in MODELS}


def input_schema(model: str) -> dict[str, Any]:
    """The schema of a model's input, as a client reads it."""
    schema: dict[str, Any] = json.loads(json.dumps(catalog.model_entry(bundled(model))))[
        "input_schema"
    ]
    return schema


def schema_allows(model: str, image_input: object) -> bool:
    """Whether this input is valid by the catalog's schema."""
    return bool(Draft202012Validator(input_schema(model)).is_valid(image_input))


def api_accepts(model: str, image_input: object) -> bool:
    """Whether an order with this input is valid."""
    try:
        order_request.parse(json.dumps({"model": model, "input": image_input}).encode(), models())
    except InvalidOrder:
        return False
    return True


def test_catalog_has_an_item_for_every_model() -> None:
    page = catalog.list_models({}, PAIR)

    assert [item["model_id"] for item in page["items"]] == list(MODELS)
    assert (page["schema_version"], page["next_cursor"], page["has_more"]) == ("1.0", None, False)


@pytest.mark.parametrize("model", models())
def test_schemas_of_a_model_are_valid_json_schemas(model: str) -> None:
    item = json.loads(json.dumps(catalog.model_entry(bundled(model))))

    Draft202012Validator.check_schema(item["input_schema"])
    Draft202012Validator.check_schema(item["output_schema"])
    assert set(item["input_schema"]["properties"]) == set(bundled(model).fields)


@pytest.mark.parametrize("model", MODELS)
def test_schema_has_the_defaults_of_an_order(model: str) -> None:
    properties = input_schema(model)["properties"]
    defaults = {k: v["default"] for k, v in properties.items() if "default" in v}

    assert defaults == gpt_image_2.DEFAULTS


@pytest.mark.parametrize("model", models())
def test_examples_are_valid_orders(model: str) -> None:
    assert catalog.model_entry(bundled(model))["examples"]
    for each in catalog.model_entry(bundled(model))["examples"]:
        assert api_accepts(model, each)
        assert schema_allows(model, each)


def test_billing_has_the_prices_of_the_price_table() -> None:
    billing = catalog.model_entry(bundled("gpt-image-2"))["billing"]["price_table"]

    prices = {
        (quality, size): price for quality, row in billing.items() for size, price in row.items()
    }
    assert prices == {key: float(price) for key, price in CREDITS_PER_IMAGE.items()}
    order = {"quality": "high", "size": "16:9", "resolution": "4K"}
    billed = gpt_image_2.billed_resolution(order)
    assert prices["high", billed] == float(gpt_image_2.estimate_credits(order))


RATIO_INPUTS: list[dict[str, object]] = [{"prompt": PROMPT, "size": ratio} for ratio in RATIOS]
INPUTS: tuple[dict[str, object], ...] = (
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
    *RATIO_INPUTS,
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
@pytest.mark.parametrize("image_input", INPUTS, ids=lambda each: json.dumps(each)[:60])
def test_schema_and_api_agree_on_an_input(model: str, image_input: dict[str, object]) -> None:
    assert schema_allows(model, image_input) is api_accepts(model, image_input)


def variants(model: Model) -> Iterator[dict[str, object]]:
    """Inputs that differ from an example in one or two fields: each choice, a wrong one, null, nothing."""
    start = dict(model.examples[0])
    choices: dict[str, list[object]] = {}
    for name, field in model.fields.items():
        given = field.get(
            "enum", [each for b in field.get("oneOf", []) for each in b.get("enum", ())]
        )
        images: list[object] = [[], [HTTPS], [HTTPS] * 40] if field.get("type") == "array" else []
        address = [UPLOAD, "http://a.example/b"] if field.get("format") == "uri" else []
        choices[name] = [*given, *images, *address, "wrong", 7, None, *ABSENT]
    for one, other in itertools.combinations_with_replacement(choices, 2):
        for first, second in itertools.product(choices[one][-6:], choices[other]):
            changed = start | {one: first, other: second}
            yield {name: value for name, value in changed.items() if value is not ABSENT[0]}


@pytest.mark.parametrize("name", models())
def test_schema_and_api_agree_on_every_choice_of_every_model(name: str) -> None:
    model, decided = bundled(name), set()
    validator = Draft202012Validator(input_schema(name))
    for image_input in variants(model):
        allowed = validator.is_valid(image_input)
        if allowed != api_accepts(name, image_input):  # what JSON Schema cannot say
            errors = json.dumps(model.errors(image_input))
            assert allowed, image_input
            assert "custom size" in errors or "together" in errors, image_input
        decided.add(allowed)

    assert decided == {True, False}


def has_custom_size(image_input: dict[str, Any]) -> bool:
    """Whether the size is given in pixels, whose number a JSON Schema cannot limit."""
    return CUSTOM_SIZE.fullmatch(image_input.get("size", "")) is not None


# A regex does not know every invisible character: what is blank for the API alone is left out.
prompts = st.text(max_size=20).filter(
    lambda text: not (re.search(NOT_BLANK, text) and order_input.is_blank(text))
)
edges_px = st.integers(1, 400).map(lambda n: n * 16) | st.integers(1, 12_000)
sizes = (
    st.sampled_from(["auto", "7:5", "", *RATIOS])
    | st.builds(lambda a, b: f"{a}x{b}", edges_px, edges_px)
    | st.text(max_size=8)
)
image_inputs = st.fixed_dictionaries(
    {},
    optional={
        "prompt": prompts | st.sampled_from([PROMPT, " ", "\x1f"]),
        "quality": st.sampled_from(["low", "medium", "high", "xhigh", "LOW"]),
        "size": sizes,
        "resolution": st.sampled_from(["1K", "2K", "4K", "8K"]),
        "image_urls": st.lists(
            st.sampled_from([HTTPS, UPLOAD, "http://a.example/b", ""]), max_size=18
        ),
        "n": st.just(1),
    },
)


@given(model=st.sampled_from(list(MODELS)), image_input=image_inputs)
@example(
    model="gpt-image-2", image_input={"prompt": PROMPT, "size": "1040x1040", "resolution": "2K"}
)
def test_schema_allows_every_valid_order_and_beyond_it_only_custom_sizes(
    model: str, image_input: dict[str, Any]
) -> None:
    if schema_allows(model, image_input) != api_accepts(model, image_input):
        assert schema_allows(model, image_input)
        assert has_custom_size(image_input)


hosts = st.text("abz09-.:_é", min_size=1, max_size=12)
paths = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=8)


@given(host=hosts, path=paths)
@example(host="a", path="b c")
@example(host="a", path="é")
def test_schema_allows_every_image_url_that_the_api_accepts(host: str, path: str) -> None:
    url = f"https://{host}.example/{path}"

    if is_fetchable_url(url):
        assert schema_allows("gpt-image-2", {"prompt": PROMPT, "image_urls": [url]})


@pytest.mark.parametrize(
    ("parameters", "expected", "cursor"),
    [
        ({"limit": "1"}, ["gpt-image-2"], "1"),
        ({"limit": "1", "cursor": "1"}, ["gpt-image-2-edit"], None),
        ({"limit": "2"}, ["gpt-image-2", "gpt-image-2-edit"], None),
        ({"cursor": "2"}, [], None),
        ({"cursor": "99999"}, [], None),
        ({"category": "img2img"}, ["gpt-image-2", "gpt-image-2-edit"], None),
        ({"category": "video"}, [], None),
        ({"service_type": "chat"}, [], None),
        ({"tags": "text-to-image"}, ["gpt-image-2"], None),
        ({"tags": "image-to-image,text-to-image"}, ["gpt-image-2"], None),
        ({"tags": "image-to-image,inpainting"}, [], None),
        ({"q": "image 2 EDIT"}, ["gpt-image-2-edit"], None),
        ({"q": "gpt-image-2-edit", "limit": "1"}, ["gpt-image-2-edit"], None),
    ],
)
def test_page_has_the_models_that_match_its_parameters(
    parameters: dict[str, str], expected: list[str], cursor: str | None
) -> None:
    page = catalog.list_models(parameters, PAIR)

    assert [item["model_id"] for item in page["items"]] == expected
    assert (page["next_cursor"], page["has_more"]) == (cursor, cursor is not None)


@pytest.mark.parametrize(
    "parameters",
    [{"limit": each} for each in ("0", "-1", "many", "", "1.5", "٣", "9" * 5000)]
    + [{"cursor": each} for each in ("-1", "next", "1e3", " 1")],
)
def test_invalid_limit_or_cursor_is_named(parameters: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter) as invalid:
        catalog.list_models(parameters, PAIR)

    assert [each["parameter"] for each in invalid.value.problems] == list(parameters)
