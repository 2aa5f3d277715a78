"""The API's handler with an emulated AWS and a PoYo that accepts every order."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from imagetasks.tasks.task import StoredImage, Task
from tests.support.emulated_aws import SERVER_KEY, Cloud, aws
from tests.support.environment import TestEnvironment
from tests.support.fakes import POYO_ID, PROMPT, task
from tests.support.lambdas import HandlerResponse, http_event, invoke, load_handler, request_headers
from tests.support.scripted_server import Behaviour, ScriptedServer, responding, scripted_server

ORDER: dict[str, Any] = {"model": "gpt-image-2", "input": {"prompt": PROMPT}}
BALANCE = 1234.56
STORED_IMAGE = StoredImage(
    key="images/t/0", content_type="image/png", bytes=7, width=4, height=3, sha256="a" * 64
)


@dataclass(frozen=True)
class Api:
    """The API's handler module with the AWS and the PoYo that it uses."""

    handler_module: ModuleType
    cloud: Cloud
    poyo: ScriptedServer

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = SERVER_KEY,
        **headers: str,
    ) -> HandlerResponse:
        """The response to one request; `body` as it is or as JSON, `headers` with `_` for `-`."""
        content = body if isinstance(body, bytes | str | None) else json.dumps(body)
        sent = request_headers(key or "", **headers)
        if key is None:
            del sent["authorization"]
        in_base64 = isinstance(content, bytes)
        event = http_event(method, path, headers=sent, body=content, in_base64=in_base64)
        return invoke(self.handler_module, event)

    def create(
        self, body: object = ORDER, *, idempotency_key: str = "key", **headers: Any
    ) -> HandlerResponse:
        return self.request("POST", "/v1/tasks", body, idempotency_key=idempotency_key, **headers)

    def get(self, path: str, **headers: Any) -> HandlerResponse:
        return self.request("GET", path, **headers)

    def put(self, **changed: Any) -> Task:
        """Write a task with these attributes, and return it."""
        return TestEnvironment(self.cloud).put(task(**changed))

    def put_finished(self, images: int = 1, **changed: Any) -> Task:
        """Write a finished task of `owner` with `images` images, and return it."""
        files = tuple(replace(STORED_IMAGE, key=f"images/t/{n}") for n in range(images))
        state = {"state": "finished", "poyo_id": POYO_ID, "due_at": None, "due_shard": None}
        index_key = {"owner_status_key": f"finished#{changed.get('owner', 'owner')}"}
        return self.put(**state | index_key | {"files": files} | changed)

    def submit_count(self) -> int:
        """How many submits PoYo received."""
        return sum(each.startswith(b"POST") for each in self.poyo.requests)

    def has_no_side_effects(self) -> bool:
        """Whether no item was written and nothing was sent to PoYo or SQS."""
        return (self.poyo.requests, self.cloud.items(), self.cloud.messages()) == ([], [], [])


def accepts_every_order() -> Behaviour:
    """A PoYo that accepts every order, each with a new id, and returns its balance."""
    numbers = itertools.count()

    def behave(connection: socket.socket, request: bytes) -> None:
        data: dict[str, object] = {"credits_amount": BALANCE, "email": "account@example.com"}
        if request.startswith(b"POST"):
            data = {"task_id": f"POYO{next(numbers):012}", "status": "not_started"}
        body = json.dumps({"code": 200, "data": data}).encode()
        responding("200 OK", body)(connection, request)

    return behave


@contextmanager
def loaded_api(
    behaviour: Behaviour | None = None,
    failing: Mapping[str, Exception] | None = None,
    /,
    **environment: str,
) -> Iterator[Api]:
    """The API as after a cold start, with an empty AWS and a PoYo with this behaviour. Calls of the
    services in `failing` raise its errors."""
    with aws() as cloud, scripted_server(behaviour or accepts_every_order()) as poyo:
        further = {"POYO_BASE_URL": poyo.url} | environment
        with load_handler("api", cloud, **further) as handler_module:
            for service, error in (failing or {}).items():
                fail_every_call(aws_client(handler_module, service), error)
            yield Api(handler_module, cloud, poyo)


def aws_client(handler_module: ModuleType, service: str) -> Any:
    """The handler's client of a service; Secrets Manager has one for each secret."""
    clients = handler_module.clients
    return {
        "dynamodb": lambda: clients.repository.table.client,
        "secretsmanager": lambda: clients.api_keys.secret.client,
        "callback secret": lambda: clients.callback_keys.secret.client,
        "s3": lambda: clients.uploads.client,
    }[service]()


def fail_every_call(client: Any, error: Exception) -> None:
    """Make `client` raise `error` in place of each call."""

    def fail(**_: object) -> None:
        raise error

    client.meta.events.register("before-call", fail)


def assert_problem(
    response: HandlerResponse, status: int, code: str, *, charged: bool | None = False
) -> Any:
    """Check that the response is a complete problem (RFC 9457) with these values; return its body."""
    content_type = response.headers["content-type"]
    assert (response.status, content_type) == (status, "application/problem+json"), response.body
    body = response.json
    assert (body["status"], body["code"], body["charged"]) == (status, code, charged)
    assert body["title"]
    assert body["detail"]
    assert body["retry"] in ("same_key", "new_key", "never")
    invited = body["retry"] == "same_key" and code not in (
        "internal",
        "not_configured",
        "orders_paused",
    )
    assert ("retry-after" in response.headers) is invited
    assert body["request_id"] == "request"
    return body
