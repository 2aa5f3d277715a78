"""The models PoYo sells, what they accept and what they cost. Validation, quotes and the catalog read
this table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Resolution = Literal["1K", "2K", "4K"]

RATIOS = ("1:1", "2:3", "3:2", "4:3", "3:4", "4:5", "5:4", "16:9", "9:16", "21:9")
CUSTOM_SIZE = re.compile(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})")
QUALITIES = ("low", "medium", "high")
TRUE_4K_RATIOS = frozenset({"16:9", "9:16", "21:9"})  # PoYo bills every other 4K order as 2K
MAX_EDGE_PX = 3840
PIXEL_RANGE = (655_360, 8_294_400)

# Credits for one image by quality and billed resolution, as PoYo published them up to August 2026.
# This is the estimate; the finished task's `credits_amount` is what PoYo really charged.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What one model accepts: lengths in characters, counts in images."""

    title: str
    qualities: tuple[str, ...] = QUALITIES
    resolutions: tuple[str, ...] = ("1K", "2K", "4K")
    ratios: tuple[str, ...] = RATIOS
    prompt_max: int = 20_000
    images_min: int = 0
    images_max: int = 16


MODELS: Mapping[str, ModelSpec] = {
    "gpt-image-2": ModelSpec(title="GPT Image 2"),
    "gpt-image-2-edit": ModelSpec(title="GPT Image 2 Edit", images_min=1),
}


def billed_resolution(order: Mapping[str, Any]) -> Resolution:
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
    """Credits that PoYo is expected to charge for `order` (a validated input object)."""
    return CREDITS_PER_IMAGE[(str(order.get("quality", "low")), billed_resolution(order))]


def size_error(size: str, resolution: str, spec: ModelSpec) -> str | None:
    """Why PoYo would refuse `size` at `resolution`, or None if it accepts it."""
    if size == "auto" or size in spec.ratios:
        return None
    custom = CUSTOM_SIZE.fullmatch(size)
    if not custom:
        return f"must be auto, one of {', '.join(spec.ratios)}, or WIDTHxHEIGHT in pixels"
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
