"""Fakes of the outside: the clock, PoYo, its file host, Secrets Manager and the caller's server."""

from __future__ import annotations

import io
import json
import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from imagetasks.clock import Clock
from imagetasks.limits import Limits
from imagetasks.outbound.download import DownloadedImage
from imagetasks.poyo.client import PoyoClient
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.task import Task, derive_task_id, shard_of
from tests.fixtures.images import png
from tests.support.transport import FakeTransport, SentRequest

START = 1_790_000_000_000  # milliseconds since 1970; tests work at any instant
PROMPT = "canary-prompt-of-a-heron"
POYO_KEY = "sk-canary-poyo-key"
POYO_ID = "BFJI1885TB0ROHQM"
FILE_URL = "https://cdn.doculator.org/images/canary/canary.png"


class ManualClock:
    """A clock that only `forward` moves: `ms` for tasks, `seconds` for clients that cache."""

    def __init__(self) -> None:
        self.now = START

    def ms(self) -> int:
        return self.now

    def seconds(self) -> float:
        return self.now / 1000

    def forward(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


def make_clock(clock: ManualClock, limits: Limits | None = None) -> Clock:
    """The time of `clock`, and the same random numbers in every run."""
    rng = random.Random(7)  # noqa: S311  # repeatable, not secret
    return Clock(now_ms=clock.ms, rng=rng, limits=limits or Limits())


def poyo_response(body: object, status: int = 200) -> HttpResponse:
    """A JSON response of PoYo."""
    return HttpResponse(status, json.dumps(body).encode())


NOT_FOUND = poyo_response({"code": 404, "error": {"message": "task not found"}}, 404)


def submit_response(poyo_id: str = POYO_ID) -> HttpResponse:
    """PoYo's response to a submit that it accepts."""
    return poyo_response({"code": 200, "data": {"task_id": poyo_id, "status": "not_started"}})


def status_response(status: str, **facts: object) -> HttpResponse:
    """PoYo's response to a poll: `status` and further keys of the task."""
    data = {"task_id": POYO_ID, "status": status, "files": []} | facts
    return poyo_response({"code": 200, "data": data})


def finished_response(*urls: str, **facts: object) -> HttpResponse:
    """PoYo's response to a poll of a finished task with files at `urls`."""
    files = [{"file_url": url, "file_type": "image"} for url in urls or (FILE_URL,)]
    return status_response("finished", progress=100.0, files=files, **facts)


class FakePoyo(FakeTransport):
    """A transport that responds with what a test sets, in order, and records every request.

    The last response for a method is repeated. An exception is raised instead of a response. A
    function is called and returns the response; it stands for what happens during the request.
    """

    def __init__(self) -> None:
        self.requests: list[SentRequest] = []
        self._responses: dict[str, deque[Any]] = {"POST": deque(), "GET": deque()}

    def respond_with(
        self, method: str, *responses: HttpResponse | Exception | Callable[[], HttpResponse]
    ) -> None:
        self._responses[method] = deque(responses)

    def respond(self, request: SentRequest) -> HttpResponse:
        self.requests.append(request)
        scripted = self._responses[request.method]
        response = scripted.popleft() if len(scripted) > 1 else scripted[0]
        if isinstance(response, Exception):
            raise response
        return response if isinstance(response, HttpResponse) else response()

    def request_count(self, method: str) -> int:
        return sum(each.method == method for each in self.requests)


def poyo_client(
    send: FakePoyo, *, refresh_key: Callable[[str], bool] = lambda _: False
) -> PoyoClient:
    """PoYo's client with `send` as its transport."""
    return PoyoClient(
        send=send, base_url="https://api.poyo.test", key=lambda: POYO_KEY, refresh_key=refresh_key
    )


class FakeSecretsClient:
    """Secrets Manager with one secret: a dict, a raw text, or an exception to raise."""

    def __init__(self, value: object) -> None:
        self.value = value
        self.reads = 0

    def get_secret_value(self, **arguments: str) -> dict[str, str]:
        self.reads += 1
        if isinstance(self.value, Exception):
            raise self.value
        text = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return {"SecretString": text}


def client_error(code: str, status: int = 400, operation: str = "Operation") -> ClientError:
    """The error that boto3 raises for an AWS error response."""
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)


def cancelled_transaction(*codes: str) -> ClientError:
    """The error that boto3 raises for a transaction that was not made, with the code of each of its writes."""
    response: Any = {
        "Error": {"Code": "TransactionCanceledException"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
        "CancellationReasons": [{"Code": code} for code in codes],
    }
    return ClientError(response, "TransactWriteItems")


@dataclass
class FakeFileHost:
    """A downloader that returns the next bytes, or raises the next exception; the last one repeats."""

    outcomes: deque[bytes | Exception] = field(default_factory=lambda: deque([png()]))
    fetched: list[str] = field(default_factory=list)
    within_s: list[float] = field(default_factory=list)

    def respond_with(self, *outcomes: bytes | Exception) -> None:
        self.outcomes = deque(outcomes)

    @contextmanager
    def fetch(self, url: str, *, within_s: float = math.inf) -> Iterator[DownloadedImage]:
        self.within_s.append(within_s)
        self.fetched.append(url)
        outcome = self.outcomes.popleft() if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        yield downloaded_image(outcome)


@dataclass
class FakeNotificationSender:
    """A sender that records notifications and raises the next exception; the last outcome repeats."""

    outcomes: deque[Exception | None] = field(default_factory=lambda: deque([None]))
    sent: list[tuple[str, Any, Mapping[str, str]]] = field(default_factory=list)

    def respond_with(self, *outcomes: Exception | None) -> None:
        self.outcomes = deque(outcomes)

    def send(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> None:
        self.sent.append((url, json.loads(body), headers))
        outcome = self.outcomes.popleft() if len(self.outcomes) > 1 else self.outcomes[0]
        if outcome is not None:
            raise outcome


@dataclass
class FakeNotificationQueue:
    """A queue that keeps the tasks whose callers are to be notified."""

    sent: deque[Task] = field(default_factory=deque)

    def send(self, task: Task) -> None:
        self.sent.append(task)


def downloaded_image(content: bytes) -> DownloadedImage:
    """`content` as the downloader returns it."""
    return DownloadedImage.from_file(io.BytesIO(content))


def task(key: str = "key", **changed: Any) -> Task:
    """A task as it is right after its creation, with `changed` attributes."""
    task_id = derive_task_id("owner", key)
    values: dict[str, Any] = {
        "task_id": task_id,
        "owner": "owner",
        "fingerprint": "f" * 64,
        "model": "gpt-image-2",
        "input": {"prompt": PROMPT, "quality": "low", "size": "auto", "resolution": "1K"},
        "metadata": {"album": "birds"},
        "state": "submitting",
        "attempt": 1,
        "estimated_credits": Decimal(2),
        "public_base_url": "https://api.example",
        "created_at": START,
        "updated_at": START,
        "attempted_at": START,
        "write_token": "0" * 24,
        "due_at": START + 60_000,
        "due_shard": shard_of(task_id),
        "file_url_key": "a1" * 20,
        "owner_key": "owner",
        "owner_status_key": "open#owner",
        "history": ({"at": START, "event": "accepted"},),
    }
    values |= changed
    return Task(**{"due_since": values["due_at"]} | values)
