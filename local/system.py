"""Everything running: what `make run` shows and what the tests of the deployed stack use."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import build, cloud, progress, routes, stack
from local.cloud import Cloud, answers
from local.processes import Process, Processes, wait_for
from local.settings import Settings, check_ports_free
from local.stack import Stack

ANSWER_TIMEOUT_S = 90  # usually three seconds; patience is for a machine that is busy


@dataclass(frozen=True)
class System:
    """A running system; `processes` are the programs it consists of."""

    settings: Settings
    cloud: Cloud
    stack: Stack
    processes: Processes

    @property
    def url(self) -> str:
        """Where users talk to it."""
        return self.settings.url

    @property
    def cloud_url(self) -> str:
        """Where the emulated AWS answers."""
        return self.settings.cloud_url

    @property
    def poyo_url(self) -> str:
        """The PoYo it asks."""
        return self.settings.poyo_base_url

    @property
    def api_key(self) -> str:
        """The server key that callers send."""
        return self.settings.api_key

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs by name."""
        return self.stack.outputs

    def client(self, service: str) -> Any:
        """A boto3 client of the emulated AWS."""
        return self.cloud.client(service)


@contextmanager
def running(
    settings: Settings,
    state: Path,
    *,
    say: Callable[[str], None] = progress.say,
    simulator: tuple[str, ...] = (),
) -> Iterator[System]:
    """Start everything, logs under `state`/logs, and end all of it with the block.

    `simulator` are further arguments for the simulated PoYo. Raises BadSetting before anything
    is started when a port is taken, StepFailed when a step goes wrong.
    """
    check_ports_free(settings)
    processes = Processes(state / "logs")
    for old in processes.logs.glob("*.log"):
        old.unlink()
    try:
        yield _start(settings, state, processes, say, simulator)
    finally:
        processes.stop()
        cloud.clear(state)


def _start(
    settings: Settings,
    state: Path,
    processes: Processes,
    say: Callable[[str], None],
    simulator: tuple[str, ...],
) -> System:
    emulated = Cloud(settings.cloud_url)
    environ = emulated.environment()
    with progress.step("environments", say):
        processes.run("environments", ["scripts/environment.sh", "sam", "cloud"], environ)
    with progress.step(f"emulated AWS (MiniStack) on {settings.cloud_url}", say):
        cloud.start(processes, emulated, state)
    if settings.simulated:
        with progress.step(f"simulated PoYo on {settings.poyo_base_url}", say):
            arguments = ("--port", f"{settings.poyo_port}", "--key", settings.poyo_api_key)
            poyo = _module(processes, "poyo", environ, *arguments, *simulator)
            _answers(f"{settings.poyo_base_url}/control/health", poyo)
    with progress.step("sam build", say) as remark:
        if not build.ensure(processes, environ):
            remark("sources unchanged")
    with progress.step("sam deploy", say), build.held():
        deployed = stack.deploy(processes, emulated, settings)
    with progress.step("routes, CORS and keys", say):
        options_url = routes.mend(emulated, deployed)
        stack.mend_numbers(emulated)
        stack.put_keys(emulated, deployed, settings)
    with progress.step(f"front on {settings.url}", say):
        arguments = ("--port", f"{settings.port}", "--api", deployed.api_url)
        further = ("--options", options_url) if options_url else ()
        front = _module(processes, "front", environ, *arguments, *further)
        _answers(f"{settings.url}/health", front)
    return System(settings, emulated, deployed, processes)


def _module(processes: Processes, name: str, environ: dict[str, str], *arguments: str) -> Process:
    python = [sys.executable, "-u", "-m", f"local.{name}"]
    return processes.start(name, [*python, *arguments], environ)


def _answers(url: str, process: Process) -> None:
    wait_for(lambda: answers(url), process, ANSWER_TIMEOUT_S)
