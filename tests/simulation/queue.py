"""A simulated SQS queue and its Lambda trigger: messages arrive late, twice, in any order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.simulation.scheduler import Simulator

VISIBILITY_S = 360.0
MAX_RECEIVES = 4
REDRIVE_S = 900.0  # how long the operator takes to redrive a dead letter after the faults

Deliver = Callable[["Message", Callable[[bool], None]], None]


@dataclass(eq=False)
class Message:
    """A message: how often it was received, and whether it is deleted or was redriven."""

    body: str
    receives: int = 0
    deleted: bool = False
    redriven: bool = False


class SimulatedQueue:
    """`send_message` and `send_message_batch` of boto3's SQS client, and the delivery to a function,
    as Lambda does it."""

    def __init__(self, simulator: Simulator) -> None:
        self.dead: list[Message] = []
        self.waiting = 0
        self.deliver: Deliver
        self._simulator = simulator

    def send_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MessageBody: str,  # noqa: N803
        DelaySeconds: int = 0,  # noqa: N803
        MessageGroupId: str = "",  # noqa: N803
    ) -> None:
        """Enqueue one message."""
        assert 0 <= DelaySeconds <= 900
        assert isinstance(DelaySeconds, int)

        def act() -> None:
            fault = self._simulator.fault("queue.send")
            if fault == "rejected":
                raise _unavailable()
            self._put_as(fault, Message(MessageBody), DelaySeconds)
            if fault == "response_lost":
                raise ReadTimeoutError(endpoint_url="queue")

        self._simulator.effect("queue.send", act, describe=lambda _: f"delay {DelaySeconds} s")

    def send_message_batch(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        Entries: Sequence[Mapping[str, str]],  # noqa: N803
    ) -> dict[str, list[dict[str, Any]]]:
        """Enqueue up to ten messages; SQS may refuse some of them."""
        assert 1 <= len(Entries) <= 10

        def act() -> dict[str, list[dict[str, Any]]]:
            fault = self._simulator.fault("queue.send")
            refused = [*Entries] if fault == "rejected" else []
            if refused and self._simulator.rng.random() < 0.5:
                raise _unavailable()
            refused = refused[:1]
            for entry in Entries:
                if entry not in refused:
                    self._put_as(fault, Message(entry["MessageBody"]), 0)
            if fault == "response_lost":
                raise ReadTimeoutError(endpoint_url="queue")
            named = {"Code": "InternalError", "SenderFault": False}
            return {"Failed": [{"Id": each["Id"], **named} for each in refused]}

        count = f"{len(Entries)} messages"
        return self._simulator.effect("queue.send", act, describe=lambda _: count)

    def redrive(self) -> None:
        """Move the dead letters back to the queue, as the operator does."""
        dead, self.dead = self.dead, []
        for message in dead:
            self._simulator.counts["event", "dead_letter"] += 1
            self._simulator.record("operator", "redrives a dead letter")
            message.receives, message.redriven = 0, True
            self._put(message, 0)

    def _put_as(self, fault: str | None, message: Message, delay_s: float) -> None:
        """Enqueue a message under a fault that does not keep it out of the queue."""
        extra_s = self._simulator.rng.choice((30, 600)) if fault == "delayed" else 0
        for _ in range(2 if fault == "duplicated" else 1):
            self._put(replace(message), delay_s + extra_s)

    def _put(self, message: Message, delay_s: float) -> None:
        self.waiting += 1
        jitter_s = (
            0.02 if self._simulator.fault_free else self._simulator.rng.choice((0.02, 0.2, 3))
        )
        self._simulator.after(delay_s + jitter_s, lambda: self._visible(message))

    def _visible(self, message: Message) -> None:
        """Deliver a message that became visible, unless it was deleted in the meantime."""
        self.waiting -= 1
        if message.deleted:
            return
        if message.receives >= MAX_RECEIVES:
            self._simulator.record("queue", "dead-letters a message", message.body)
            self.dead.append(message)
            if self._simulator.fault_free:
                self._simulator.after(REDRIVE_S, self.redrive)
            return
        fault = self._simulator.fault("queue.deliver")
        if fault == "delayed":
            self._put(message, self._simulator.rng.choice((5, 120, 900)))
            return
        message.receives += 1
        self._put(message, VISIBILITY_S)
        self.deliver(message, lambda ok: self._done(message, ok and fault != "not_deleted"))
        if fault == "twice":
            second_s = self._simulator.rng.choice((0, 0, 1, 6))
            self._simulator.after(second_s, lambda: self.deliver(message, lambda ok: None))

    def _done(self, message: Message, ok: bool) -> None:
        message.deleted = message.deleted or ok


def _unavailable() -> ClientError:
    error: Any = {"Error": {"Code": "ServiceUnavailable", "Message": "simulated"}}
    return ClientError(error, "SendMessage")
