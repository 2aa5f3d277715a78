"""Starts a separate system for one run: on free ports, with its own keys, in a temporary folder."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from local.chaos.run import Options
from local.ports import free_ports
from local.settings import from_environment
from local.system import System, running

# A fast PoYo, with its real limit of twenty submits in ten seconds.
SIMULATOR_OPTIONS = (
    "--seconds", "0.3", "1.5", "--callback-first-wait", "1", "--credits", "1000000",
)  # fmt: skip
MIN_FREE_MEMORY_BYTES = 3 << 30  # a container often has 64 MiB of shared memory
REQUESTS_PER_SECOND = 10_000  # the run's customers are faster than the template's throttle
BACKGROUND_FAULTS = "with background faults"  # in the prompts that the rules for the run match


@contextmanager
def temporary_state(logs: Path) -> Iterator[Path]:
    """Yield a folder for a run; afterwards it is deleted and its logs are copied to `logs`.

    It is in memory if there is room: for each process of a function the emulator unpacks the function
    and its layer, which are thousands of files. To delete them from a disk can take minutes.
    """
    memory = Path("/dev/shm")  # noqa: S108  # the folder in it gets an unpredictable name
    has_room = memory.is_dir() and shutil.disk_usage(memory).free >= MIN_FREE_MEMORY_BYTES
    with tempfile.TemporaryDirectory(
        prefix="imagetasks-", dir=memory if has_room else None
    ) as folder:
        try:
            yield Path(folder)
        finally:
            shutil.rmtree(logs, ignore_errors=True)
            with suppress(FileNotFoundError):
                shutil.copytree(Path(folder) / "logs", logs)


@contextmanager
def running_system(options: Options, state: Path) -> Iterator[System]:
    """Run a whole system with keys that are used nowhere else."""
    names = ("PORT", "CLOUD_PORT", "POYO_PORT")
    ports = dict(zip(names, map(str, free_ports(len(names))), strict=True))
    further = {"FIRST_POLL_SECONDS": str(options.first_poll_s), "DEMO": "0"}
    api_key = f"server-{secrets.token_hex(16)}"
    settings = from_environment({**ports, **further, "API_KEY": api_key})
    key = f"sk-{secrets.token_hex(16)}"
    settings = replace(settings, poyo_api_key=key, requests_per_second=REQUESTS_PER_SECOND)
    simulator = (*SIMULATOR_OPTIONS, "--seed", str(options.seed))
    with running(settings, state, simulator=simulator) as started:
        yield started


def fault_rules(callbacks: str) -> list[dict[str, Any]]:
    """Return the simulator's rules for the run: minor faults for many tasks, the callback mode for all."""
    some = {"match": {"prompt_contains": BACKGROUND_FAULTS}}
    minor: list[dict[str, Any]] = [
        {"fault": "status-404-first", "rate": 0.05, **some},
        {"fault": "file-500", "rate": 0.05, **some},
        {"fault": "submit-429", "rate": 0.03, "seconds": 1, **some},
        {"fault": "callback-wrapped", "rate": 0.2, **some},
    ]
    mode = {"dropped": "callback-none", "doubled": "callback-double"}.get(callbacks)
    return [*minor, {"fault": mode}] if mode else minor
