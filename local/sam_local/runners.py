"""The two sets of functions that are told the same story: deployed ones, and `sam local invoke`'s."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import build
from local.cloud import REGION
from local.processes import Process
from local.progress import StepFailed, failed
from local.sam_local import event_sequence
from local.system import System

# The shell in front only leads SAM CLI's standard output, which is the answer, away from its log.
_ANSWER_APART = 'out=$1; shift; exec "$@" >"$out"'


@dataclass(frozen=True)
class Answer:
    """What a function said to an event, and how long that took."""

    event: str
    said: Any
    seconds: float


@dataclass(frozen=True)
class Deployed:
    """The functions in the emulated cloud."""

    system: System

    def answers(self, row: tuple[str, ...]) -> list[Answer]:
        """One after the other."""
        return [self._answer(event) for event in row]

    def _answer(self, event: str) -> Answer:
        began = time.monotonic()
        name = self.system.outputs[f"{event_sequence.function_of(event)}Name"]
        answer = self.system.client("lambda").invoke(
            FunctionName=name, Payload=event_sequence.path_of(event).read_bytes()
        )
        said = json.loads(answer["Payload"].read() or b"null")
        return Answer(event, said, time.monotonic() - began)


@dataclass(frozen=True)
class Local:
    """The built functions in containers; `variables` is what `write_environment` wrote."""

    system: System
    docker_host: str
    variables: Path

    def answers(self, row: tuple[str, ...]) -> list[Answer]:
        """All at the same time."""
        began = time.monotonic()
        started = [(event, self._start(event)) for event in row]
        return [self._finish(event, process, began) for event, process in started]

    def _start(self, event: str) -> Process:
        command = [
            str(build.SAM / "sam"), "local", "invoke", event_sequence.function_of(event),
            "--template-file", str(build.TEMPLATE),
            "--event", str(event_sequence.path_of(event)),
            "--env-vars", str(self.variables),
            "--parameter-overrides", f"Architecture={build.architecture()}",
            "--region", REGION,
            "--layer-cache-basedir", str(self.variables.parent / "layers"),
            "--skip-pull-image",
        ]  # fmt: skip
        environ = build.sam_environment(self.system.cloud.environment())
        environ |= {
            "DOCKER_HOST": self.docker_host,
            "SAM_CLI_CONTAINER_CONNECTION_TIMEOUT": "60",
            # Where SAM CLI locks its builds: a lock that an interrupted run left is waited for.
            "TMPDIR": str(self.variables.parent),
        }
        apart = ["sh", "-c", _ANSWER_APART, "sh", str(self._output(event))]
        return self.system.processes.start(f"invoke-{event}", [*apart, *command], environ)

    def _finish(self, event: str, process: Process, began: float) -> Answer:
        status = process.popen.wait()
        self.system.processes.started.remove(process)
        if status:
            raise failed(f"sam local invoke, {event}, ended with status {status}:", process.log)
        text = self._output(event).read_text()
        try:
            return Answer(event, json.loads(text), time.monotonic() - began)
        except ValueError as error:
            raise StepFailed(f"sam local invoke, {event}, printed no JSON: {text[:500]}") from error

    def _output(self, event: str) -> Path:
        return self.variables.parent / f"{event}.answer.json"
