"""One run: a system, the story told to both sets of functions, and the table of what they said."""

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from local import build, invoke
from local.processes import ROOT
from local.progress import say, step
from local.sam_local import compare, event_sequence
from local.sam_local.runners import Answer, Deployed, Local
from local.settings import from_environment
from local.system import System, running

STATE = ROOT / ".local" / "run" / "sam-local"
# PoYo takes its time until it is told to finish: nothing happens but what the events bring about.
SIMULATOR = ("--seconds", "3000", "3600")


@dataclass(frozen=True)
class Pair:
    """What both said to one event."""

    deployed: Answer
    local: Answer

    @property
    def differences(self) -> list[str]:
        """Where they differ; empty when they agree."""
        return compare.differences(self.deployed.said, self.local.said)


@contextmanager
def system() -> Iterator[System]:
    """A whole system on free ports."""
    names = ("PORT", "CLOUD_PORT", "POYO_PORT")
    ports = dict(zip(names, map(str, _free_ports(len(names))), strict=True))
    settings = from_environment(
        {**ports, "FIRST_POLL_SECONDS": str(event_sequence.FIRST_POLL_SECONDS)}
    )
    with running(settings, STATE, simulator=SIMULATOR) as started:
        yield started


def both(system: System, docker_host: str, say: Callable[[str], None] = say) -> list[Pair]:
    """The story told to either side from the start, and their answers side by side."""
    scratch = STATE / "invoke"
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "layers").mkdir(parents=True)
    variables = scratch / "env.json"  # not events/env.json, which belongs to `make run`
    invoke.write_environment(system, variables)
    event_sequence.hold_still(system)
    with build.read_lock():
        local = _tell(system, Local(system, docker_host, variables), "sam local invoke", say)
        deployed = _tell(system, Deployed(system), "deployed functions", say)
    return [Pair(*pair) for pair in zip(deployed, local, strict=True)]


def table(pairs: list[Pair]) -> str:
    """A line for each answer, and below them what differs."""
    lines = [f"\n  {'event':<26}{'function':<18}{'deployed':<26}{'sam local invoke':<26}"]
    for pair in pairs:
        event = pair.local.event
        verdict = "DIFFERENT" if pair.differences else "same"
        said = f"{_gist(pair.deployed.said):<26}{_gist(pair.local.said):<26}"
        lines.append(f"  {event:<26}{event_sequence.function_of(event):<18}{said}{verdict}")
        lines += [f"      {line}" for line in pair.differences]
    return "\n".join(lines)


def _tell(
    system: System, side: Local | Deployed, name: str, say: Callable[[str], None]
) -> list[Answer]:
    event_sequence.from_the_start(system)
    answers = []
    for row in event_sequence.rows(event_sequence.events()):
        event_sequence.before(row, system)
        with step(f"{name}: {', '.join(row)}", say):
            answers += side.answers(row)
    return answers


def _gist(said: Any) -> str:
    """A status code, or the answer itself as far as there is room."""
    if isinstance(said, dict) and "statusCode" in said:
        return str(said["statusCode"])
    return json.dumps(said)[:24]


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
