"""A typical webhook function, as the documentation of Powertools for AWS Lambda builds one.

Router, logger, metrics, idempotency in DynamoDB and the secret from the parameters utility are each used
as in their documentation's first example; the callback's HMAC is compared in constant time, and SQS is
called by a boto3 client that the module makes once. It does what our webhook does for the caller: an
authentic callback is enqueued, a repeated one changes nothing, a forged one gets 404. Each callback
costs two writes to DynamoDB and one message; ours costs one message, because the worker tolerates
repeated messages.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()
app = APIGatewayHttpResolver()
sqs = boto3.client("sqs")
persistence = DynamoDBPersistenceLayer(table_name=os.environ["TABLE_NAME"], key_attr="pk")
config = IdempotencyConfig(event_key_jmespath="[task_id, body]")


def is_authentic(kid: str, task_id: str, mac: str) -> bool:
    """Whether `mac` is the URL's HMAC under the key named `kid`."""
    keys = parameters.get_secret(os.environ["CALLBACK_SECRET_ARN"], transform="json", max_age=30)
    signed = b"imagetasks callback v1\0" + task_id.encode()
    digest = hmac.digest(str(keys.get(kid, "")).encode(), signed, hashlib.sha256)
    return hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), mac)


@idempotent_function(data_keyword_argument="callback", config=config, persistence_store=persistence)
def enqueue(*, callback: dict[str, Any]) -> dict[str, bool]:
    """Send the callback's task to the worker once."""
    sqs.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=json.dumps(callback))
    metrics.add_metric(name="CallbackReceived", unit=MetricUnit.Count, value=1)
    return {"ok": True}


@app.post("/callbacks/poyo/<kid>/<task_id>/<mac>")
def receive_callback(kid: str, task_id: str, mac: str) -> dict[str, bool]:
    """Verify, then enqueue."""
    if not is_authentic(kid, task_id, mac):
        raise NotFoundError
    logger.info("callback received", extra={"task_id": task_id})
    enqueue(callback={"task_id": task_id, "body": app.current_event.body})
    return {"ok": True}


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """API Gateway's HTTP API, payload format 2.0."""
    config.register_lambda_context(context)
    return app.resolve(event, context)
