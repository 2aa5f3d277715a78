"""What is sent back: answers in PoYo's shapes, and refusals that become them."""

import json
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, or with ``hang_up`` a connection that is dropped instead."""

    status: int = 200
    body: object = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False

    def send(self, request: web.Request) -> web.Response:
        if self.hang_up:
            drop(request)
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return web.Response(
            status=self.status, text=text, content_type=self.content_type, headers=self.headers
        )


class PoyoError(Exception):
    """A refusal: the request gets PoYo's error shape A instead of what it asked for."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message

    def answer(self) -> Answer:
        error = {"message": self.message, "type": self.kind}
        return Answer(self.status, {"code": self.status, "error": error})


def success(data: object) -> Answer:
    return Answer(200, {"code": 200, "data": data})


def invalid(message: str) -> PoyoError:
    return PoyoError(400, "validation_error", message)


def bad_request(message: str) -> PoyoError:
    """For what PoYo itself has no word for: faults and the control API."""
    return PoyoError(400, "bad_request", message)


def drop(request: web.Request) -> None:
    """Breaks the connection; whatever is returned afterwards reaches nobody."""
    if request.transport is not None:
        request.transport.abort()


async def read_json(request: web.Request) -> object:
    """The body as JSON; ``PoyoError`` when it is none."""
    try:
        return json.loads(await request.read() or b"null")
    except (ValueError, RecursionError) as error:
        raise invalid("Request body is not valid JSON") from error
