"""HTTP responses in PoYo's shapes, and the error that becomes one of them."""

import json
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True)
class HttpResponse:
    """One HTTP response, or a dropped connection if ``drop_connection`` is set."""

    status: int = 200
    body: object = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    drop_connection: bool = False

    def send(self, request: web.Request) -> web.Response:
        if self.drop_connection:
            abort_connection(request)
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return web.Response(
            status=self.status, text=text, content_type=self.content_type, headers=self.headers
        )


class PoyoError(Exception):
    """An error that is sent to the client in PoYo's error shape ``{code, error}``."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message

    def response(self) -> HttpResponse:
        error = {"message": self.message, "type": self.kind}
        return HttpResponse(self.status, {"code": self.status, "error": error})


def success(data: object) -> HttpResponse:
    return HttpResponse(200, {"code": 200, "data": data})


def invalid(message: str) -> PoyoError:
    return PoyoError(400, "validation_error", message)


def bad_request(message: str) -> PoyoError:
    """Return the error for what PoYo does not have: faults and the control API."""
    return PoyoError(400, "bad_request", message)


def abort_connection(request: web.Request) -> None:
    """Break the connection; a response returned afterwards is not sent."""
    if request.transport is not None:
        request.transport.abort()


async def read_json(request: web.Request) -> object:
    """Parse the body as JSON; raises ``PoyoError`` if it is not JSON."""
    try:
        return json.loads(await request.read() or b"null")
    except (ValueError, RecursionError) as error:
        raise invalid("Request body is not valid JSON") from error
