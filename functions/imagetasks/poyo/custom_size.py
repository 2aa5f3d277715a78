"""Sizes in pixels: what PoYo accepts, and which resolution it charges for a size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from imagetasks.poyo.input_words import one_of

Values = Mapping[str, Any]  # an input with the defaults of its model

PATTERN = "^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}$"
WIDTH_X_HEIGHT = re.compile(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})")


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


def custom_size(value: Any) -> Size | None:
    """The size that `WIDTHxHEIGHT` or an object with width and height names; None for any other."""
    if isinstance(value, str) and (found := WIDTH_X_HEIGHT.fullmatch(value)):
        return Size(int(found[1]), int(found[2]))
    if isinstance(value, dict) and {"width", "height"} <= value.keys():
        return Size(value["width"], value["height"])
    return None


def custom_size_error(rule: Mapping[str, Any], values: Values) -> str | None:
    """Why `rule` does not allow the custom size in `values`, or None if it does or there is none."""
    size = custom_size(values.get("size"))
    if size is None:
        return None
    longest, shortest = max(size), min(size)
    if values.get("resolution") not in rule["resolutions"]:
        return f"a custom WIDTHxHEIGHT needs resolution {one_of(rule['resolutions'])}"
    if any(edge % rule["multiple_of"] for edge in size):
        return f"both edges of a custom size must be multiples of {rule['multiple_of']}"
    if longest > rule["longest_edge"]:
        return f"the longest edge of a custom size is {rule['longest_edge']}"
    if longest > rule["ratio"] * shortest:
        return f"a custom size may be at most {rule['ratio']}:1"
    least, most = rule["pixels"]
    if not least <= size.width * size.height <= most:
        return f"a custom size must have {least:,} to {most:,} pixels"
    return _edge_error(rule, longest, values)


def _edge_error(rule: Mapping[str, Any], longest: int, values: Values) -> str | None:
    """Why the longest edge needs another resolution, or None if it does not."""
    needs = rule.get("edge_resolutions", {}).get(str(longest), [values.get("resolution")])
    if values.get("resolution") in needs:
        return None
    return f"an edge of {longest} pixels needs resolution {one_of(needs)}"


def billed_resolution(rule: Mapping[str, Any] | None, values: Values) -> str | None:
    """The resolution that PoYo charges for: the ordered one, unless the model's `billed_resolution`
    is the rule `4k_as_2k`, by which 4K is charged only for some sizes. None: the model has none."""
    ordered: str | None = values.get("resolution")
    if rule is None:
        return ordered
    value = values.get("size")
    if value == "auto":
        return str(rule["auto"])
    if ordered != "4K" or value in rule["sizes"]:
        return ordered
    return "4K" if rule["edge"] in (custom_size(value) or ()) else "2K"
