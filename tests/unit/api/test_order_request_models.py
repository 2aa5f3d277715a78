"""Validation of orders by the rules of each model."""

from __future__ import annotations

import pytest

from tests.support import gpt_image_2
from tests.support.orders import (
    IMAGE_URL,
    UPLOAD_URL,
    errors_by_pointer,
    order_body,
    order_of,
    parse_order,
)

MODELS = gpt_image_2.NAMES


def body_for(model: str, **image_input: object) -> dict[str, object]:
    """An order with these fields of `input`, and with an image if the model needs one."""
    required = {"image_urls": [IMAGE_URL]} if model == "gpt-image-2-edit" else {}
    return order_body(model, **required | image_input)


def sized(size: str, resolution: str = "2K") -> dict[str, object]:
    return {"size": size, "resolution": resolution}


ACCEPTED: list[dict[str, object]] = [
    {},
    {"quality": "low"},
    {"quality": "medium"},
    {"quality": "high"},
    {"resolution": "1K"},
    {"resolution": "2K"},
    {"resolution": "4K"},
    *(sized(size, each) for size in ("auto", *gpt_image_2.RATIOS) for each in ("1K", "2K", "4K")),
    sized("1024x1024"),
    sized("1024x1024", "4K"),
    sized("3840x2160", "4K"),  # the most pixels, the longest edge
    sized("2160x3840", "4K"),
    sized("3840x1280"),  # 3:1
    sized("1280x3840"),
    sized("1024x640"),  # the fewest pixels
    sized("640x1024"),
    sized("2880x2880", "4K"),
    {"prompt": "x"},
    {"prompt": "x" * 20_000},
    {"prompt": "🗼" * 20_000},
    {"prompt": "e\u0301" * 10_000},
    {"prompt": "\u0000\u202e x"},
    {"image_urls": [IMAGE_URL]},
    {"image_urls": [IMAGE_URL] * 16},
    {"image_urls": [UPLOAD_URL]},
    {"image_urls": [UPLOAD_URL, IMAGE_URL, UPLOAD_URL]},
    {"image_urls": ["https://example.com/" + "x" * 2028]},
    {"image_urls": ["https://xn--bcher-kva.example/a?b=c&d=%20#e"]},
]
REJECTED: list[tuple[dict[str, object], str]] = [
    ({"quality": "ultra"}, "quality"),
    ({"quality": "xhigh"}, "quality"),
    ({"quality": ""}, "quality"),
    ({"resolution": "8K"}, "resolution"),
    ({"resolution": ""}, "resolution"),
    ({"resolution": 2}, "resolution"),
    (sized("1024x1024", "1K"), "size"),  # a custom size needs 2K
    ({"size": "1024x1024"}, "size"),  # and 1K is the default
    (sized("1025x1024"), "size"),  # multiples of 16
    (sized("1024x1032"), "size"),
    (sized("3856x2160", "4K"), "size"),  # longest edge
    (sized("2160x3856", "4K"), "size"),
    (sized("3840x1264"), "size"),  # beyond 3:1
    (sized("1264x3840"), "size"),
    (sized("1008x640"), "size"),  # one step below the fewest pixels
    (sized("1024x624"), "size"),
    (sized("3840x2176", "4K"), "size"),  # one step above the most
    (sized("2896x2880", "4K"), "size"),
    (sized("0x0"), "size"),
    (sized("16x16"), "size"),
    (sized("1024x1024x1"), "size"),
    (sized("1024*1024"), "size"),
    (sized("1:2"), "size"),
    (sized("16:10"), "size"),
    (sized(""), "size"),
    (sized(" auto"), "size"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": "\u2003\n"}, "prompt"),
    ({"prompt": "x" * 20_001}, "prompt"),
    ({"prompt": "🗼" * 20_001}, "prompt"),
    ({"prompt": ["x"]}, "prompt"),
    ({"image_urls": [IMAGE_URL] * 17}, "image_urls"),
    ({"image_urls": {}}, "image_urls"),
    ({"image_urls": ["https://example.com/" + "x" * 2029]}, "image_urls/0"),
    ({"image_urls": [IMAGE_URL, "upload://"]}, "image_urls/1"),
    ({"image_urls": [f"{UPLOAD_URL}a"]}, "image_urls/0"),
    ({"image_urls": [UPLOAD_URL[:-1]]}, "image_urls/0"),
    ({"image_urls": [UPLOAD_URL.upper()]}, "image_urls/0"),
    ({"image_urls": [f"{UPLOAD_URL}/../b"]}, "image_urls/0"),
    ({"image_urls": ["data:image/png;base64,AAAA"]}, "image_urls/0"),
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("image_input", ACCEPTED, ids=range(len(ACCEPTED)))
def test_input_that_poyo_accepts_is_accepted(model: str, image_input: dict[str, object]) -> None:
    body = body_for(model, **image_input)

    order = order_of(body)

    assert order.input == body["input"]
    assert order.estimated_credits == gpt_image_2.estimate_credits(order.input)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("image_input", "field"), REJECTED, ids=range(len(REJECTED)))
def test_input_that_poyo_rejects_or_charges_without_a_usable_image_is_rejected(
    model: str, image_input: dict[str, object], field: str
) -> None:
    assert list(errors_by_pointer(body_for(model, **image_input))) == [f"/input/{field}"]


def test_edit_without_an_image_is_rejected() -> None:
    for body in (order_body("gpt-image-2-edit"), order_body("gpt-image-2-edit", image_urls=[])):
        assert errors_by_pointer(body) == {
            "/input/image_urls": "gpt-image-2-edit needs at least one image address"
        }
    assert parse_order(order_body("gpt-image-2-edit", image_urls=[UPLOAD_URL])).input[
        "image_urls"
    ] == [UPLOAD_URL]
    assert "image_urls" not in order_of(order_body(image_urls=[])).input


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("aspect_ratio", "size"),
        ("aspectRatio", "size"),
        ("ratio", "size"),
        ("sizes", "size"),
        ("image_size", "size"),
        ("image", "image_urls"),
        ("images", "image_urls"),
        ("image_url", "image_urls"),
        ("imageUrls", "image_urls"),
        ("input_urls", "image_urls"),
        ("prompts", "prompt"),
        ("qualities", "quality"),
        ("resolutions", "resolution"),
        ("n", None),
        ("seed", None),
        ("background", None),
        ("output_format", None),
        ("mask_url", None),
        ("mask", None),
        ("num_images", None),
        ("image_count", None),
        ("image_format", None),
        ("", None),
    ],
)
def test_unknown_field_is_rejected_for_every_model(
    model: str, field: str, meant: str | None
) -> None:
    errors = errors_by_pointer(body_for(model, **{field: "x"}))

    assert list(errors) == [f"/input/{field}"]
    detail = errors[f"/input/{field}"]
    assert detail.startswith(
        "unknown field, allowed are prompt, quality, size, resolution, image_urls"
    )
    assert detail.endswith(f"did you mean {meant}?") if meant else "did you mean" not in detail
