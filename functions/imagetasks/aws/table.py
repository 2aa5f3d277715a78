"""The DynamoDB table: reads by key, conditional writes and queries on indexes. No scans, no locks.

Items: `task#<task_id>` is a task, `poyo#<poyo_id>` says which task owns a PoYo id, `account` counts
submits. Index `due`: partition `due_shard`, sort key `due_at`; only tasks with a next step are in
it; it also holds `due_since`. Indexes `by_owner` and `by_owner_status`: sort key `created_at`, keys only.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from imagetasks import telemetry
from imagetasks.aws import translated
from imagetasks.aws.attribute_values import marshal, unmarshal
from imagetasks.aws.client import shared_client
from imagetasks.aws.expressions import Expression
from imagetasks.errors import DatabaseUnavailable
from imagetasks.tasks.conditional_write import (
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
CONFLICT_S = 3.0  # a conflict is retried for so long, then a slow answer still ends in `aws_call_s`
# Longer each time: hundreds of orders at once would otherwise only cancel each other's transactions.
CONFLICT_WAITS_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 0.96, 0.96, 0.96, 0.96)
# AWS asks callers to request unprocessed keys again, after a pause.
BATCH_WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.4)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Table:
    """One table. Every method raises DatabaseUnavailable when DynamoDB does not answer."""

    client: DynamoDBClient
    name: str
    sleep: Callable[[float], None] = time.sleep
    monotonic_s: Callable[[], float] = time.monotonic
    jitter: Callable[[float, float], float] = random.SystemRandom().uniform

    @classmethod
    def from_env(cls) -> Table:
        """The table named by TABLE_NAME."""
        return cls(shared_client("dynamodb"), os.environ["TABLE_NAME"])

    def get(self, pk: str) -> dict[str, Any]:
        """The item as of now (strongly consistent), {} if there is none."""
        response = self._call(self.client.get_item, Key=marshal({"pk": pk}), ConsistentRead=True)
        return unmarshal(response.get("Item", {}))

    def put(self, put: PutItem) -> None:
        """Write a whole item. Raises ConditionFailed with the existing item."""
        arguments = _guarded(put.condition)
        self._call(self.client.put_item, Item=marshal(put.item), **arguments)

    def update(self, update: UpdateItem) -> dict[str, Any]:
        """Change an item and return it. Raises ConditionFailed with the existing item."""
        arguments = _guarded(update.condition, update)
        response = self._call(
            self.client.update_item,
            Key=marshal({"pk": update.pk}),
            ReturnValues="ALL_NEW",
            **arguments,
        )
        return unmarshal(response["Attributes"])

    def update_blind(self, update: UpdateItem) -> None:
        """Change an item without reading it, for a role that may not read. Raises ConditionFailed
        without an item."""
        arguments = _guarded(update.condition, update, return_old=False)
        self._call(self.client.update_item, Key=marshal({"pk": update.pk}), **arguments)

    def transact_write(self, writes: Sequence[PutItem | UpdateItem]) -> None:
        """All writes or none. Raises ConditionFailed with the existing item and the write's position.

        botocore adds a ClientRequestToken, so its retry after a lost response is the same
        transaction.
        """
        items = [self._transact_item(write) for write in writes]
        try:
            self._call(self.client.transact_write_items, named=False, TransactItems=items)
        except DatabaseUnavailable as error:
            cause = error.__cause__
            if isinstance(cause, ClientError):
                blocked = _blocked_items(cause, writes)
                telemetry.warning("transaction_not_made", code=error.code, items=blocked)
            raise

    def query_due(self, shard: str, *, now: int, limit: int) -> list[dict[str, Any]]:
        """Keys (`pk`, `due_at`) and `due_since` of up to `limit` items due at `now` ms, longest overdue first.

        The index lags behind the table, so the caller's conditional write must check `due_at`.
        """
        response = self._call(
            self.client.query,
            IndexName=DUE_INDEX,
            KeyConditionExpression="due_shard = :shard AND due_at <= :now",
            ExpressionAttributeValues=marshal({":shard": shard, ":now": now}),
            Limit=limit,
        )
        return [unmarshal(item) for item in response["Items"]]

    def query_page(
        self,
        index: str,
        value: str,
        *,
        limit: int,
        after: Item | None,
        created_between: tuple[int, int] | None = None,
    ) -> list[dict[str, Any]]:
        """Keys (`pk`, `created_at`) of up to `limit` items of an owner index at `value`, newest first, or
        only of those that were created between two instants (both included).

        `after` is the key that the page starts behind, between these instants, too; its item need not
        exist any more.
        """
        attribute = OWNER_INDEXES[index]
        instants = dict(zip((":first", ":last"), created_between or (), strict=False))
        created = ["created_at BETWEEN :first AND :last"] if created_between else []
        start: dict[str, Any] = {}
        if after:
            start["ExclusiveStartKey"] = marshal({**after, attribute: value})
        keys: list[dict[str, Any]] = []
        while len(keys) < limit:
            response = self._call(
                self.client.query,
                IndexName=index,
                KeyConditionExpression=" AND ".join(["#value = :value", *created]),
                ExpressionAttributeNames={"#value": attribute},
                ExpressionAttributeValues=marshal({":value": value, **instants}),
                ScanIndexForward=False,
                Limit=limit - len(keys),
                **start,
            )
            keys += map(unmarshal, response["Items"])
            start["ExclusiveStartKey"] = response.get("LastEvaluatedKey")
            if not start["ExclusiveStartKey"]:  # a short response may have been cut at 1 MB
                break
        return keys

    def batch_get(self, pks: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Up to 100 items as of now (strongly consistent) by `pk`, without those that do not exist."""
        wanted: Any = {self.name: {"Keys": [marshal({"pk": pk}) for pk in pks]}}
        items: dict[str, dict[str, Any]] = {}
        for wait_s in BATCH_WAITS_S:
            wanted[self.name]["ConsistentRead"] = True
            response = self._call(self.client.batch_get_item, named=False, RequestItems=wanted)
            for item in map(unmarshal, response["Responses"].get(self.name, ())):
                items[item["pk"]] = item
            if not (wanted := response.get("UnprocessedKeys")):
                return items
            self.sleep(self.jitter(0, wait_s))
        raise DatabaseUnavailable("UnprocessedKeys")

    def _transact_item(self, write: PutItem | UpdateItem) -> dict[str, Any]:
        named = {"TableName": self.name}
        if isinstance(write, PutItem):
            arguments = _guarded(write.condition)
            return {"Put": {**arguments, **named, "Item": marshal(write.item)}}
        arguments = _guarded(write.condition, write)
        return {"Update": {**arguments, **named, "Key": marshal({"pk": write.pk})}}

    def _call(self, operation: Callable[..., Any], *, named: bool = True, **arguments: Any) -> Any:
        """Call DynamoDB. A conflict with a concurrent transaction wrote nothing and is retried, with
        full jitter, because the orders of one budget meet at its item. Nothing else is: after any other
        error the write may have happened."""
        if named:
            arguments["TableName"] = self.name
        begun_s, waits_s = self.monotonic_s(), iter(CONFLICT_WAITS_S)
        while True:
            try:
                return operation(**arguments)
            except ClientError as error:
                translation = _translate_error(error)
                if not isinstance(translation, _TransactionConflict):
                    raise translation from error
                wait_s = next(waits_s, None)
                if wait_s is None or self.monotonic_s() - begun_s >= CONFLICT_S:
                    raise DatabaseUnavailable("TransactionConflict") from error
            except BotoCoreError as error:
                raise translated(error, DatabaseUnavailable) from error
            self.sleep(self.jitter(0, wait_s))


class _TransactionConflict(Exception):
    """Another write to one of the items was in progress: nothing was written."""


def _translate_error(error: ClientError) -> Exception:
    """The exception for an error response: a failed condition, a conflict, or DynamoDB unavailable."""
    response: Mapping[str, Any] = error.response
    code = response["Error"]["Code"]
    if code == "TransactionConflictException":
        return _TransactionConflict()
    if code == "ConditionalCheckFailedException":
        return ConditionFailed(unmarshal(response.get("Item", {})))
    reasons = response.get("CancellationReasons", ())
    for which, reason in enumerate(reasons):
        if reason.get("Code") == "ConditionalCheckFailed":
            return ConditionFailed(unmarshal(reason.get("Item", {})), which)
    if any(reason.get("Code") == "TransactionConflict" for reason in reasons):
        return _TransactionConflict()
    return translated(error, DatabaseUnavailable)


def _blocked_items(error: ClientError, writes: Sequence[PutItem | UpdateItem]) -> str:
    """The items for which DynamoDB made no transaction, by their kind (`spend` with its kind of scope):
    their keys name users."""
    response: Mapping[str, Any] = error.response
    blocked = []
    for write, reason in zip(writes, response.get("CancellationReasons", ()), strict=False):
        pk = write.item["pk"] if isinstance(write, PutItem) else write.pk
        kind, scope = pk.partition("#")[0], pk.rpartition("#")[2].partition(":")[0]
        if reason.get("Code") != "None":
            blocked.append(f"{kind}:{scope}" if kind == "spend" else kind)
    return " ".join(blocked)


def _guarded(
    condition: Condition, update: UpdateItem | None = None, *, return_old: bool = True
) -> dict[str, Any]:
    """Arguments of a conditional write in DynamoDB's own types."""
    arguments = Expression(condition, update).arguments(return_old=return_old)
    if values := arguments.get("ExpressionAttributeValues"):
        arguments["ExpressionAttributeValues"] = marshal(values)
    return arguments
