"""Reading and replacing what a JSON pointer (RFC 6901) names in a document of objects and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def value_at(document: Any, pointer: str) -> Any:
    """What `pointer` names in `document`. Raises KeyError, IndexError or ValueError if it is not there."""
    found = document
    for name in _names(pointer):
        found = found[int(name)] if isinstance(found, list | tuple) else found[name]
    return found


def with_values(document: Any, values: Mapping[str, Any]) -> Any:
    """A copy of `document` with each of `values` in the place that its pointer names, which exists."""
    changed = _copy(document)
    for pointer, value in values.items():
        *above, last = _names(pointer)
        parent = changed
        for name in above:
            parent = parent[int(name)] if isinstance(parent, list) else parent[name]
        parent[int(last) if isinstance(parent, list) else last] = value
    return changed


def _names(pointer: str) -> list[str]:
    """The unescaped names of a pointer, from the root."""
    return [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copy(each) for name, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list | tuple) else value
