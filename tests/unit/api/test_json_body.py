"""JSON bodies: what two parsers could read differently is refused with a pointer to it."""

from __future__ import annotations

import gzip
import json

import pytest

from imagetasks.api import json_body
from imagetasks.errors import InvalidOrder


def errors(body: bytes) -> dict[str, str]:
    with pytest.raises(InvalidOrder) as invalid:
        json_body.parse_object(body)
    return {each["pointer"]: each["detail"] for each in invalid.value.problems}


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b'{"a": 1, "a": 1}', ["/a"]),
        (b'{"a": 1, "b": 2, "a": 1, "b": 3, "a": 4}', ["/a", "/b"]),
        (b'{"a": {"b": {"c": 1, "c": 2}}}', ["/a/b/c"]),
        (b'{"a": [0, {"b": 1, "\\u0062": 2}]}', ["/a/1/b"]),
        (b'{"metadata": {"": "x", "": "y"}}', ["/metadata/"]),
        (b'{"metadata": {"a/b~c": "x", "a/b~c": "y"}}', ["/metadata/a~1b~0c"]),
        (b'{"a": NaN}', ["/a"]),
        (b'{"a": {"b": [1, Infinity, -Infinity]}}', ["/a/b/1", "/a/b/2"]),
        (b'{"a": 1e999}', ["/a"]),
        (b'{"a": -1e999, "a": 1}', ["/a"]),
        (b'{"metadata": {"a": NaN}}', ["/metadata/a"]),
        (b'{"a": 1' + b"0" * 400 + b"}", ["/a"]),
        (b'{"a": "\\ud83d"}', ["/a"]),
        (b'{"a": {"\\ud83d": 1}}', ["/a"]),
    ],
)
def test_ambiguous_value_is_named_by_its_pointer(body: bytes, pointers: list[str]) -> None:
    assert list(errors(body)) == pointers


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[]", "must be a JSON object, not an array"),
        (b"null", "must be a JSON object, not null"),
        (b"true", "must be a JSON object, not a boolean"),
        (b"7", "must be a JSON object, not a number"),
        (b'"x"', "must be a JSON object, not a string"),
        (b"NaN", "must be a JSON object, not a number"),
    ],
)
def test_body_that_is_no_object_is_told_so_in_our_words(body: bytes, told: str) -> None:
    assert errors(body) == {"": told}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"{", "the body is not JSON: see line 1, column 2"),
        (b'{"a": 1,\n "b" 2}', "the body is not JSON: see line 2, column 6"),
        (b"{'a': 1}", "the body is not JSON: see line 1, column 2"),
        (b"model=gpt-image-2", "the body is not JSON: see line 1, column 1"),
        (b"[" * 100_000, "the body is nested more deeply than any order"),
        (b'{"a":' * 970 + b"1" + b"}" * 970, "the body is nested more deeply than any order"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "the body is nested more deeply than any order"),
        (b'{"a": "\xe9"}', "the body is not UTF-8, or it is compressed"),
        (b'{"a": "\xed\xa0\xbd"}', "the body is not UTF-8, or it is compressed"),
        ('{"a": "é"}'.encode("utf-16"), "the body is not UTF-8, or it is compressed"),
        (b"{\0}\0", "the body is not JSON: see line 1, column 2"),
        (gzip.compress(b"{}"), "the body is not UTF-8, or it is compressed"),
    ],
    ids=range(14),
)
def test_body_that_cannot_be_read_is_told_why(body: bytes, told: str) -> None:
    assert errors(body) == {"": f"{told}; send a JSON object in UTF-8"}


def test_byte_order_mark_is_no_part_of_the_body() -> None:
    assert json_body.parse_object(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("sign", [b"", b"-"])
def test_integer_of_thousands_of_digits_is_named_by_its_pointer(sign: bytes) -> None:
    assert errors(b'{"a": [' + sign + b"1" * 5000 + b"]}") == {"/a/0": "is not a finite number"}


def test_many_repeated_names_get_a_short_response() -> None:
    body = b'{"' + b'": 1, "'.join(b"name%d" % (n % 500) for n in range(1000)) + b'": 1}'

    assert len(errors(body)) == 20


def test_name_that_is_too_long_to_repeat_is_pointed_to_by_its_parent() -> None:
    long = b"x" * 65
    body = b'{"metadata": {"%s": 1, "%s": 2}}' % (long, long)

    assert errors(body) == {
        "/metadata": "a name that is too long to be repeated occurs more than once"
    }


@pytest.mark.parametrize(
    "value", [b'{"a": NaN}', b"[[Infinity]]", b'{"a": 1, "a": 2}', b'"\\ud83d"']
)
def test_what_is_below_a_name_that_is_too_long_is_pointed_to_by_its_parent(value: bytes) -> None:
    body = b'{"metadata": {"%s": %s}}' % (b"x" * 65, value)

    assert errors(body) == {"/metadata": "has a name of more than 64 characters"}


def test_other_objects_are_read_as_they_are() -> None:
    body = {"a": [1, 1.5, None, True, "é"], "b": {"a": {"a": 10**300}}}

    assert json_body.parse_object(json.dumps(body).encode()) == body
