"""Kills processes of the system under test with SIGKILL: its functions and the gateway.

Linux only: it finds the functions' processes in /proc, and only those of the emulator started here.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from local.chaos.run import RESPONSE_TIMEOUT_S, Kill, Run
from local.cloud import Cloud, responds
from local.processes import Process, wait_for

# How often each function is the target; the sweep and the webhook run briefly and are rarely busy.
TARGETS = ("Api", "Api", "Api", "Worker", "Worker", "Worker", "Webhook", "Notify", "Sweep")
SEARCH_S = 2.0  # how long to search for a busy process before an idle one is killed
PAUSE_S = 3.0  # the emulator restarts all processes of a function when one of them has died
FALLOUT_S = 12.0  # and during that time the events of the other processes fail too
GATEWAY_EVERY = 8  # kills
READ = ("0", "63")  # the system call's number on x86-64 and on arm64


class ProcessKiller:
    """Kills processes; must be called from the thread that started the system.

    A restarted process ends together with the thread that restarted it.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._rng = random.Random(f"kills {run.options.seed}")  # noqa: S311  # repeatable
        self._warm: set[int] = set()  # seen idle: they have started and loaded our code

    def kill_one(self) -> None:
        """Kill one process of a function, or every few kills the gateway; then pause."""
        if len(self._run.kills) % GATEWAY_EVERY == GATEWAY_EVERY - 1:
            self._restart_gateway()
        else:
            self._kill_function(self._rng.choice(TARGETS))
        time.sleep(self._rng.uniform(0.5, 1.5) * PAUSE_S)

    def _kill_function(self, function: str) -> None:
        deadline = time.monotonic() + SEARCH_S
        idle: set[int] = set()
        busy: set[int] = set()
        found = set(self._processes(function))
        while time.monotonic() < deadline and not busy:
            idle = {pid for pid in found if not _is_busy(pid)}
            self._warm |= idle
            busy = (found - idle) & self._warm
            time.sleep(0.02)
        if candidates := sorted(busy or idle):
            name = f"{function.lower()} {'busy' if busy else 'idle'}"
            self._kill(self._rng.choice(candidates), name)

    def _processes(self, function: str) -> list[int]:
        """Return the processes in which the emulator runs a function, in its process group."""
        mark = f"ministack-lambda-{self._run.system.outputs[f'{function}FunctionName']}-"
        emulator = self._process("ministack").popen.pid
        found = []
        for commandline in Path("/proc").glob("[0-9]*/cmdline"):
            pid = int(commandline.parent.name)
            try:
                if mark in commandline.read_text() and os.getpgid(pid) == emulator:
                    found.append(pid)
            except (OSError, UnicodeDecodeError):
                continue
        return found

    def _restart_gateway(self) -> None:
        gateway, system = self._process("gateway"), self._run.system
        began = time.monotonic()
        gateway.popen.kill()
        gateway.popen.wait()
        system.processes.started.remove(gateway)
        environ = Cloud(system.cloud_url).environment()
        program = [sys.executable, "-u", "-m", "local.gateway"]
        arguments = ["--port", str(system.settings.port), "--api", system.stack.api_url]
        started = system.processes.start("gateway", [*program, *arguments], environ)
        wait_for(lambda: responds(f"{system.url}/health"), started, RESPONSE_TIMEOUT_S)
        self._run.kills.append(Kill("gateway", began, time.monotonic()))

    def _process(self, name: str) -> Process:
        return next(each for each in self._run.system.processes.started if each.name == name)

    def _kill(self, pid: int, name: str) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        now = time.monotonic()
        self._run.kills.append(Kill(name, now, now + FALLOUT_S))


def _is_busy(pid: int) -> bool:
    """Return whether a process does anything except wait for an event on its standard input."""
    try:
        call, *arguments = Path(f"/proc/{pid}/syscall").read_text().split()
    except (OSError, ValueError):
        return False
    return not (call in READ and arguments[:1] == ["0x0"])
