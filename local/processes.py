"""Starts programs, each with a log and its own process group, and stops all of them together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from local.progress import failed

ROOT = Path(__file__).resolve().parent.parent
DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
KILL_AFTER_S = 5.0
POLL_S = 0.05


@dataclass(frozen=True)
class Process:
    """A running program, the leader of its own session, and the log with its output."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path


@dataclass(frozen=True)
class Processes:
    """Starts programs, and stops them together with their child processes."""

    logs: Path
    started: list[Process] = field(default_factory=list)

    def start(self, name: str, argv: Sequence[str], environ: Mapping[str, str]) -> Process:
        """Start a program in the repository's root and return while it runs."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name}.log"
        wrapper = [sys.executable, "-I", "-S", str(DIE_WITH_PARENT), str(os.getpid())]
        with log.open("ab") as output:
            popen = subprocess.Popen(
                [*wrapper, *argv],
                cwd=ROOT,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process(name, popen, log)
        self.started.append(process)
        return process

    def run(self, name: str, argv: Sequence[str], environ: Mapping[str, str]) -> None:
        """Run a program to its end; raises StepFailed with its last lines if it fails."""
        process = self.start(name, argv, environ)
        status = process.popen.wait()
        self.started.remove(process)
        if status:
            raise failed(f"{name} ended with status {status}:", process.log)

    def wait(self) -> NoReturn:
        """Wait without end; raises StepFailed when one of the programs ends by itself."""
        while True:
            for process in self.started:
                status = process.popen.poll()
                if status is not None:
                    raise failed(f"{process.name} ended with status {status}:", process.log)
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)

    def stop(self) -> None:
        """Stop all programs: SIGTERM, and SIGKILL after 5 s."""
        groups = [process.popen.pid for process in reversed(self.started)]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for group in groups:
                _signal(group, number)
            deadline = time.monotonic() + KILL_AFTER_S
            while time.monotonic() < deadline and any(map(self._is_alive, groups)):
                time.sleep(POLL_S)
        self.started.clear()

    def _is_alive(self, group: int) -> bool:
        for process in self.started:
            process.popen.poll()  # reaps it: a zombie would keep the group alive
        return _signal(group, 0)


def _signal(group: int, number: int) -> bool:
    """Send a signal to a process group; returns False if there is none."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS raises the latter for a zombie
        return False
    return True


def wait_for(condition: Callable[[], bool], process: Process, timeout_s: float) -> None:
    """Return when `condition` is true; raises StepFailed if the program ends or after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        status = process.popen.poll()
        if status is not None:
            raise failed(f"{process.name} ended with status {status}:", process.log)
        if time.monotonic() > deadline:
            raise failed(f"{process.name} did not respond within {timeout_s:.0f} s:", process.log)
        time.sleep(POLL_S)
