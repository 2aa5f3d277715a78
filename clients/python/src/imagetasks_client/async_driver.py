"""Performs the steps of an operation with `async`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import httpx

from imagetasks_client.connection import Connection
from imagetasks_client.effects import Effect, Item, Pause, Send, Steps, Tell
from imagetasks_client.errors import ApiError

T = TypeVar("T")


class AsyncDriver:
    """Performs the steps of operations, one after another, in the task of the caller."""

    def __init__(self, connection: Connection, transport: httpx.AsyncBaseTransport | None) -> None:
        self._connection = connection
        self._http = httpx.AsyncClient(transport=transport)

    async def run(self, steps: Steps[T]) -> T:
        """Perform all steps and return the operation's result."""
        answer: Any = None
        while True:
            try:
                effect = steps.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = await self._perform(effect)

    async def iterate(self, steps: Steps[Any]) -> AsyncIterator[Any]:
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
                answer = await self._perform(effect)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _perform(self, effect: Effect) -> Any:
        match effect:
            case Send():
                try:
                    return await self._http.send(
                        self._connection.request(effect),
                        auth=self._connection.auth_of(effect),
                        follow_redirects=effect.method == "GET",
                    )
                except (httpx.RequestError, ApiError) as error:
                    return error
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Tell(function, arguments):
                told = function(*arguments)
                return await told if inspect.isawaitable(told) else told
            case Item():
                return None
