"""What the AWS clients of this process do, counted: calls by name, and DynamoDB's capacity units.

The units follow DynamoDB's documentation, because neither emulator reports those of a transaction.
`tests/engine/test_order_capacity.py` compares the rules with an engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from boto3.dynamodb.types import TypeDeserializer
from botocore.client import BaseClient

from tests.support.documented_capacity import INDEXES, Index, units, written

Item = Mapping[str, Any]
CONSISTENT, EVENTUAL = 1.0, 0.5
CALL = "_make_api_call"  # the method of botocore that every call of a client passes


@dataclass
class Usage:
    """Calls as `dynamodb.PutItem`, and capacity units."""

    calls: Counter[str] = field(default_factory=Counter)
    written: float = 0
    read: float = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.calls + other.calls, self.written + other.written, self.read + other.read)


class Meter:
    """Counts the calls of every client of this process since it was asked last. `indexes` are those of
    each table that is not ours."""

    def __init__(self, indexes: Mapping[str, Sequence[Index]] | None = None) -> None:
        self._usage = Usage()
        self._indexes = indexes or {}
        self._call: Any = getattr(BaseClient, CALL)

    def take(self) -> Usage:
        """What was used since the last call."""
        taken, self._usage = self._usage, Usage()
        return taken

    def call(self, client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        """Make a call of a client and count it."""
        service = client.meta.service_model.service_name
        self._usage.calls[f"{service}.{operation}"] += 1
        if service != "dynamodb":
            return self._call(client, operation, arguments)
        writes = _writes(operation, arguments)
        before = [self._item(client, *each) for each in writes]
        response = self._call(client, operation, arguments)
        factor = 2 if operation == "TransactWriteItems" else 1
        for old, each in zip(before, writes, strict=True):
            new, indexes = self._item(client, *each), self._indexes.get(each[0], INDEXES)
            self._usage.written += written(old, new, indexes, factor=factor)
        self._usage.read += _read(operation, arguments, response)
        return response

    def _item(self, client: Any, table: str, key: Item) -> dict[str, Any]:
        found = self._call(client, "GetItem", {"TableName": table, "Key": key})
        return _plain(found.get("Item", {}))


@contextmanager
def metered(indexes: Mapping[str, Sequence[Index]] | None = None) -> Iterator[Meter]:
    """A meter of every AWS client while the block runs."""
    meter = Meter(indexes)

    def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        return meter.call(client, operation, arguments)

    with patch.object(BaseClient, CALL, call):
        yield meter


def _plain(item: Item) -> dict[str, Any]:
    deserialize = TypeDeserializer().deserialize
    return {name: deserialize(value) for name, value in item.items()}


def _writes(operation: str, arguments: Item) -> list[tuple[str, Item]]:
    """Table and key of each item that a call writes."""
    if operation == "TransactWriteItems":
        parts = [part for each in arguments["TransactItems"] for part in each.items()]
        return [_write(kind, part) for kind, part in parts]
    if operation in ("PutItem", "UpdateItem"):
        return [_write(operation.removesuffix("Item"), arguments)]
    return []


def _write(kind: str, part: Item) -> tuple[str, Item]:
    item = part["Item"] if kind == "Put" else part["Key"]
    return part["TableName"], {"pk": item["pk"]}


def _read(operation: str, arguments: Item, response: Item) -> float:
    """Read units of a call; an item that does not exist costs as much as a small one."""
    if operation == "GetItem":
        factor = CONSISTENT if arguments.get("ConsistentRead") else EVENTUAL
        return factor * units(_plain(response.get("Item", {})), 4)
    if operation == "BatchGetItem":
        [(table, asked)] = arguments["RequestItems"].items()
        found = [units(_plain(each), 4) for each in response["Responses"][table]]
        missing = len(asked["Keys"]) - len(found)
        return (CONSISTENT if asked.get("ConsistentRead") else EVENTUAL) * (sum(found) + missing)
    if operation == "Query":
        return EVENTUAL * max(1, sum(units(_plain(each), 4) for each in response["Items"]))
    return 0
