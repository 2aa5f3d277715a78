"""What replaces the transport of PoYo's client in tests."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imagetasks.poyo.transport import HttpResponse


@dataclass(frozen=True)
class SentRequest:
    """A request that our code sent to PoYo."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    read_s: float

    @property
    def content(self) -> Any:
        return json.loads(self.body or b"null")


class FakeTransport(ABC):
    """A transport that sends nothing: `respond` returns the response to each request."""

    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        read_s: float,
    ) -> HttpResponse:
        return self.respond(SentRequest(method, url, headers, body, read_s))

    @abstractmethod
    def respond(self, request: SentRequest) -> HttpResponse:
        """The response to `request`, or one of the errors of `Transport`."""
