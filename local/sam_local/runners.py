"""Send events to the deployed functions, and to the built functions with `sam local invoke`."""

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

# The shell writes SAM CLI's standard output, which is the response, to a file; the rest is its log.
_SPLIT_OUTPUT = 'out=$1; shift; exec "$@" >"$out"'


@dataclass(frozen=True)
class Response:
    """The response of a function to an event, and how long it took."""

    event: str
    body: Any
    seconds: float


@dataclass(frozen=True)
class DeployedFunctions:
    """The functions in the emulated cloud."""

    system: System

    def send(self, step: tuple[str, ...]) -> list[Response]:
        """Send the events of a step one after the other."""
        return [self._send(event) for event in step]

    def _send(self, event: str) -> Response:
        began = time.monotonic()
        name = self.system.outputs[f"{event_sequence.function_of(event)}Name"]
        response = self.system.client("lambda").invoke(
            FunctionName=name, Payload=event_sequence.path_of(event).read_bytes()
        )
        body = json.loads(response["Payload"].read() or b"null")
        return Response(event, body, time.monotonic() - began)


@dataclass(frozen=True)
class LocalFunctions:
    """The built functions in containers; `variables` is the file of `invoke.write_environment`."""

    system: System
    docker_host: str
    variables: Path

    def send(self, step: tuple[str, ...]) -> list[Response]:
        """Send the events of a step at the same time."""
        began = time.monotonic()
        started = [(event, self._start(event)) for event in step]
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
            # SAM CLI keeps its build locks here; in /tmp it would wait for those of an interrupted run.
            "TMPDIR": str(self.variables.parent),
        }
        split = ["sh", "-c", _SPLIT_OUTPUT, "sh", str(self._output(event))]
        return self.system.processes.start(f"invoke-{event}", [*split, *command], environ)

    def _finish(self, event: str, process: Process, began: float) -> Response:
        status = process.popen.wait()
        self.system.processes.started.remove(process)
        if status:
            raise failed(f"sam local invoke, {event}, ended with status {status}:", process.log)
        text = self._output(event).read_text()
        try:
            return Response(event, json.loads(text), time.monotonic() - began)
        except ValueError as error:
            raise StepFailed(f"sam local invoke, {event}, printed no JSON: {text[:500]}") from error

    def _output(self, event: str) -> Path:
        return self.variables.parent / f"{event}.response.json"
