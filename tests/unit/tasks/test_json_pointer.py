"""JSON pointers: what they name is found, and replaced in a copy."""

from __future__ import annotations

from typing import Any

import pytest

from imagetasks.tasks.json_pointer import value_at, with_values

DOCUMENT: dict[str, Any] = {"input": {"urls": ["a", "b"], "a/b": {"~": 1}, "list": [{"x": "c"}]}}


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("", DOCUMENT),
        ("/input/urls/1", "b"),
        ("/input/a~1b/~0", 1),
        ("/input/list/0/x", "c"),
    ],
)
def test_pointer_names_a_value(pointer: str, expected: object) -> None:
    assert value_at(DOCUMENT, pointer) == expected


@pytest.mark.parametrize("pointer", ["/output", "/input/urls/2", "/input/urls/x"])
def test_pointer_to_nothing_raises_an_error(pointer: str) -> None:
    with pytest.raises((KeyError, IndexError, ValueError)):
        value_at(DOCUMENT, pointer)


def test_values_are_replaced_in_a_copy() -> None:
    changed = with_values(DOCUMENT, {"/input/urls/0": "A", "/input/list/0/x": "C"})

    assert changed["input"]["urls"] == ["A", "b"]
    assert changed["input"]["list"] == [{"x": "C"}]
    assert changed["input"]["a/b"] == {"~": 1}
    assert (DOCUMENT["input"]["urls"], DOCUMENT["input"]["list"]) == (["a", "b"], [{"x": "c"}])
