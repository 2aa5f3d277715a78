"""Performs the steps of an operation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, TypeVar

import httpx

from imagetasks_client.connection import Connection
from imagetasks_client.effects import Effect, Item, Pause, Send, Steps, Tell
from imagetasks_client.errors import ApiError

T = TypeVar("T")


class Driver:
    """Performs the steps of operations, one after another, in the thread of the caller."""

    def __init__(self, connection: Connection, transport: httpx.BaseTransport | None) -> None:
        self._connection = connection
        self._http = httpx.Client(transport=transport)

    def run(self, steps: Steps[T]) -> T:
        """Perform all steps and return the operation's result."""
        answer: Any = None
        while True:
            try:
                effect = steps.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = self._perform(effect)

    def iterate(self, steps: Steps[Any]) -> Iterator[Any]:
        """Perform the steps while the caller iterates, and hand over the items."""
        answer: Any = None
        while True:
            try:
                effect = steps.send(answer)
            except StopIteration:
                return
            answer = None
            if isinstance(effect, Item):
                yield effect.value
            else:
                answer = self._perform(effect)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Send():
                try:
                    return self._http.send(
                        self._connection.request(effect),
                        auth=self._connection.auth_of(effect),
                        follow_redirects=effect.method == "GET",
                    )
                except (httpx.RequestError, ApiError) as error:
                    return error
            case Pause(seconds):
                return time.sleep(seconds)
            case Tell(function, arguments):
                return function(*arguments)
            case Item():
                return None
