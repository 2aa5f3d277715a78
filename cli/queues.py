"""Checks the queues of a deployed stack: whether they are read, and what was dead-lettered."""

from __future__ import annotations

from cli.findings import OPERATING, Finding, Findings
from cli.stack import Stack

ALARM_BY_DEAD_LETTER_QUEUE = {
    "TaskDeadLetterQueueUrl": "DeadLettersAlarm",
    "NotificationDeadLetterQueueUrl": "NotificationDeadLettersAlarm",
    "FailedInvocationQueueUrl": "FailedInvocationsAlarm",
}
QUEUE_READERS = {
    "worker": "WorkerFunctionTaskMessages",
    "notify function": "NotifyFunctionNotifications",
}
MESSAGE_COUNTS = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]


def check_queue(stack: Stack) -> Findings:
    """Whether both queues are read, and whether the dead-letter queues are empty."""
    for reader, resource in QUEUE_READERS.items():
        mapping = stack.resource(resource)
        state = stack.client("lambda").get_event_source_mapping(UUID=mapping)["State"]
        if state == "Enabled":
            yield Finding("queue", f"the {reader} reads its queue")
        else:
            todo = f"aws lambda update-event-source-mapping --enabled --uuid {mapping}"
            yield Finding("queue", f"the event source mapping of the {reader} is {state}", todo)
    for output, alarm in ALARM_BY_DEAD_LETTER_QUEUE.items():
        count = _message_count(stack, output)
        message = f"{output.removesuffix('Url')}: {count or 'empty'}"
        yield Finding("queue", message, f"see {alarm} in {OPERATING}" if count else "")


def _message_count(stack: Stack, output: str) -> int:
    sqs, url = stack.client("sqs"), stack.output(output)
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=MESSAGE_COUNTS)["Attributes"]
    return sum(int(counts.get(name, 0)) for name in MESSAGE_COUNTS)
