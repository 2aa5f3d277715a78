"""What gpt-image-2 and gpt-image-2-edit accept and cost, written down apart from the data of the models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

NAMES = ("gpt-image-2", "gpt-image-2-edit")
FIELDS = ("prompt", "quality", "size", "resolution", "image_urls")
DEFAULTS = {"quality": "low", "size": "auto", "resolution": "1K"}
RATIOS = ("1:1", "2:3", "3:2", "4:3", "3:4", "4:5", "5:4", "16:9", "9:16", "21:9")
CUSTOM_SIZE = re.compile(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})")
QUALITIES = ("low", "medium", "high")
RESOLUTIONS = ("1K", "2K", "4K")
TRUE_4K_RATIOS = frozenset({"16:9", "9:16", "21:9"})  # PoYo bills every other 4K order as 2K
MAX_EDGE_PX = 3840
PIXEL_RANGE = (655_360, 8_294_400)
MAX_PROMPT_CHARS = 20_000
MAX_IMAGES = 16

# Credits for one image by quality and billed resolution, as PoYo published them up to August 2026.
CREDITS_PER_IMAGE = {
    ("low", "1K"): Decimal("2"),
    ("low", "2K"): Decimal("4"),
    ("low", "4K"): Decimal("8"),
    ("medium", "1K"): Decimal("8.48"),
    ("medium", "2K"): Decimal("8.96"),
    ("medium", "4K"): Decimal("16.16"),
    ("high", "1K"): Decimal("33.76"),
    ("high", "2K"): Decimal("35.52"),
    ("high", "4K"): Decimal("64.16"),
}


def billed_resolution(order: Mapping[str, Any]) -> str:
    """The resolution that PoYo charges `order` (an input object) for."""
    size, requested = order.get("size", "auto"), order.get("resolution", "1K")
    if size == "auto" or requested == "1K":
        return "1K"
    if requested == "2K":
        return "2K"
    custom = CUSTOM_SIZE.fullmatch(size)
    edges = map(int, custom.groups()) if custom else ()
    return "4K" if size in TRUE_4K_RATIOS or MAX_EDGE_PX in edges else "2K"


def estimate_credits(order: Mapping[str, Any]) -> Decimal:
    """Credits that PoYo is expected to charge for `order` (a valid input object)."""
    return CREDITS_PER_IMAGE[(str(order.get("quality", "low")), billed_resolution(order))]


def size_error(size: str, resolution: str) -> str | None:
    """Why PoYo would refuse `size` at `resolution`, or None if it accepts it."""
    if size == "auto" or size in RATIOS:
        return None
    custom = CUSTOM_SIZE.fullmatch(size)
    if not custom:
        return f"must be auto, one of {', '.join(RATIOS)}, or WIDTHxHEIGHT in pixels"
    width, height = map(int, custom.groups())
    if resolution == "1K":
        return "a custom WIDTHxHEIGHT needs resolution 2K or 4K"
    if width % 16 or height % 16:
        return "both edges of a custom size must be multiples of 16"
    if max(width, height) > MAX_EDGE_PX:
        return f"the longest edge of a custom size is {MAX_EDGE_PX}"
    if max(width, height) > 3 * min(width, height):
        return "a custom size may be at most 3:1"
    if not PIXEL_RANGE[0] <= width * height <= PIXEL_RANGE[1]:
        return f"a custom size must have {PIXEL_RANGE[0]:,} to {PIXEL_RANGE[1]:,} pixels"
    return None


def wrong_fields(name: str, image_input: Mapping[str, Any]) -> set[str]:
    """Pointers of the fields of an input, whose values are of strings, that the model `name` refuses. An
    unknown resolution leaves the rules of a custom size aside."""
    given = {k: v for k, v in image_input.items() if v is not None}
    images = given.get("image_urls", [])
    found = set()
    if given.get("quality", "low") not in QUALITIES:
        found.add("/input/quality")
    resolution = given.get("resolution", "1K")
    if resolution not in RESOLUTIONS:
        found.add("/input/resolution")
        resolution = ""
    size = given.get("size", "auto")
    known = not isinstance(size, str) or size in ("auto", *RATIOS) or CUSTOM_SIZE.fullmatch(size)
    if not known or (resolution and size_error(size, resolution)):
        found.add("/input/size")
    if len(images) > MAX_IMAGES or (name == "gpt-image-2-edit" and not images):
        found.add("/input/image_urls")
    return found
