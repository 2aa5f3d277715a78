"""One chaos run: its options, and the records that its threads collect."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from local.chaos.scenarios import Scenario
from local.system import System

CALLBACK_MODES = ("mixed", "dropped", "doubled")
RESPONSE_TIMEOUT_S = 40


@dataclass(frozen=True)
class Options:
    """The options of a run; `quick` leaves out the scenarios that take long to recover."""

    tasks: int
    seed: int
    callbacks: str
    quick: bool = False

    @property
    def first_poll_s(self) -> int:
        """Long enough for callbacks to arrive first; short if there are no callbacks."""
        return 20 if self.callbacks != "dropped" and not self.quick else 5

    @property
    def callback_wait_s(self) -> int:
        """How long after the load callbacks and delayed task messages may still arrive."""
        return 5 if self.quick else 12

    @property
    def real_time_s(self) -> int:
        """How long tasks get to recover in real time before time is skipped for them."""
        return 20 if self.quick else 75


@dataclass
class PlacedOrder:
    """One order and its outcome, as its customer saw it."""

    n: int
    scenario: Scenario
    key: str
    prompt: str
    began: float = 0.0
    over: float = 0.0
    task_ids: set[str] = field(default_factory=set)
    task: dict[str, Any] | None = None
    first_end: dict[str, Any] | None = None
    time_skipped: bool = False
    late_callback: bool = False

    @property
    def task_id(self) -> str:
        """Our task id; empty if no response contained one."""
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
class ApiResponse:
    """One response of the API; status None is a broken connection. Times are monotonic seconds."""

    what: str
    status: int | None
    code: str
    began: float
    over: float
    scenario: str


@dataclass(frozen=True)
class Kill:
    """A killed process, and the period in which the kill may cause errors."""

    name: str
    began: float
    over: float


@dataclass
class Run:
    """The state of one run; several threads append to its lists."""

    options: Options
    system: System
    canary: str
    other_key: str
    orders: list[PlacedOrder]
    responses: list[ApiResponse] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    successful_attacks: list[str] = field(default_factory=list)
    attacks: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    sessions: list[requests.Session] = field(default_factory=list)
    local: threading.local = field(default_factory=threading.local)

    @property
    def http(self) -> requests.Session:
        """This thread's session, without a proxy because everything runs on this machine."""
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
            self.local.session.trust_env = False
            self.sessions.append(self.local.session)
        session: requests.Session = self.local.session
        return session

    def call(
        self, method: str, path: str, *, key: str | None, what: str = "", **more: Any
    ) -> requests.Response | None:
        """Call the API and record its response; returns None if the connection broke."""
        began, response = time.monotonic(), None
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        headers |= more.pop("headers", {})
        scenario = more.pop("scenario", "")
        with suppress(requests.RequestException):
            response = self.http.request(
                method,
                f"{self.system.url}{path}",
                headers=headers,
                timeout=RESPONSE_TIMEOUT_S,
                allow_redirects=False,
                **more,
            )
        status = response.status_code if response is not None else None
        code = problem_code(response) if response is not None else ""
        what = what or f"{method} task"
        self.responses.append(ApiResponse(what, status, code, began, time.monotonic(), scenario))
        return response

    def poyo(self, method: str, path: str, **more: Any) -> Any:
        """Call the simulator's control API and return its JSON."""
        url = f"{self.system.poyo_url}/control/{path}"
        response = self.http.request(method, url, timeout=RESPONSE_TIMEOUT_S, **more)
        response.raise_for_status()
        return response.json()


def problem_code(response: requests.Response) -> str:
    """Return the `code` of a problem+json response, empty for any other response."""
    if "problem+json" not in response.headers.get("Content-Type", ""):
        return ""
    return str(response.json().get("code", ""))
