"""What an operation asks its client to do: so each operation is written once, and the clients with and
without `async` only differ in how they send, wait and call."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from imagetasks_client.errors import ApiError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request once. The answer is an httpx.Response, or the error that prevented it.

    `url` is a path of the service, sent with the key; or a whole address, sent without it. `expected` is a
    member that an answer of the service has.
    """

    method: str
    url: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    file: tuple[str, bytes, str] | None = None
    timeout_s: float = 30.0
    expected: str = ""

    @property
    def to_service(self) -> bool:
        """Whether it is sent with the key."""
        return self.url.startswith("/")


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Tell:
    """Call a function of the caller."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """Hand a value to the loop that iterates."""

    value: Any


Effect = Send | Pause | Tell | Item
Outcome = httpx.Response | httpx.RequestError | ApiError
Steps = Generator[Effect, Any, T]
