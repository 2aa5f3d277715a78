"""Starts the whole system, for `make run` and for the tests of the deployed stack."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import build, cloud, page_tokens, progress, routes, stack
from local.cloud import Cloud, responds
from local.cors import LOCALHOST
from local.processes import Process, Processes, wait_for
from local.settings import Settings, check_ports_free
from local.stack import Stack

START_TIMEOUT_S = 90  # usually three seconds; more on a busy machine


@dataclass(frozen=True)
class System:
    """A running system; `processes` are the programs it consists of."""

    settings: Settings
    cloud: Cloud
    stack: Stack
    processes: Processes

    @property
    def url(self) -> str:
        """The URL of the API for callers."""
        return self.settings.url

    @property
    def cloud_url(self) -> str:
        """The URL of the emulated AWS."""
        return self.settings.cloud_url

    @property
    def poyo_url(self) -> str:
        """The base URL of the PoYo in use."""
        return self.settings.poyo_base_url

    @property
    def api_key(self) -> str:
        """The API key that callers send."""
        return self.settings.api_key

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs by name."""
        return self.stack.outputs

    def client(self, service: str) -> Any:
        """Return a boto3 client for the emulated AWS."""
        return self.cloud.client(service)


@contextmanager
def running(
    settings: Settings,
    state: Path,
    *,
    say: Callable[[str], None] = progress.say,
    simulator: tuple[str, ...] = (),
) -> Iterator[System]:
    """Run the system while the block runs; its logs are under `state`/logs.

    `simulator` holds more arguments for the simulated PoYo. Raises BadSetting if a port is in use,
    before it starts anything, and StepFailed if a step fails.
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
            poyo = _start_module(processes, "poyo_simulator", environ, *arguments, *simulator)
            _wait_until_ready(f"{settings.poyo_base_url}/control/health", poyo)
    with progress.step("sam build", say) as remark:
        if not build.ensure(processes, environ):
            remark("sources unchanged")
    with progress.step("sam deploy", say), build.read_lock():
        deployed = stack.deploy(processes, emulated, settings)
    with progress.step("routes, CORS and keys", say):
        routes.configure(emulated, deployed)
        if settings.cors_origins == LOCALHOST:
            stack.allow_localhost_pages(emulated, deployed)
        stack.restore_concurrency(emulated)
        stack.put_keys(emulated, deployed, settings)
    with progress.step(f"gateway on {settings.url}", say):
        arguments = ("--port", f"{settings.port}", "--api", deployed.api_url)
        further = routes.gateway_arguments(emulated, settings.cors_origins)
        secret = {page_tokens.KEY_VARIABLE: settings.api_key}
        gateway = _start_module(processes, "gateway", environ | secret, *arguments, *further)
        _wait_until_ready(f"{settings.url}/health", gateway)
    return System(settings, emulated, deployed, processes)


def _start_module(
    processes: Processes, name: str, environ: dict[str, str], *arguments: str
) -> Process:
    """Start `local.NAME` as a process with the same name."""
    python = [sys.executable, "-u", "-m", f"local.{name}"]
    return processes.start(name, [*python, *arguments], environ)


def _wait_until_ready(url: str, process: Process) -> None:
    wait_for(lambda: responds(url), process, START_TIMEOUT_S)
