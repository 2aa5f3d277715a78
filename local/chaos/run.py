"""One run: its options, its system on free ports, and what everybody in it writes down."""

import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests

from local.chaos.kinds import Kind
from local.settings import from_environment
from local.system import System, running

MODES = ("mixed", "dropped", "doubled")
# PoYo in a hurry and with its own limit of twenty submits in ten seconds.
HURRY = ("--seconds", "0.3", "1.5", "--callback-first-wait", "1", "--credits", "1000000")
WEATHER = "in bad weather"  # in the prompts of the orders that the rules for the whole run concern
ANSWER_S = 40


@dataclass(frozen=True)
class Options:
    """What was asked for; `quick` leaves out what takes long to heal by itself."""

    tasks: int
    seed: int
    callbacks: str
    quick: bool = False

    @property
    def first_look_s(self) -> int:
        """Callbacks normally win; without them nobody waits for long."""
        return 20 if self.callbacks != "dropped" and not self.quick else 5

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


@contextmanager
def scratch(logs: Path) -> Iterator[Path]:
    """A folder for a run, gone afterwards but for its logs, which come to lie in `logs`.

    In memory where there is a file system for that: whenever a function's process is killed the
    emulator unpacks the function and its layer anew, thousands of files.
    """
    memory = Path("/dev/shm")  # noqa: S108  # a folder nobody can guess is made in it
    with tempfile.TemporaryDirectory(
        prefix="imagetasks-chaos-", dir=memory if memory.is_dir() else None
    ) as folder:
        try:
            yield Path(folder)
        finally:
            shutil.rmtree(logs, ignore_errors=True)
            with suppress(FileNotFoundError):
                shutil.copytree(Path(folder) / "logs", logs)


@contextmanager
def system(options: Options, state: Path) -> Iterator[System]:
    """A whole system of its own, whose keys occur nowhere else."""
    names = ("PORT", "CLOUD_PORT", "POYO_PORT")
    ports = dict(zip(names, map(str, _free_ports(len(names))), strict=True))
    further = {"FIRST_LOOK_SECONDS": str(options.first_look_s), "DEMO": "0"}
    api_key = f"server-{secrets.token_hex(16)}"
    settings = from_environment({**ports, **further, "API_KEY": api_key})
    settings = replace(settings, poyo_api_key=f"sk-{secrets.token_hex(16)}")
    hurry = (*HURRY, "--seed", str(options.seed))
    with running(settings, state, simulator=hurry) as started:
        yield started


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def rules(callbacks: str) -> list[dict[str, Any]]:
    """The simulator's rules for the whole run: small troubles for many, and the mode for all."""
    some = {"match": {"prompt_contains": WEATHER}}
    small: list[dict[str, Any]] = [
        {"fault": "status-404-first", "rate": 0.05, **some},
        {"fault": "file-500", "rate": 0.05, **some},
        {"fault": "submit-429", "rate": 0.03, "seconds": 1, **some},
        {"fault": "callback-wrapped", "rate": 0.2, **some},
    ]
    mode = {"dropped": "callback-none", "doubled": "callback-double"}.get(callbacks)
    return [*small, {"fault": mode}] if mode else small
