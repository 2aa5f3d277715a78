"""The gpt-image family: gpt-image-2 is what it was, and gpt-image-2.5 is what PoYo says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.poyo.model_catalog import Model, model
from imagetasks.poyo.pricing import Price
from tests.support import gpt_image_2

IMAGE = "https://example.com/a.png"
PROMPT = "A lighthouse"
TABLE_2_5 = {  # credits of gpt-image-2.5-flare and -sunburst, as PoYo's catalogue has them
    "1K": ("1.31", "2.95", "11.78", "20.93", "47.11"),
    "2K": ("2.65", "5.99", "23.94", "42.55", "95.74"),
    "4K": ("2.47", "5.81", "22.39", "39.78", "89.51"),
}
QUALITIES_2_5 = ("low", "medium", "high", "xhigh", "max")
NEWER = ("gpt-image-2.5-flare", "gpt-image-2.5-sunburst")


def pointers(of: Model, image_input: dict[str, Any]) -> list[str]:
    return [each["pointer"] for each in of.errors(image_input)]


# gpt-image-2 is what it was

SIZES = (
    None, "auto", *gpt_image_2.RATIOS, "7:5", "AUTO", "", "1024X1024", "01024x1024", "99999x16",
    *(
        f"{width}x{height}"
        for width, height in itertools.product((16, 640, 1000, 1024, 2048, 3840, 3856), repeat=2)
    ),
)  # fmt: skip
NOTHING: list[str] = []
CHOICES = itertools.product(
    ("gpt-image-2", "gpt-image-2-edit"),
    (None, "low", "medium", "high", "xhigh", NOTHING),
    SIZES,
    (None, "1K", "2K", "4K", "8K"),
    (None, NOTHING, [IMAGE], [IMAGE] * 17),
)


def grid() -> Iterator[tuple[str, dict[str, Any]]]:
    """Thousands of inputs of gpt-image-2 and gpt-image-2-edit, valid and invalid ones."""
    for name, quality, size, resolution, images in CHOICES:
        fields = {"quality": quality, "size": size, "resolution": resolution, "image_urls": images}
        yield name, {"prompt": PROMPT, **fields}


def test_rules_and_prices_of_gpt_image_2_are_what_they_were() -> None:
    accepted = refused = 0
    for name, image_input in grid():
        new = model(name)
        errors = pointers(new, image_input)
        refusals = gpt_image_2.wrong_fields(name, image_input)
        if refusals:
            assert set(errors) == refusals, image_input
            refused += 1
            continue
        assert errors == [], image_input
        order = new.present(image_input)
        assert new.price(image_input) == Price(gpt_image_2.estimate_credits(order), exact=True)
        assert new.billed_resolution(image_input) == gpt_image_2.billed_resolution(order)
        accepted += 1
    assert accepted > 700
    assert refused > 9000


@pytest.mark.parametrize("size", [each for each in SIZES if each])
@pytest.mark.parametrize("resolution", ["1K", "2K", "4K"])
def test_size_of_gpt_image_2_is_refused_in_the_words_that_it_was(
    size: str, resolution: str
) -> None:
    expected = gpt_image_2.size_error(size, resolution)

    errors = model("gpt-image-2").errors({"prompt": PROMPT, "size": size, "resolution": resolution})

    told = [each["detail"].partition("; did you mean")[0] for each in errors]
    assert told == ([expected] if expected else [])


def test_edit_without_an_image_is_told_so_in_the_words_that_it_was() -> None:
    absent: tuple[object, ...] = (None, [])
    for images in absent:
        errors = model("gpt-image-2-edit").errors({"prompt": PROMPT, "image_urls": images})

        assert errors == [
            {
                "pointer": "/input/image_urls",
                "detail": "gpt-image-2-edit needs at least one image address",
            }
        ]


def test_gpt_image_2_has_the_fields_defaults_and_limits_that_it_had() -> None:
    new = model("gpt-image-2")

    assert tuple(new.fields) == gpt_image_2.FIELDS
    assert new.defaults() == gpt_image_2.DEFAULTS
    assert new.prompt_max == gpt_image_2.MAX_PROMPT_CHARS
    assert new.references == (0, gpt_image_2.MAX_IMAGES)
    assert model("gpt-image-2-edit").references == (1, gpt_image_2.MAX_IMAGES)
    assert new.title == "GPT Image 2"


# gpt-image-2.5


@pytest.mark.parametrize("name", NEWER)
@pytest.mark.parametrize("resolution", TABLE_2_5)
@pytest.mark.parametrize("size", ["1:1", "3:2", "16:9", "5:4"])
def test_newer_family_costs_what_its_table_says_at_the_ordered_resolution(
    name: str, resolution: str, size: str
) -> None:
    for quality, expected in zip(QUALITIES_2_5, TABLE_2_5[resolution], strict=True):
        order = {"prompt": PROMPT, "size": size, "resolution": resolution, "quality": quality}

        assert model(name).errors(order) == []
        assert model(name).price(order) == Price(Decimal(expected), exact=True)
        assert model(name).billed_resolution(order) == resolution


@pytest.mark.parametrize("name", NEWER)
def test_newer_family_has_other_defaults(name: str) -> None:
    smallest = {"prompt": PROMPT}

    assert model(name).effective(smallest) == {
        "prompt": PROMPT,
        "quality": "high",
        "size": "1:1",
        "resolution": "1K",
        "background": "auto",
        "output_format": "png",
    }
    assert model(name).price(smallest) == Price(Decimal("11.78"), exact=True)
    assert model(name).prompt_max == 32_000
    assert model(name).references == (0, 16)


@pytest.mark.parametrize("name", NEWER)
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"size": "auto"}, []),
        ({"size": "auto", "resolution": "2K"}, ["size"]),
        ({"size": "2048x2048", "resolution": "2K"}, []),
        ({"size": "2048x2048"}, ["size"]),
        ({"size": "3840x2160", "resolution": "4K"}, []),
        ({"size": "3840x2160", "resolution": "2K"}, ["size"]),
        ({"background": "transparent"}, []),
        ({"background": "transparent", "output_format": "webp"}, []),
        ({"background": "transparent", "output_format": "jpeg"}, ["background"]),
        ({"background": "auto", "output_format": "jpeg"}, []),
        ({"mask_url": IMAGE}, ["mask_url"]),
        ({"mask_url": IMAGE, "image_urls": []}, ["mask_url"]),
        ({"mask_url": IMAGE, "image_urls": [IMAGE]}, []),
        ({"mask_url": [IMAGE], "image_urls": [IMAGE]}, ["mask_url"]),
        ({"image_urls": [IMAGE] * 17}, ["image_urls"]),
        ({"quality": "ultra"}, ["quality"]),
        ({"output_format": "jpg"}, ["output_format"]),
        ({"n": 2}, ["n"]),
        ({"prompt": "x" * 32_001}, ["prompt"]),
    ],
)
def test_rules_of_the_newer_family(name: str, given: dict[str, Any], expected: list[str]) -> None:
    found = pointers(model(name), {"prompt": PROMPT, **given})

    assert found == [f"/input/{each}" for each in expected]
