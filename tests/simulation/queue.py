"""The simulated queue: messages come late, twice, in any order; four failures bury one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.simulation.scheduler import World

VISIBILITY_S = 360.0
MOST_RECEIVES = 4
REDRIVE_S = 900.0  # there is an alarm for every dead letter; in the calm somebody answers it

Deliver = Callable[["Message", Callable[[bool], None]], None]


@dataclass(eq=False)
class Message:
    """A body, how often it was received, and whether it is done with."""

    body: str
    receives: int = 0
    deleted: bool = False
    redriven: bool = False


class SimulatedQueue:
    """The one call of boto3's SQS client that a Doorbell makes, and what Lambda does behind it."""

    def __init__(self, world: World) -> None:
        self.dead: list[Message] = []
        self.waiting = 0
        self.deliver: Deliver
        self._world = world

    def send_message(self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int) -> None:  # noqa: N803
        """Put one message in the queue."""
        assert 0 <= DelaySeconds <= 900
        assert isinstance(DelaySeconds, int)

        def act() -> None:
            fault = self._world.fault("queue.send")
            if fault == "refused":
                raise _unavailable()
            late_s = self._world.chance.choice((30, 600)) if fault == "late" else 0
            for _ in range(2 if fault == "doubled" else 1):
                self._put(Message(MessageBody), DelaySeconds + late_s)
            if fault == "lost":
                raise ReadTimeoutError(endpoint_url="queue")

        self._world.effect("queue.send", act, show=lambda _: f"heard in {DelaySeconds} s")

    def redrive(self) -> None:
        """An operator moves the dead letters back."""
        dead, self.dead = self.dead, []
        for message in dead:
            self._world.counts["event", "dead_letter"] += 1
            self._world.tell("operator", "redrives a dead letter")
            message.receives, message.redriven = 0, True
            self._put(message, 0)

    def _put(self, message: Message, delay_s: float) -> None:
        self.waiting += 1
        jitter_s = 0.02 if self._world.calm else self._world.chance.choice((0.02, 0.2, 3))
        self._world.after(delay_s + jitter_s, lambda: self._visible(message))

    def _visible(self, message: Message) -> None:
        """It is received, unless somebody was done with it in the meantime."""
        self.waiting -= 1
        if message.deleted:
            return
        if message.receives >= MOST_RECEIVES:
            self._world.tell("queue", "gives up", message.body)
            self.dead.append(message)
            if self._world.calm:
                self._world.after(REDRIVE_S, self.redrive)
            return
        fault = self._world.fault("queue.deliver")
        if fault == "late":
            self._put(message, self._world.chance.choice((5, 120, 900)))
            return
        message.receives += 1
        self._put(message, VISIBILITY_S)
        self.deliver(message, lambda ok: self._done(message, ok and fault != "undeleted"))
        if fault == "twice":
            again_s = self._world.chance.choice((0, 0, 1, 6))
            self._world.after(again_s, lambda: self.deliver(message, lambda ok: None))

    def _done(self, message: Message, ok: bool) -> None:
        message.deleted = message.deleted or ok


def _unavailable() -> ClientError:
    error: Any = {"Error": {"Code": "ServiceUnavailable", "Message": "simulated"}}
    return ClientError(error, "SendMessage")
