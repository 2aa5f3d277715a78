"""The size that is meant by another spelling: a ratio and a resolution by `1024x1024`, as OpenAI writes
sizes, or the size in pixels by `1:1`."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from imagetasks.poyo.input_words import Schema

SIZE = re.compile(r"([1-9][0-9]{0,3})([x:])([1-9][0-9]{0,3})")
SIZE_FIELDS = ("size", "aspect_ratio")
# Pixels of an image of each resolution; which one is meant is decided by their logarithms.
PIXELS = {"0.5K": 512 * 512, "1K": 1024 * 1024, "2K": 2048 * 2048, "4K": 3840 * 2160}
SAME_SHAPE = 0.02  # of the ratio: 1792x1024 is 16:9, but 1408x1024 is not 4:3


class Shape(NamedTuple):
    """Width by height, and the pixels if both are in pixels."""

    ratio: float
    pixels: int | None


def meant_size(fields: Mapping[str, Schema], value: Any, given: Collection[str] = ()) -> str | None:
    """What a model with these fields calls the size `value`, as "size 1:1 and resolution 1K", without a
    resolution if that is in the other fields that are `given`. None unless `value` is a size and the model
    has one of that shape."""
    field = next((each for each in SIZE_FIELDS if each in fields), None)
    meant = _shape(value)
    if field is None or meant is None:
        return None
    sizes = {each: shape for each in _choices(fields[field]) if (shape := _shape(each))}
    near = [each for each in sizes if _difference(sizes[each], meant) <= SAME_SHAPE]
    if not near:
        return None
    found = f"{field} {min(near, key=lambda each: _distance(sizes[each], meant))}"
    if "resolution" in given:
        return found
    resolution = _resolution(_choices(fields.get("resolution", {})), meant.pixels)
    return f"{found} and resolution {resolution}" if resolution else found


def _shape(value: Any) -> Shape | None:
    found = SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    width, height = int(found[1]), int(found[3])
    return Shape(width / height, width * height if found[2] == "x" else None)


def _choices(schema: Schema) -> Sequence[str]:
    """The values that a field enumerates, beside others that it may have."""
    return [each for one in (schema, *schema.get("oneOf", ())) for each in one.get("enum", ())]


def _difference(one: Shape, other: Shape) -> float:
    """By which part the ratios differ."""
    return abs(math.log(one.ratio / other.ratio))


def _distance(one: Shape, other: Shape) -> tuple[float, float]:
    """How far the size `one` is from `other`: by their shapes, then by their pixels, 1K for a ratio."""
    pixels = math.log(one.pixels / (other.pixels or PIXELS["1K"])) if one.pixels else 0
    return round(_difference(one, other), 3), abs(pixels)


def _resolution(choices: Sequence[str], pixels: int | None) -> str | None:
    """The one of `choices` whose images have about so many pixels."""
    known = [each for each in choices if each in PIXELS]
    if pixels is None or not known:
        return None
    return min(known, key=lambda each: abs(math.log(PIXELS[each] / pixels)))
