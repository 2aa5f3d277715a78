"""The queue of bells: one look for each, each on its own."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from imagetasks import telemetry
from imagetasks.download import Downloads
from imagetasks.images import Images
from imagetasks.look import Looker
from imagetasks.ring import Ring
from imagetasks.secrets import ApiKeys
from wiring import submitter_from_env

submitter = submitter_from_env(ApiKeys.from_env())
looker = Looker(
    store=submitter.store,
    poyo=submitter.poyo,
    images=Images.from_env(),
    downloads=Downloads.from_env(),
    doorbell=submitter.doorbell,
    submitter=submitter,
    pace=submitter.pace,
)
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def look(record: SQSRecord) -> None:
    """One bell. Whatever goes wrong here is ours: the queue brings it back, then dead letters."""
    ring = Ring.read(record.body)
    telemetry.about(ring.task_id)
    try:
        looker.look(ring)
    except Exception as error:
        telemetry.page("look_failed", error=type(error).__name__)
        raise


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """SQS, with the failed messages named in the answer."""
    return dict(process_partial_response(event, look, processor, context))
