"""A size in OpenAI's spelling is refused with the words of the model for it."""

from __future__ import annotations

from typing import Any

import pytest

from imagetasks.poyo.meant_size import meant_size
from imagetasks.poyo.model_catalog import model, models

SIZE_NAMES = ("size", "aspect_ratio", "resolution")


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("gpt-image-2", "1024x1024", "size 1:1 and resolution 1K"),
        ("gpt-image-2", "1536x1024", "size 3:2 and resolution 1K"),
        ("gpt-image-2", "1024x1536", "size 2:3 and resolution 1K"),
        ("gpt-image-2", "1792x1024", "size 16:9 and resolution 1K"),
        ("gpt-image-2", "1024x1792", "size 9:16 and resolution 1K"),
        ("gpt-image-2", "256x256", "size 1:1 and resolution 1K"),
        ("gpt-image-2", "1920x1080", "size 16:9 and resolution 1K"),
        ("gpt-image-2", "2048x2048", "size 1:1 and resolution 2K"),
        ("gpt-image-2", "3840x2160", "size 16:9 and resolution 4K"),
        ("nano-banana", "1024x1024", "size 1:1"),
        ("nano-banana-2-official", "512x512", "size 1:1 and resolution 0.5K"),
        ("grok-imagine-image-2.0", "2048x2048", "aspect_ratio 1:1 and resolution 2K"),
        ("gpt-image-1.5", "1:1", "size 1024x1024"),
        ("gpt-image-1.5", "3:2", "size 1536x1024"),
        ("wan-2.7-image", "1:1", "size 1024x1024"),
        ("wan-2.7-image", "256x256", "size 512x512"),
    ],
)
def test_size_is_named_as_the_model_names_it(name: str, value: str, meant: str) -> None:
    assert meant_size(model(name).fields, value) == meant


@pytest.mark.parametrize(
    "value",
    [
        "5000x1000",
        "1x9999",
        "7:5",
        "1000x640",
        "large",
        "",
        "auto",
        "1024",
        "01024x1024",
        "1024 x 1024",
        "9" * 500,
    ],
)
def test_other_shapes_and_words_mean_no_size(value: str) -> None:
    assert meant_size(model("gpt-image-2").fields, value) is None


@pytest.mark.parametrize("value", [None, 1024, [], {}, {"width": 1024, "height": 1024}, True])
def test_value_of_another_type_means_no_size(value: Any) -> None:
    assert meant_size(model("gpt-image-2").fields, value) is None


def test_model_that_takes_any_pixels_has_no_other_name_for_them() -> None:
    assert meant_size(model("flux-dev").fields, "1000x1001") is None


def test_resolution_that_the_order_names_is_not_named_again() -> None:
    [error] = model("gpt-image-2").errors({"prompt": "x", "size": "1024x1024", "resolution": "1K"})

    assert error["detail"].endswith("2K or 4K; did you mean size 1:1?")


@pytest.mark.parametrize("field", ["size", "resolution"])
def test_error_of_the_field_ends_with_the_meant_size(field: str) -> None:
    [error] = model("gpt-image-2").errors({"prompt": "x", field: "1024x1024"})

    assert error["pointer"] == f"/input/{field}"
    assert error["detail"].endswith("; did you mean size 1:1 and resolution 1K?")


def test_error_that_names_another_field_already_stays_as_it_is() -> None:
    [error] = model("grok-imagine-image-2.0").errors({"prompt": "x", "size": "1024x1024"})

    assert error["detail"].endswith("; did you mean aspect_ratio?")


@pytest.mark.parametrize("name", models())
@pytest.mark.parametrize("value", ["1024x1024", "1536x1024", "1:1", "16:9"])
def test_meant_size_is_one_that_the_model_takes(name: str, value: str) -> None:
    chosen = model(name)
    example = {k: v for k, v in chosen.examples[0].items() if k not in SIZE_NAMES}
    field = "aspect_ratio" if "aspect_ratio" in chosen.fields else "size"
    errors = chosen.errors({**example, field: value})
    told = [each["detail"] for each in errors if "did you mean" in each["detail"]]
    if not told:
        return

    meant = told[0].partition("did you mean ")[2].rstrip("?")

    asked = dict(part.split(" ") for part in meant.split(" and "))
    assert chosen.errors({**example, **asked}) == []
