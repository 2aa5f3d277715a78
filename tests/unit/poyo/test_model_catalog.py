"""The bundled models: what each accepts and costs, and that data alone makes one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.poyo import model_catalog
from imagetasks.poyo.input_words import MAX_ERRORS
from imagetasks.poyo.model_catalog import Model, allowed, is_known, model, models, read
from imagetasks.poyo.model_entry import model_entry
from imagetasks.poyo.pricing import Price

IMAGE = "https://example.com/a.png"
PROMPT = "A lighthouse"
NEWER = ("gpt-image-2.5-flare", "gpt-image-2.5-sunburst")


def pointers(of: Model, image_input: dict[str, Any]) -> list[str]:
    return [each["pointer"] for each in of.errors(image_input)]


# Every model


@pytest.mark.parametrize("each", models().values(), ids=lambda each: each.model_id)
def test_examples_are_valid_and_priced(each: Model) -> None:
    assert each.examples
    for example in each.examples:
        assert each.errors(example) == []
        assert each.price(example).credits > 0
        assert 1 <= each.images(example) <= 15


OF_EACH_TYPE: dict[str, Any] = {
    "string": "no such value",
    "integer": 7,
    "number": 1.5,
    "boolean": True,
    "array": [["nested"]],
    "empty array": [],
    "object": {"no such": "field"},
}


def wrong_values(field: dict[str, Any]) -> Iterator[Any]:
    """Values that a field's schema forbids, each for another reason."""
    kind = field.get("type", "string")
    others = {"array", "empty array"} if kind == "array" else {kind}
    yield from (each for name, each in OF_EACH_TYPE.items() if name not in others)
    if kind == "integer":
        yield from (1.0, "1")
    if {"enum", "oneOf", "pattern"} & field.keys():
        yield from ("no such value", "1024x1024x1", "")
    if kind == "array":
        entry = {} if field["items"].get("type") == "object" else IMAGE
        yield from ([entry] * (field["maxItems"] + 1), [7], [None])
    yield from beyond_limits(field)


def beyond_limits(field: dict[str, Any]) -> Iterator[Any]:
    """Values just beyond each limit of a field's schema."""
    if field.get("minLength", 0) > 0:
        yield "x" * (field["minLength"] - 1)
    if "maxLength" in field:
        yield "x" * (field["maxLength"] + 1)
    if "minimum" in field:
        yield field["minimum"] - 1
    if "maximum" in field:
        yield field["maximum"] + 1


FIELDS = [(each, name) for each in models().values() for name in each.fields]


@pytest.mark.parametrize(
    ("each", "name"), FIELDS, ids=[f"{each.model_id}-{name}" for each, name in FIELDS]
)
def test_wrong_values_of_a_field_are_refused_by_its_name(each: Model, name: str) -> None:
    for value in wrong_values(dict(each.fields[name])):
        found = pointers(each, {**each.examples[0], name: value})

        assert found, value
        assert all(f"{pointer}/".startswith(f"/input/{name}/") for pointer in found), found


def test_many_wrong_values_were_tried() -> None:
    tried = [list(wrong_values(dict(each.fields[name]))) for each, name in FIELDS]

    assert sum(map(len, tried)) > 2000
    assert min(map(len, tried)) >= 5


@pytest.mark.parametrize("each", models().values(), ids=lambda each: each.model_id)
def test_missing_null_and_unknown_fields(each: Model) -> None:
    example = each.examples[0]
    required = {*each.input_schema["required"]}
    required |= {"size"} if each.model_id == "z-image" else set()

    for name in each.fields:
        without = {**example, name: None}
        found = set(pointers(each, without))
        assert (f"/input/{name}" in found) is (name in required)
    assert pointers(each, {**example, "no_such_field": 1}) == ["/input/no_such_field"]


@pytest.mark.parametrize("each", models().values(), ids=lambda each: each.model_id)
def test_price_of_every_quality_and_resolution(each: Model) -> None:
    choices = [
        [(name, value) for value in each.fields[name]["enum"]]
        for name in ("quality", "resolution")
        if name in each.fields
    ]

    for chosen in itertools.product(*choices):
        price = each.price({**each.examples[0], **dict(chosen)})
        assert Decimal("0.4") < price.credits < 200


def test_errors_are_no_more_than_one_response_names() -> None:
    many = {f"field{n}": n for n in range(MAX_ERRORS + 5)}

    assert len(model("gpt-image-2").errors(many)) == MAX_ERRORS
    assert pointers(model("gpt-image-2"), {"prompt": PROMPT, "x" * 65: 1}) == ["/input"]


# Rules of single models that stand in PoYo's prose


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("seedream-4", {"n": 5, "image_urls": [IMAGE] * 10}, []),
        ("seedream-4", {"n": 6, "image_urls": [IMAGE] * 10}, ["n"]),
        ("seedream-4-edit", {"n": 15, "image_urls": [IMAGE]}, ["n"]),
        ("seedream-4.5", {"size": "1920x4096"}, []),
        ("seedream-4.5", {"size": {"width": 2304, "height": 3072}}, []),
        ("seedream-4.5", {"size": {"width": 2304}}, ["size/height"]),
        ("seedream-4.5", {"size": "3K"}, ["size"]),
        ("seedream-5.0-lite", {"size": "3K"}, []),
        ("z-image", {}, ["size"]),
        ("z-image", {"image_urls": [IMAGE]}, []),
        ("flux-2-pro", {"size": "auto", "resolution": "1K"}, ["size"]),
        ("flux-2-pro", {"size": "auto", "resolution": "1K", "image_urls": [IMAGE]}, []),
        ("flux-2-pro", {}, ["size", "resolution"]),
        ("flux-dev", {"size": "1:1"}, ["size"]),
        ("flux-dev", {"size": "1024x1024", "image_urls": [IMAGE]}, ["image_urls"]),
        ("kling-o3-image", {"size": "auto"}, ["size"]),
        ("kling-o3-image-edit", {"size": "auto", "image_urls": [IMAGE]}, []),
        ("kling-o3-image", {"elements": [{"url": IMAGE}]}, ["elements/0/url"]),
        ("nano-banana-2", {"size": "auto"}, ["size"]),
        ("nano-banana-2-lite", {"image_urls": [IMAGE]}, ["image_urls"]),
        ("nano-banana-2-new", {"resolution": "0.5K"}, ["resolution"]),
        ("nano-banana-2-official", {"resolution": "0.5K", "size": "8:1"}, []),
        ("gpt-image-1.5", {"mask_url": IMAGE}, ["mask_url"]),
        ("grok-imagine-image-2.0", {"size": "1:1"}, ["size"]),
        ("grok-imagine-image-2.0", {"aspect_ratio": "1:1"}, []),
    ],
)
def test_rule_of_a_model(name: str, given: dict[str, Any], expected: list[str]) -> None:
    found = pointers(model(name), {"prompt": PROMPT, **given})

    assert found == [f"/input/{each}" for each in expected]


@pytest.mark.parametrize(
    ("name", "given", "expected", "exact"),
    [
        ("kling-o3-image", {"resolution": "4K", "n": 3}, "21", True),
        ("wan-2.7-image", {"n": 2}, "8.4", True),
        ("seedream-4.5", {"n": 15}, "75", False),
        ("gpt-image-1-official", {}, "30", False),
        ("gpt-4o-image", {"n": 2}, "8", False),
        ("flux-kontext-pro", {}, "10", False),
        ("flux-kontext-max-edit", {"image_urls": [IMAGE]}, "16", False),
        ("qwen-image-3-pro", {}, "12", False),
        ("qwen-image-3-pro", {"resolution": "1K"}, "6.4", True),
        ("qwen-image-3", {"image_urls": [IMAGE] * 2}, "5.8", False),
        ("grok-imagine-image-quality", {"resolution": "2K", "n": 2, "image_urls": [IMAGE]}, "24", True),
        ("flux-schnell", {"size": "1024x1024", "n": 2}, "1.92", False),
    ],
)  # fmt: skip
def test_price_of_a_model(name: str, given: dict[str, Any], expected: str, exact: bool) -> None:
    assert model(name).price({"prompt": PROMPT, **given}) == Price(Decimal(expected), exact)


# The catalogue


def test_models_are_found_by_id_and_by_pattern() -> None:
    assert is_known("gpt-image-2")
    assert not is_known("gpt-image-3")
    with pytest.raises(KeyError):
        model("gpt-image-3")
    assert set(allowed("*")) == set(models())
    assert allowed("") == {}
    assert set(allowed("gpt-image-2.5-*, z-image")) == {*NEWER, "z-image"}
    assert set(allowed("gpt-image-2")) == {"gpt-image-2"}
    assert set(allowed("gpt-image-2-*")) == {"gpt-image-2-edit"}
    assert set(allowed("*-edit")) == {each for each in models() if each.endswith("-edit")}
    assert "gpt-4o-image" not in allowed("gpt-image-*")
    assert {"gpt-image-2", "gpt-image-2-edit", *NEWER} <= set(allowed("gpt-image-*"))


def test_images_formats_and_addresses_of_an_order() -> None:
    kling = model("kling-o3-image")
    order = {
        "n": 3,
        "image_urls": [IMAGE],
        "elements": [{"frontal_image_url": f"{IMAGE}?2", "reference_image_urls": [f"{IMAGE}?3"]}],
    }

    assert kling.images(order) == 3
    assert model("gpt-image-2").images({}) == 1
    assert dict(kling.addresses(order)) == {
        "/input/image_urls/0": IMAGE,
        "/input/elements/0/frontal_image_url": f"{IMAGE}?2",
        "/input/elements/0/reference_image_urls/0": f"{IMAGE}?3",
    }
    assert kling.output_format({}) == "png"
    assert model("nano-banana-pro").output_format({"output_format": "jpg"}) == "jpeg"
    assert model("gpt-image-2").output_format({}) is None


def test_model_is_added_by_data_alone() -> None:
    entry = {
        "model_id": "painter-1",
        "category": "image",
        "title": "Painter",
        "description": "Paints.",
        "tags": ["text-to-image"],
        "input_schema": {
            "type": "object",
            "required": ["prompt"],
            "properties": {
                "prompt": {"type": "string", "minLength": 1, "maxLength": 100},
                "n": {"type": "integer", "minimum": 1, "maximum": 3, "default": 2},
                "style": {"type": "string", "enum": ["ink", "oil"], "default": "oil"},
            },
            "additionalProperties": False,
        },
        "examples": [{"prompt": PROMPT}],
        "billing": {"credits": 1.25},
        "rules": {"charged_each": True},
        "timing": {"by": ["style"], "seconds": {"ink": 5}, "source": "measured"},
        "facts": {},
    }

    painter = read(json.dumps({"items": [entry]}))["painter-1"]

    assert painter.errors({"prompt": PROMPT, "style": "ink"}) == []
    assert pointers(painter, {"prompt": PROMPT, "style": "wax"}) == ["/input/style"]
    assert painter.price({"prompt": PROMPT}) == Price(Decimal("2.50"), exact=True)
    assert painter.typical_seconds({"prompt": PROMPT, "style": "ink", "n": 1}) == 5


def test_entry_has_poyos_shape_and_the_prices_as_numbers() -> None:
    entry = json.loads(json.dumps(model_entry(model("gpt-image-2.5-flare"))))

    assert entry["billing"]["price_table"]["2K"]["max"] == 95.74
    assert entry["tool_name"] == "gpt_image_2_5_flare"
    assert entry["tags"] == ["text-to-image", "image-to-image"]
    assert "rules" not in entry


def test_the_file_is_read_once() -> None:
    assert model_catalog.models() is models()
