"""An HTTP answer as the wire hands it over and the reading of PoYo takes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP answer, whole: `body` is at most as long as the wire lets through."""

    status: int
    body: bytes
