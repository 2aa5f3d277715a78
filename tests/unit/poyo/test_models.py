"""What an order of gpt-image-2 costs, and which sizes PoYo accepts."""

from decimal import Decimal

import pytest

from imagetasks.poyo.model_catalog import model
from tests.support.gpt_image_2 import CREDITS_PER_IMAGE, NAMES, QUALITIES, RATIOS, RESOLUTIONS

MODEL = model("gpt-image-2")
billed_resolution = MODEL.billed_resolution


def estimate_credits(order: dict[str, str]) -> Decimal:
    """The price, which is exact."""
    price = MODEL.price(order)
    assert price.exact
    return price.credits


def size_error(size: str, resolution: str) -> str | None:
    """What is said of the size, and of nothing else; None if it is accepted."""
    order = {"prompt": "A lighthouse", "size": size, "resolution": resolution}
    errors = {each["pointer"]: each["detail"] for each in MODEL.errors(order)}
    assert set(errors) <= {"/input/size"}
    return errors.get("/input/size")


@pytest.mark.parametrize(
    ("size", "resolution", "billed"),
    [
        ("auto", "1K", "1K"),
        ("auto", "2K", "1K"),
        ("auto", "4K", "1K"),
        ("1:1", "1K", "1K"),
        ("1:1", "2K", "2K"),
        ("1:1", "4K", "2K"),
        ("3:2", "4K", "2K"),
        ("5:4", "4K", "2K"),
        ("16:9", "4K", "4K"),
        ("9:16", "4K", "4K"),
        ("21:9", "4K", "4K"),
        ("16:9", "2K", "2K"),
        ("3840x2160", "4K", "4K"),
        ("2160x3840", "4K", "4K"),
        ("2048x2048", "4K", "2K"),
        ("3824x2160", "4K", "2K"),
        ("3840x2160", "2K", "2K"),
    ],
)
def test_billed_resolution_depends_on_the_size(size: str, resolution: str, billed: str) -> None:
    assert billed_resolution({"size": size, "resolution": resolution}) == billed


def test_order_without_a_size_is_billed_as_1k() -> None:
    assert billed_resolution({"resolution": "4K"}) == "1K"
    assert billed_resolution({}) == "1K"


@pytest.mark.parametrize(
    ("quality", "credits_1k", "credits_2k", "credits_4k"),
    [
        ("low", "2", "4", "8"),
        ("medium", "8.48", "8.96", "16.16"),
        ("high", "33.76", "35.52", "64.16"),
    ],
)
def test_estimate_is_the_published_price(
    quality: str, credits_1k: str, credits_2k: str, credits_4k: str
) -> None:
    for resolution, price in (("1K", credits_1k), ("2K", credits_2k), ("4K", credits_4k)):
        order = {"quality": quality, "size": "16:9", "resolution": resolution}

        assert estimate_credits(order) == Decimal(price)


def test_order_without_options_has_the_lowest_price() -> None:
    assert estimate_credits({}) == min(CREDITS_PER_IMAGE.values())


def test_every_quality_and_resolution_of_every_model_has_a_price() -> None:
    for name in NAMES:
        for quality in QUALITIES:
            for resolution in RESOLUTIONS:
                order = {"quality": quality, "size": "16:9", "resolution": resolution}
                assert model(name).price(order).credits > 0


@pytest.mark.parametrize("size", ["auto", *RATIOS])
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_named_sizes_are_accepted_at_every_resolution(size: str, resolution: str) -> None:
    assert size_error(size, resolution) is None


@pytest.mark.parametrize(
    "size",
    ["1024x1024", "3840x2160", "2160x3840", "3840x1280", "1280x3840", "1024x640", "640x1024"],
)
def test_custom_sizes_within_all_bounds_are_accepted(size: str) -> None:
    assert size_error(size, "2K") is None
    assert size_error(size, "4K") is None


@pytest.mark.parametrize(
    ("size", "resolution", "expected"),
    [
        ("1024x1024", "1K", "2K or 4K"),
        ("1000x1024", "2K", "multiples of 16"),
        ("1024x1000", "2K", "multiples of 16"),
        ("3856x2160", "4K", "longest edge"),
        ("2160x3856", "4K", "longest edge"),
        ("3840x1264", "4K", "3:1"),
        ("1264x3840", "4K", "3:1"),
        ("640x640", "2K", "pixels"),
        ("1008x640", "2K", "pixels"),
        ("3840x2176", "4K", "pixels"),
        ("7:5", "2K", "must be auto"),
        ("1024X1024", "2K", "must be auto"),
        ("1024 x 1024", "2K", "must be auto"),
        ("01024x1024", "2K", "must be auto"),
        ("99999x16", "2K", "must be auto"),
        ("-16x16", "2K", "must be auto"),
        ("１０２４x1024", "2K", "must be auto"),
        ("1024x1024\n", "2K", "must be auto"),
        ("", "2K", "must be auto"),
        ("AUTO", "1K", "must be auto"),
    ],
)
def test_every_other_size_is_rejected_with_a_reason(
    size: str, resolution: str, expected: str
) -> None:
    error = size_error(size, resolution)

    assert error is not None
    assert expected in error
