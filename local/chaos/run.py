"""One run: its options, and what everybody in it writes down."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from local.chaos.scenarios import Kind
from local.system import System

MODES = ("mixed", "dropped", "doubled")
ANSWER_S = 40


@dataclass(frozen=True)
class Options:
    """What was asked for; `quick` leaves out what takes long to heal by itself."""

    tasks: int
    seed: int
    callbacks: str
    quick: bool = False

    @property
    def first_poll_s(self) -> int:
        """Callbacks normally win; without them nobody waits for long."""
        return 20 if self.callbacks != "dropped" and not self.quick else 5

    @property
    def calm_s(self) -> int:
        """After the load: callbacks on their way arrive, bells for quick tries ring."""
        return 5 if self.quick else 12

    @property
    def patience_s(self) -> int:
        """How long healing is watched in real time before time is skipped."""
        return 20 if self.quick else 75


@dataclass
class Placed:
    """One order and what became of it, as its customer saw it."""

    n: int
    kind: Kind
    key: str
    prompt: str
    began: float = 0.0
    over: float = 0.0
    task_ids: set[str] = field(default_factory=set)
    task: dict[str, Any] | None = None
    first_end: dict[str, Any] | None = None
    skipped: bool = False
    rung_late: bool = False

    @property
    def task_id(self) -> str:
        """Ours; empty when no answer ever named one."""
        return min(self.task_ids, default="")

    @property
    def ended(self) -> bool:
        return self.task is not None and self.task["status"] in ("finished", "failed")

    @property
    def end(self) -> str:
        """`finished`, or the reason of the failure, or the status of a task that is still open."""
        if self.task is None:
            return "never read"
        error = self.task["error"] or {}
        return str(error.get("code") or self.task["status"])


@dataclass(frozen=True)
class Answer:
    """One answer of the API: None is a connection that broke; seconds are of this machine."""

    what: str
    status: int | None
    code: str
    began: float
    over: float
    kind: str


@dataclass(frozen=True)
class Kill:
    """Who was killed, and from when to when that may show."""

    name: str
    began: float
    over: float


@dataclass
class Run:
    """Everything about one run; lists are appended to by several threads."""

    options: Options
    system: System
    canary: str
    other_key: str
    orders: list[Placed]
    answers: list[Answer] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    let_in: list[str] = field(default_factory=list)
    strangers: int = 0
    sweeps_failed: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    sessions: list[requests.Session] = field(default_factory=list)
    local: threading.local = field(default_factory=threading.local)

    @property
    def http(self) -> requests.Session:
        """This thread's session; a proxy has no business between two programs here."""
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
            self.local.session.trust_env = False
            self.sessions.append(self.local.session)
        session: requests.Session = self.local.session
        return session

    def call(
        self, method: str, path: str, *, key: str | None, what: str = "", **more: Any
    ) -> requests.Response | None:
        """The API's answer, written down; None when the connection broke."""
        began, answer = time.monotonic(), None
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        headers |= more.pop("headers", {})
        kind = more.pop("kind", "")
        with suppress(requests.RequestException):
            answer = self.http.request(
                method,
                f"{self.system.url}{path}",
                headers=headers,
                timeout=ANSWER_S,
                allow_redirects=False,
                **more,
            )
        status, code = (answer.status_code, problem(answer)) if answer is not None else (None, "")
        what = what or f"{method} task"
        self.answers.append(Answer(what, status, code, began, time.monotonic(), kind))
        return answer

    def poyo(self, method: str, path: str, **more: Any) -> Any:
        """What the simulator's control API says."""
        url = f"{self.system.poyo_url}/control/{path}"
        answer = self.http.request(method, url, timeout=ANSWER_S, **more)
        answer.raise_for_status()
        return answer.json()


def problem(answer: requests.Response) -> str:
    """The `code` of a problem+json, empty for any other answer."""
    if "problem+json" not in answer.headers.get("Content-Type", ""):
        return ""
    return str(answer.json().get("code", ""))
