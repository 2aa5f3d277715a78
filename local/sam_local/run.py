"""One run: starts a system, sends the events to both sets of functions, and formats the table."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from local import build, invoke
from local.ports import free_ports
from local.processes import ROOT
from local.progress import say, step
from local.sam_local import compare, event_sequence
from local.sam_local.runners import DeployedFunctions, LocalFunctions, Response
from local.settings import from_environment
from local.system import System, running

STATE = ROOT / ".local" / "run" / "sam-local"
# PoYo finishes a task only on request, so that nothing happens except through the events.
SIMULATOR_OPTIONS = ("--seconds", "3000", "3600")


@dataclass(frozen=True)
class Pair:
    """Both responses to one event."""

    deployed: Response
    local: Response

    @property
    def differences(self) -> list[str]:
        """A line for each difference."""
        return compare.differences(self.deployed.body, self.local.body)


@contextmanager
def system() -> Iterator[System]:
    """Run a whole system on free ports."""
    names = ("PORT", "CLOUD_PORT", "POYO_PORT")
    ports = dict(zip(names, map(str, free_ports(len(names))), strict=True))
    settings = from_environment(
        {**ports, "FIRST_POLL_SECONDS": str(event_sequence.FIRST_POLL_SECONDS)}
    )
    with running(settings, STATE, simulator=SIMULATOR_OPTIONS) as started:
        yield started


def send_events(system: System, docker_host: str, say: Callable[[str], None] = say) -> list[Pair]:
    """Send all events to the local functions, then to the deployed ones; return pairs of responses."""
    scratch = STATE / "invoke"
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "layers").mkdir(parents=True)
    variables = scratch / "env.json"  # not events/env.json, which belongs to `make run`
    invoke.write_environment(system, variables)
    event_sequence.disable_triggers(system)
    with build.read_lock():
        functions = LocalFunctions(system, docker_host, variables)
        local = _send(system, functions, "sam local invoke", say)
        deployed = _send(system, DeployedFunctions(system), "deployed functions", say)
    return [Pair(*pair) for pair in zip(deployed, local, strict=True)]


def table(pairs: list[Pair]) -> str:
    """Format a line for each pair of responses, followed by its differences."""
    lines = [f"\n  {'event':<26}{'function':<18}{'deployed':<26}{'sam local invoke':<26}"]
    for pair in pairs:
        event = pair.local.event
        verdict = "DIFFERENT" if pair.differences else "same"
        responses = f"{_summary(pair.deployed.body):<26}{_summary(pair.local.body):<26}"
        lines.append(f"  {event:<26}{event_sequence.function_of(event):<18}{responses}{verdict}")
        lines += [f"      {line}" for line in pair.differences]
    return "\n".join(lines)


def _send(
    system: System,
    functions: LocalFunctions | DeployedFunctions,
    name: str,
    say: Callable[[str], None],
) -> list[Response]:
    event_sequence.delete_task(system)
    responses = []
    for events in event_sequence.steps(event_sequence.events()):
        event_sequence.prepare(events, system)
        with step(f"{name}: {', '.join(events)}", say):
            responses += functions.send(events)
    return responses


def _summary(body: Any) -> str:
    """Return the status code, or the beginning of a response without one."""
    if isinstance(body, dict) and "statusCode" in body:
        return str(body["statusCode"])
    return json.dumps(body)[:24]
