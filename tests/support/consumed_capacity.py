"""Read capacity that a DynamoDB client consumes, and the sizes of items as DynamoDB counts them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from imagetasks.aws.table import Table


def bytes_of(value: Mapping[str, Any]) -> int:
    """The size of a value as DynamoDB counts it: UTF-8 bytes, half a byte for a digit, 3 for a container."""
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return math.ceil(len(content.strip("-").replace(".", "").strip("0") or "0") / 2) + 1
        case "M":
            return 3 + sum(
                1 + len(name.encode()) + bytes_of(each) for name, each in content.items()
            )
        case "L":
            return 3 + sum(1 + bytes_of(each) for each in content)
        case _:
            return 1


def item_bytes(item: Mapping[str, Any]) -> int:
    return sum(len(name.encode()) + bytes_of(value) for name, value in item.items())


@dataclass
class Meter:
    """The calls of one client: names, consumed capacity units and bytes read."""

    calls: Counter[str] = field(default_factory=Counter)
    index_units: float = 0
    item_units: float = 0
    index_bytes: list[int] = field(default_factory=list)
    item_bytes_read: list[int] = field(default_factory=list)

    def request_capacity(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**params, "ReturnConsumedCapacity": "INDEXES"}

    def count_call(self, model: Any, **_: Any) -> None:
        self.calls[model.name] += 1

    def record_query(self, parsed: dict[str, Any], **_: Any) -> None:
        used = parsed["ConsumedCapacity"]
        assert used["Table"]["CapacityUnits"] == 0
        [units] = [each["CapacityUnits"] for each in used["GlobalSecondaryIndexes"].values()]
        self.index_units += units
        self.index_bytes.append(sum(map(item_bytes, parsed["Items"])))

    def record_batch(self, parsed: dict[str, Any], **_: Any) -> None:
        [used] = parsed["ConsumedCapacity"]
        self.item_units += used["CapacityUnits"]
        [items] = parsed["Responses"].values()
        self.item_bytes_read += map(item_bytes, items)


@contextmanager
def metered(table: Table) -> Iterator[Meter]:
    """The capacity that the table's client consumes while the block runs."""
    meter, events = Meter(), table.client.meta.events
    hooks: dict[str, Callable[..., Any]] = {
        "provide-client-params.dynamodb.*": meter.request_capacity,
        "before-call.dynamodb.*": meter.count_call,
        "after-call.dynamodb.Query": meter.record_query,
        "after-call.dynamodb.BatchGetItem": meter.record_batch,
    }
    for name, hook in hooks.items():
        events.register(name, hook)
    yield meter
    for name, hook in hooks.items():
        events.unregister(name, hook)
