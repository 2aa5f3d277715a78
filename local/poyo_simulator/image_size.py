"""The size in pixels of what a model draws: known for models whose custom sizes have limits, which then
limit every size; a guess for the others."""

import math
from collections.abc import Mapping
from typing import Any

from imagetasks.poyo.custom_size import Size, custom_size
from imagetasks.poyo.model_catalog import Model

STEP = 16
SIZES_1K = {  # of models whose custom sizes have limits
    "1:1": (1024, 1024),
    "3:2": (1536, 1024),
    "4:3": (1344, 1008),
    "5:4": (1280, 1024),
    "16:9": (1536, 864),
    "21:9": (1568, 672),
}
EDGE_2K = 2048
EDGES = {"0.5K": 512, "1K": 1024, "2K": 2048, "3K": 3072, "4K": 4096}  # of a square
MAX_PIXELS = 4096 * 4096  # a larger order is drawn smaller, so that it takes no minute


def image_size(model: Model, given: dict[str, object]) -> Size:
    """The size of each image that ``model`` draws for a valid input, which has its defaults."""
    size = given.get("size", given.get("aspect_ratio"))
    if custom := custom_size(size):
        return _limited(custom)
    ratio = size if isinstance(size, str) and ":" in size else "1:1"
    left, right = (int(part) for part in ratio.split(":"))
    resolution = model.billed_resolution(given) or (str(size) if size in EDGES else "1K")
    for rule in model.rules.get("checks", ()):
        if rule["rule"] == "custom_size":
            return _within_limits(rule, left, right, resolution)
    return _with_area(left / right, EDGES[resolution])


def _within_limits(rule: Mapping[str, Any], left: int, right: int, resolution: str) -> Size:
    """The largest size of this ratio that the limits of custom sizes allow, at 2K with an edge of 2048."""
    if left < right:
        turned = _within_limits(rule, right, left, resolution)
        return Size(turned.height, turned.width)
    if resolution == "1K":
        return Size(*SIZES_1K[f"{left}:{right}"])
    step, longest = rule["multiple_of"], EDGE_2K if resolution == "2K" else rule["longest_edge"]
    most = math.isqrt(rule["pixels"][1] * left // right)
    long = min(longest, most // step * step)
    return Size(long, round(long * right / left / step) * step)


def _with_area(ratio: float, edge: int) -> Size:
    """A size of this ratio with about as many pixels as a square with this edge."""
    width = round(edge * math.sqrt(ratio) / STEP) * STEP
    return Size(width, max(STEP, round(width / ratio / STEP) * STEP))


def _limited(size: Size) -> Size:
    """The size, or one of the same ratio that has at most ``MAX_PIXELS``."""
    scale = min(1.0, math.sqrt(MAX_PIXELS / (size.width * size.height)))
    return Size(max(1, int(size.width * scale)), max(1, int(size.height * scale)))
