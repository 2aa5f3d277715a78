"""The DynamoDB table: reads, conditional writes and the index of what is due. No scans, no locks.

Rows: `task#<task_id>` is a task, `poyo#<poyo_id>` says which task owns a PoYo id.
Index `due`: partition `due_shard`, sort key `due_at`; only what has a next look is in it.
Indexes `listed` and `listed_status`: partition of the same name, sort key `created_at`; an owner's
tasks, and those of one status. All three hold keys only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from imagetasks.errors import DatabaseUnavailable
from imagetasks.tasks.conditional_write import (
    AttributeTest,
    Condition,
    ConditionFailed,
    Item,
    PutItem,
    UpdateItem,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DUE_INDEX = "due"
# Partition attribute of each index over an owner's tasks.
OWNER_INDEXES = {"by_owner": "owner_key", "by_owner_status": "owner_status_key"}
CONFLICT_TRIES = 3
BATCH_TRIES = 5  # what a batch could not read is asked for again, as AWS wants it
CONFIG = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)


@dataclass(frozen=True, slots=True)
class Table:
    """One table. Every method raises StoreUnavailable when it cannot be used."""

    client: DynamoDBClient
    name: str

    @classmethod
    def from_env(cls) -> Table:
        """The table named by TABLE_NAME."""
        return cls(boto3.client("dynamodb", config=CONFIG), os.environ["TABLE_NAME"])

    def get(self, pk: str) -> dict[str, Any]:
        """The row as of now (strongly consistent), {} when there is none."""
        found = self._call(self.client.get_item, Key=_marshal({"pk": pk}), ConsistentRead=True)
        return _unmarshal(found.get("Item", {}))

    def put(self, put: PutItem) -> None:
        """Write a whole row. Raises Refused, with the row that stands."""
        rendered = _Expression(put.condition)
        self._call(self.client.put_item, Item=_marshal(put.item), **rendered.arguments())

    def update(self, update: UpdateItem) -> dict[str, Any]:
        """Change a row and return it as it is now. Raises Refused, with the row that stands."""
        rendered = _Expression(update.condition, update)
        arguments = rendered.arguments() | {"Key": _marshal({"pk": update.pk})}
        new = self._call(self.client.update_item, ReturnValues="ALL_NEW", **arguments)
        return _unmarshal(new["Attributes"])

    def update_blind(self, update: UpdateItem) -> None:
        """Change a row without seeing it, for those who may not. Raises Refused, with no row."""
        rendered = _Expression(update.condition, update)
        arguments = rendered.arguments(old=False) | {"Key": _marshal({"pk": update.pk})}
        self._call(self.client.update_item, **arguments)

    def transact_write(self, writes: Sequence[PutItem | UpdateItem]) -> None:
        """All writes or none. Raises Refused, with the row that stands in the way and its number.

        botocore adds a ClientRequestToken, so its retry of a lost answer is the same transaction.
        A conflict with somebody else's write at this very moment is tried again here.
        """
        items = [self._item(write) for write in writes]
        for remaining in reversed(range(CONFLICT_TRIES)):
            try:
                self._call(self.client.transact_write_items, named=False, TransactItems=items)
            except _TransactionConflict as conflict:
                if not remaining:
                    raise DatabaseUnavailable("TransactionConflict") from conflict
            else:
                return

    def query_due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]:
        """Keys (`pk`, `due_at`) of up to `limit` rows due at `now` ms, the longest overdue first.

        The index lags behind the table: what it says is a hint, checked by whoever acts on it.
        """
        found = self._call(
            self.client.query,
            IndexName=DUE_INDEX,
            KeyConditionExpression="due_shard = :shard AND due_at <= :now",
            ExpressionAttributeValues=_marshal({":shard": shard, ":now": now}),
            Limit=limit,
        )
        return [_unmarshal(item) for item in found["Items"]]

    def query_page(
        self, index: str, value: str, *, limit: int, after: Item | None
    ) -> list[dict[str, Any]]:
        """Keys (`pk`, `created_at`) of up to `limit` rows of `index` at `value`, newest first.

        `after` is the key that the page begins behind; its row need not be there any more.
        """
        attribute = OWNER_INDEXES[index]
        onward: dict[str, Any] = {}
        if after:
            onward["ExclusiveStartKey"] = _marshal({**after, attribute: value})
        keys: list[dict[str, Any]] = []
        while len(keys) < limit:
            found = self._call(
                self.client.query,
                IndexName=index,
                KeyConditionExpression="#value = :value",
                ExpressionAttributeNames={"#value": attribute},
                ExpressionAttributeValues=_marshal({":value": value}),
                ScanIndexForward=False,
                Limit=limit - len(keys),
                **onward,
            )
            keys += map(_unmarshal, found["Items"])
            onward["ExclusiveStartKey"] = found.get("LastEvaluatedKey")
            if not onward["ExclusiveStartKey"]:  # a short answer may have been cut at a megabyte
                break
        return keys

    def batch_get(self, pks: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Up to 100 rows as of now (strongly consistent) by `pk`; missing ones are missing."""
        wanted: Any = {self.name: {"Keys": [_marshal({"pk": pk}) for pk in pks]}}
        rows: dict[str, dict[str, Any]] = {}
        for _ in range(BATCH_TRIES):
            if not wanted:
                return rows
            wanted[self.name]["ConsistentRead"] = True
            found = self._call(self.client.batch_get_item, named=False, RequestItems=wanted)
            for item in map(_unmarshal, found["Responses"].get(self.name, ())):
                rows[item["pk"]] = item
            wanted = found.get("UnprocessedKeys")
        raise DatabaseUnavailable("UnprocessedKeys")

    def _item(self, write: PutItem | UpdateItem) -> dict[str, Any]:
        if isinstance(write, PutItem):
            arguments = _Expression(write.condition).arguments()
            return {"Put": arguments | {"TableName": self.name, "Item": _marshal(write.item)}}
        arguments = _Expression(write.condition, write).arguments()
        return {"Update": arguments | {"TableName": self.name, "Key": _marshal({"pk": write.pk})}}

    def _call(self, operation: Callable[..., Any], *, named: bool = True, **arguments: Any) -> Any:
        if named:
            arguments["TableName"] = self.name
        try:
            return operation(**arguments)
        except ClientError as error:
            raise _translate_error(error) from error
        except BotoCoreError as error:
            raise DatabaseUnavailable(type(error).__name__) from error


class _TransactionConflict(Exception):
    """Another write to one of the rows was under way: nothing happened."""


def _translate_error(error: ClientError) -> Exception:
    """What to make of an error response: a lost race, a collision, or a table that is away."""
    response: Mapping[str, Any] = error.response
    code = str(response["Error"]["Code"])
    if code == "ConditionalCheckFailedException":
        return ConditionFailed(_unmarshal(response.get("Item", {})))
    reasons = response.get("CancellationReasons", ())
    for which, each in enumerate(reasons):
        if each.get("Code") == "ConditionalCheckFailed":
            return ConditionFailed(_unmarshal(each.get("Item", {})), which)
    if any(each.get("Code") == "TransactionConflict" for each in reasons):
        return _TransactionConflict()
    return DatabaseUnavailable(code)


class _Expression:
    """A condition, and the update it guards if there is one, in DynamoDB's language."""

    def __init__(self, condition: Condition, update: UpdateItem | None = None) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._update = self._changes(update) if update else ""
        self._condition = self._conditions(condition)

    def arguments(self, *, old: bool = True) -> dict[str, Any]:
        """Arguments of a write; with `old`, a refusal brings the row that stands."""
        named = {
            "ConditionExpression": self._condition,
            "UpdateExpression": self._update,
            "ExpressionAttributeNames": self._names,
            "ExpressionAttributeValues": _marshal(self._values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD" if old else "",
        }
        return {name: value for name, value in named.items() if value}

    def _changes(self, update: UpdateItem) -> str:
        sets = [
            f"{self._name(name)} = {self._value(value)}" for name, value in update.values.items()
        ]
        if update.history_entry:
            history = self._name("history")
            sets.append(
                f"{history} = list_append({history}, {self._value([dict(update.history_entry)])})"
            )
        adds = [f"{self._name(name)} {self._value(more)}" for name, more in update.added.items()]
        removes = [self._name(name) for name in update.removed]
        parts = (("SET", sets), ("ADD", adds), ("REMOVE", removes))
        return " ".join(f"{verb} {', '.join(each)}" for verb, each in parts if each)

    def _conditions(self, condition: Condition) -> str:
        """AND binds closer than OR; DynamoDB refuses parentheses that change nothing."""
        named = [self._clause(clause) for clause in condition.clauses]
        either = " OR ".join(" AND ".join(map(self._clause, each)) for each in condition.either)
        if named and len(condition.either) > 1:
            either = f"({either})"
        return " AND ".join([*named, either] if either else named)

    def _clause(self, clause: AttributeTest) -> str:
        name = self._name(clause.attribute)
        if clause.test == "absent":
            return f"attribute_not_exists({name})"
        if clause.test == "equals":
            return f"{name} = {self._value(clause.value)}"
        return f"{name} IN ({', '.join(map(self._value, clause.value))})"

    def _name(self, attribute: str) -> str:
        self._names[f"#{attribute}"] = attribute
        return f"#{attribute}"

    def _value(self, value: Any) -> str:
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value
        return placeholder


_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()


def _marshal(row: Item) -> dict[str, Any]:
    return {name: _SERIALIZER.serialize(value) for name, value in row.items()}


def _unmarshal(item: Item) -> dict[str, Any]:
    return {name: _DESERIALIZER.deserialize(value) for name, value in item.items()}
