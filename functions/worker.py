"""The queue of bells: one look for each, each on its own."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from bootstrap import submitter_from_env
from imagetasks import telemetry
from imagetasks.aws.image_bucket import Images
from imagetasks.aws.secrets import ApiKeys
from imagetasks.outbound.download import Downloads
from imagetasks.outbound.notifications import Deliveries
from imagetasks.tasks.message import Ring
from imagetasks.workflows.notify_caller import Aftercare
from imagetasks.workflows.reconcile import Looker
from imagetasks.workflows.task_updater import Steps

api_keys, images = ApiKeys.from_env(), Images.from_env()
submitter = submitter_from_env(api_keys, images)
store, doorbell, pace = submitter.store, submitter.doorbell, submitter.pace
steps = Steps(store=store, doorbell=doorbell, pace=pace)
aftercare = Aftercare(
    images=images, deliveries=Deliveries.from_env(), keys=api_keys, steps=steps, pace=pace
)
looker = Looker(
    store=store,
    poyo=submitter.poyo,
    images=images,
    downloads=Downloads.from_env(),
    doorbell=doorbell,
    submitter=submitter,
    aftercare=aftercare,
    steps=steps,
    pace=pace,
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
