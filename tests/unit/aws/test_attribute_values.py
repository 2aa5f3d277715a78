"""Python values as DynamoDB's typed values, and back: as boto3 does it."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from imagetasks.aws.attribute_values import marshal, unmarshal

VALUES = {
    "text": "heron",
    "empty text": "",
    "whole": 7,
    "long": 10**37,
    "negative": -1_790_000_000_000,
    "fraction": Decimal("64.16"),
    "trailing zeros": Decimal("5.00"),
    "exponent": Decimal("1E+40"),
    "tiny": Decimal("1E-100"),
    "yes": True,
    "no": False,
    "nothing": None,
    "map": {"deep": {"deeper": [1, "two", {"three": None}]}, "empty": {}},
    "list": ["a", 1, False, [], [None]],
    "tuple": (1, "two"),
}


@pytest.mark.parametrize("name", VALUES)
def test_value_is_typed_as_boto3_types_it_and_read_back(name: str) -> None:
    value: Any = VALUES[name]

    typed: Any = marshal({"a": value})

    assert typed == {"a": TypeSerializer().serialize(list(value) if name == "tuple" else value)}
    read = unmarshal(typed)["a"]
    assert read == (list(value) if name == "tuple" else value)
    assert repr(read) == repr(TypeDeserializer().deserialize(typed["a"]))


@pytest.mark.parametrize("value", [1.5, b"bytes", {1, 2}, object(), Decimal("NaN"), Decimal("inf")])
def test_value_that_dynamodb_cannot_store_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        marshal({"a": value})


@pytest.mark.parametrize("value", [10**38 + 1, 10**400, Decimal("1E+127"), Decimal("1E-400")])
def test_number_is_refused_rather_than_rounded(value: int | Decimal) -> None:
    with pytest.raises(decimal.DecimalException):
        TypeSerializer().serialize(value)
    with pytest.raises(decimal.DecimalException):
        marshal({"a": value})
