"""kill -9 for processes of the system under test: functions at their work, and the front.

Linux only: workers are found in the process table, and only below the emulator started here.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from local.chaos.run import ANSWER_S, Kill, Run
from local.cloud import Cloud, responds
from local.processes import Process, wait_for

# How often each is aimed at; the sweep and the webhook are short and seldom hit at work.
AIMS = ("Api", "Api", "Api", "Worker", "Worker", "Worker", "Webhook", "Sweep")
AIM_S = 2.0  # how long somebody at work is looked for before an idle one has to do
PAUSE_S = 3.0  # the emulator starts a function's processes anew, all of them, when one has died
FALLOUT_S = 12.0  # and meanwhile fails what it had given to the others
FRONT_EVERY = 8  # kills
READ = ("0", "63")  # the system call's number on x86-64 and on arm64


class Havoc:
    """Called from the thread that started the system: what it restarts lives as long as that."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._dice = random.Random(f"havoc {run.options.seed}")  # noqa: S311  # to be repeated
        self._warm: set[int] = set()  # seen waiting: past its start, with code of ours in it

    def strike(self) -> None:
        """Kill one process, and the front now and then."""
        if len(self._run.kills) % FRONT_EVERY == FRONT_EVERY - 1:
            self._restart_front()
        else:
            self._kill(self._dice.choice(AIMS))
        time.sleep(self._dice.uniform(0.5, 1.5) * PAUSE_S)

    def _kill(self, function: str) -> None:
        deadline = time.monotonic() + AIM_S
        idle: set[int] = set()
        busy: set[int] = set()
        found = set(self._processes(function))
        while time.monotonic() < deadline and not busy:
            idle = {pid for pid in found if not _at_work(pid)}
            self._warm |= idle
            busy = (found - idle) & self._warm
            time.sleep(0.02)
        if victims := sorted(busy or idle):
            name = f"{function.lower()} {'at work' if busy else 'idle'}"
            self._end(self._dice.choice(victims), name, FALLOUT_S)

    def _processes(self, function: str) -> list[int]:
        """The processes the emulator runs a function in, all in its own process group."""
        mark = f"ministack-lambda-{self._run.system.outputs[f'{function}FunctionName']}-"
        emulator = self._of("ministack").popen.pid
        found = []
        for commandline in Path("/proc").glob("[0-9]*/cmdline"):
            pid = int(commandline.parent.name)
            try:
                if mark in commandline.read_text() and os.getpgid(pid) == emulator:
                    found.append(pid)
            except (OSError, UnicodeDecodeError):
                continue
        return found

    def _restart_front(self) -> None:
        front, system = self._of("gateway"), self._run.system
        began = time.monotonic()
        front.popen.kill()
        front.popen.wait()
        system.processes.started.remove(front)
        environ = Cloud(system.cloud_url).environment()
        program = [sys.executable, "-u", "-m", "local.gateway"]
        where = ["--port", str(system.settings.port), "--api", system.stack.api_url]
        started = system.processes.start("gateway", [*program, *where], environ)
        wait_for(lambda: responds(f"{system.url}/health"), started, ANSWER_S)
        self._run.kills.append(Kill("gateway", began, time.monotonic()))

    def _of(self, name: str) -> Process:
        return next(each for each in self._run.system.processes.started if each.name == name)

    def _end(self, pid: int, name: str, fallout_s: float) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        now = time.monotonic()
        self._run.kills.append(Kill(name, now, now + fallout_s))


def _at_work(pid: int) -> bool:
    """Whether it does anything but wait for the next event on its standard input."""
    try:
        call, *arguments = Path(f"/proc/{pid}/syscall").read_text().split()
    except (OSError, ValueError):
        return False
    return not (call in READ and arguments[:1] == ["0x0"])
