"""Messages that the worker sends to its own queue, each caused by the one before: each series ends, and the template
allows the long ones. Lambda by itself dead-letters a message before the function's seventeenth invocation in a series."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagetasks.errors import RequestNotSent
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.message import TaskMessage
from tests.simulation.table_state import InMemoryTable
from tests.support.environment import TestEnvironment, new_environment, order
from tests.support.template import properties

STOPPED_AFTER = 16  # invocations of one function in a series (Lambda, recursive loop detection)
ENDLESS = 1000


class RecordingQueue:
    """Keeps the last message with its delay, as the queue of the worker."""

    def __init__(self) -> None:
        self.sent: list[tuple[TaskMessage, float]] = []

    def send(self, message: TaskMessage, *, delay_s: float = 0) -> None:
        self.sent.append((message, delay_s))


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment(memory=InMemoryTable()) as environment:
        environment.queue = RecordingQueue()  # type: ignore[assignment]  # has what is used of it
        environment.submitter = environment.submitter_with(queue=environment.queue)
        yield environment


def invocations(env: TestEnvironment) -> int:
    """How often the worker is invoked by the messages in the queue and those that they cause. No sweep runs."""
    sent, count = env.queue.sent, 0  # type: ignore[attr-defined]
    while sent:
        message, delay_s = sent.pop(0)
        env.time.forward(max(0, delay_s))
        env.reconciler_with(queue=env.queue).reconcile(message)
        count += 1
        assert count < ENDLESS
    return count


@pytest.mark.parametrize(
    "answer", [RequestNotSent("unreachable"), HttpResponse(429, b"")], ids=["unreachable", "429"]
)
def test_order_that_poyo_does_not_take_needs_more_messages_than_lambda_allows_unasked(
    env: TestEnvironment, answer: HttpResponse | Exception
) -> None:
    env.fake_poyo.respond_with("POST", answer)
    task = env.submitter.submit(order()).task

    count = invocations(env)

    assert env.read(task).reason == "unavailable"
    assert count > STOPPED_AFTER
    assert properties("WorkerFunction")["RecursiveLoop"] == "Allow"


def test_notify_function_stays_below_what_lambda_allows_and_is_stopped_beyond(
    env: TestEnvironment,
) -> None:
    assert len(env.limits.notification_waits_s) + 1 < STOPPED_AFTER
    assert "RecursiveLoop" not in properties("NotifyFunction")
