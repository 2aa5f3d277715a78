"""The usual serverless backend around an image API, as tutorials put it together, counted like ours.

- An API function behind API Gateway and Powertools' idempotency: two writes to its table for each order.
- A table of orders with an index over the owner that projects everything, and one over PoYo's id.
- Each status is written as it comes: accepted, submitted, finished.
- PoYo's webhook calls a function (idempotent as well) that downloads the image and puts it into S3.
- The client polls the same API.

It does less than ours: no queue, no sweep and no repair, no budgets, no signature, no notification. Its waits
for PoYo and for S3, its memory and its log lines are taken to be ours, so that only the design differs.
"""

from __future__ import annotations

import json
from typing import Any

import boto3

from benchmarks.metered_aws import Usage, metered
from tests.support.documented_capacity import Index
from tests.support.emulated_aws import REGION, aws

ORDERS, IDEMPOTENCY = "typical-orders", "typical-idempotency"
INDEXES: dict[str, tuple[Index, ...]] = {
    ORDERS: ((("owner", "created_at"), None), (("poyo_id",), None)),
    IDEMPOTENCY: (),
}
NAMES = {"#status": "status"}


class TypicalBackend:
    """The calls to AWS that its functions make."""

    def __init__(self) -> None:
        self._dynamodb: Any = boto3.client("dynamodb", region_name=REGION)
        self._s3: Any = boto3.client("s3", region_name=REGION)
        for table in INDEXES:
            self._dynamodb.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )

    def order(self, task_id: str, body: dict[str, Any], response: dict[str, Any]) -> None:
        """POST: the key is taken, the order is stored, PoYo is called, its id and the response are kept."""
        self._begin(f"order#{task_id}")
        item = {
            "pk": {"S": task_id},
            "owner": {"S": "customer-12345"},
            "status": {"S": "accepted"},
            "request": {"S": json.dumps(body)},
            "created_at": {"S": "2026-11-28T12:00:00.000000+00:00"},
            "updated_at": {"S": "2026-11-28T12:00:00.000000+00:00"},
        }
        self._dynamodb.put_item(TableName=ORDERS, Item=item)
        self._set_status(task_id, "submitted", {"poyo_id": f"POYO{task_id}"})
        self._end(f"order#{task_id}", response)

    def read(self, task_id: str) -> None:
        """GET: the item as it is."""
        self._dynamodb.get_item(TableName=ORDERS, Key={"pk": {"S": task_id}})

    def webhook(self, task_id: str, payload: dict[str, Any]) -> None:
        """PoYo's webhook: the order is found by PoYo's id, the image is stored, the order is finished."""
        self._begin(f"webhook#{task_id}")
        self.read(task_id)  # a query of the index in production
        key = f"images/{task_id}.png"
        self._s3.put_object(Bucket="images", Key=key, Body=b"image", ContentType="image/png")
        values = {"image_key": key, "answer": json.dumps(payload)}
        self._set_status(task_id, "finished", values)
        self._end(f"webhook#{task_id}", {"statusCode": 200, "body": '{"ok": true}'})

    def _set_status(self, task_id: str, status: str, values: dict[str, str]) -> None:
        sets = ", ".join(f"{name} = :{name}" for name in values)
        given = {f":{name}": {"S": value} for name, value in values.items()}
        self._dynamodb.update_item(
            TableName=ORDERS,
            Key={"pk": {"S": task_id}},
            UpdateExpression=f"SET #status = :status, {sets}",
            ExpressionAttributeNames=NAMES,
            ExpressionAttributeValues={":status": {"S": status}} | given,
        )

    def _begin(self, key: str) -> None:
        """Powertools' record before the handler runs."""
        item = {
            "pk": {"S": f"api.handler#{key}"},
            "expiration": {"N": "1795352400"},
            "in_progress_expiration": {"N": "1795348830000"},
            "status": {"S": "INPROGRESS"},
        }
        self._dynamodb.put_item(
            TableName=IDEMPOTENCY, Item=item, ConditionExpression="attribute_not_exists(pk)"
        )

    def _end(self, key: str, response: dict[str, Any]) -> None:
        """Powertools' record of the handler's response."""
        self._dynamodb.update_item(
            TableName=IDEMPOTENCY,
            Key={"pk": {"S": f"api.handler#{key}"}},
            UpdateExpression="SET response_data = :data, expiration = :expiration, #status = :status",
            ExpressionAttributeNames=NAMES,
            ExpressionAttributeValues={
                ":data": {"S": json.dumps(response)},
                ":expiration": {"N": "1795352400"},
                ":status": {"S": "COMPLETED"},
            },
        )


def counted_life(body: dict[str, Any], response: dict[str, Any]) -> Usage:
    """One image: the order (`body`, answered with `response`), three reads and PoYo's webhook."""
    payload = {"task_id": "POYO1", "status": "finished", "files": [{"file_url": "https://cdn/1"}]}
    with aws(), metered(INDEXES) as meter:
        backend = TypicalBackend()
        meter.take()
        backend.order("task-1", body, response)
        backend.read("task-1")
        backend.read("task-1")
        backend.webhook("task-1", payload)
        backend.read("task-1")
        return meter.take()
