"""A whole system for one run: on free ports, with keys of its own, in a folder that goes away."""

import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from local.chaos.run import Options
from local.settings import from_environment
from local.system import System, running

# PoYo in a hurry and with its own limit of twenty submits in ten seconds.
HURRY = ("--seconds", "0.3", "1.5", "--callback-first-wait", "1", "--credits", "1000000")
WEATHER = "in bad weather"  # in the prompts of the orders that the rules for the whole run concern


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
    further = {"FIRST_POLL_SECONDS": str(options.first_poll_s), "DEMO": "0"}
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
