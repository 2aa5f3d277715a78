"""Stand-ins for what lies outside: a clock, an upstream, a secret, somebody's files."""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, BinaryIO, cast

from botocore.exceptions import ClientError

from imagetasks.clock import Clock
from imagetasks.limits import Limits
from imagetasks.outbound.download import DownloadedImage
from imagetasks.poyo.client import PoyoClient
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.image_format import identify
from imagetasks.tasks.task import Task, derive_task_id, shard_of
from tests.fixtures.images import png

START = 1_790_000_000_000  # milliseconds; any instant will do
PROMPT = "canary-prompt-of-a-heron"
POYO_KEY = "sk-canary-poyo-key"
POYO_ID = "BFJI1885TB0ROHQM"
FILE_URL = "https://cdn.doculator.org/images/canary/canary.png"


class ManualClock:
    """A clock that moves when it is told to; `ms` for our tasks, `seconds` for edges."""

    def __init__(self) -> None:
        self.now = START

    def ms(self) -> int:
        return self.now

    def seconds(self) -> float:
        return self.now / 1000

    def forward(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


def make_clock(clock: ManualClock, limits: Limits | None = None) -> Clock:
    """Time by `clock`, and the same chance in every run."""
    rng = random.Random(7)  # noqa: S311  # chosen so that it repeats
    return Clock(now_ms=clock.ms, rng=rng, limits=limits or Limits())


def reply(body: object, status: int = 200) -> HttpResponse:
    """A JSON answer of PoYo."""
    return HttpResponse(status, json.dumps(body).encode())


def accepted(poyo_id: str = POYO_ID) -> HttpResponse:
    """PoYo took the order."""
    return reply({"code": 200, "data": {"task_id": poyo_id, "status": "not_started"}})


def told(status: str, **facts: object) -> HttpResponse:
    """PoYo's answer about a task."""
    data = {"task_id": POYO_ID, "status": status, "files": []} | facts
    return reply({"code": 200, "data": data})


def finished(*urls: str, **facts: object) -> HttpResponse:
    """PoYo finished it, and its files lie at `urls`."""
    files = [{"file_url": url, "file_type": "image"} for url in urls or (FILE_URL,)]
    return told("finished", progress=100.0, files=files, **facts)


@dataclass(frozen=True)
class Sent:
    """A request that went out."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    read_s: float

    @property
    def content(self) -> Any:
        return json.loads(self.body or b"null")


class Upstream:
    """PoYo behind `send`: answers what it was told to, in order, and remembers what it was asked.

    The last answer for a method stays; an exception instead of a reply is raised; a function is
    called first, for what happens while the request is under way.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self._answers: dict[str, deque[Any]] = {"POST": deque(), "GET": deque()}

    def answers(
        self, method: str, *answers: HttpResponse | Exception | Callable[[], HttpResponse]
    ) -> None:
        self._answers[method] = deque(answers)

    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        read_s: float,
    ) -> HttpResponse:
        self.sent.append(Sent(method, url, headers, body, read_s))
        waiting = self._answers[method]
        answer = waiting.popleft() if len(waiting) > 1 else waiting[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, HttpResponse) else answer()

    def count(self, method: str) -> int:
        return sum(each.method == method for each in self.sent)


def poyo(send: Upstream, *, refresh_key: Callable[[str], bool] = lambda _: False) -> PoyoClient:
    """The account, over a faked wire."""
    return PoyoClient(
        send=send, base_url="https://api.poyo.test", key=lambda: POYO_KEY, refresh_key=refresh_key
    )


class SecretsClient:
    """Secrets Manager with one secret: a dict, a raw text, or an exception to raise."""

    def __init__(self, value: object) -> None:
        self.value = value
        self.reads = 0

    def get_secret_value(self, **asked: str) -> dict[str, str]:
        self.reads += 1
        if isinstance(self.value, Exception):
            raise self.value
        text = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return {"SecretString": text}


def refusal(code: str, status: int = 400, operation: str = "Operation") -> ClientError:
    """An error answer of AWS."""
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)


@dataclass
class Files:
    """PoYo's file host behind `fetch`: bytes of a picture, or an exception, per call."""

    outcomes: deque[bytes | Exception] = field(default_factory=lambda: deque([png()]))
    fetched: list[str] = field(default_factory=list)

    def gives(self, *outcomes: bytes | Exception) -> None:
        self.outcomes = deque(outcomes)

    @contextmanager
    def fetch(self, url: str) -> Iterator[DownloadedImage]:
        self.fetched.append(url)
        outcome = self.outcomes.popleft() if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        yield download(outcome)


@dataclass
class Post:
    """A caller's own server behind `post`: what it was told, and how it takes it."""

    outcomes: deque[Exception | None] = field(default_factory=lambda: deque([None]))
    posted: list[tuple[str, Any, Mapping[str, str]]] = field(default_factory=list)

    def gives(self, *outcomes: Exception | None) -> None:
        self.outcomes = deque(outcomes)

    def send(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> None:
        self.posted.append((url, json.loads(body), headers))
        outcome = self.outcomes.popleft() if len(self.outcomes) > 1 else self.outcomes[0]
        if outcome is not None:
            raise outcome


def download(content: bytes) -> DownloadedImage:
    """`content` as if it had just been fetched."""
    file = cast(BinaryIO, io.BytesIO(content))
    picture = identify(file)
    file.seek(0)
    return DownloadedImage(file, len(content), hashlib.sha256(content).hexdigest(), picture)


def task(key: str = "key", **changed: Any) -> Task:
    """A task as it is right after T0, with `changed` attributes."""
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
        "owner_status_key": "not_started#owner",
        "history": ({"at": START, "event": "accepted"},),
    }
    return Task(**values | changed)
