"""What `sam build` made, in the real Lambda runtime emulator with a bare Python.

Only the built function, the built layer and the runtime client are on the path, as on Lambda: a
package that this machine happens to have cannot hide that the bundle lacks it.
"""

import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from local import build
from local.processes import ROOT, Processes, wait_for
from local.system import System
from tests.conftest import free_ports
from tests.fixtures.lambda_events import EXPECTED_STATUS

EVENTS = ROOT / "events"
FUNCTIONS = {"api": "Api", "webhook": "Webhook", "worker": "Worker", "sweep": "Sweep"}
RUNTIME = ("awslambdaric", "snapshot_restore_py.py", "simplejson", "runtime_client.*.so")
SITE = ROOT.joinpath(".local/envs/dev/lib/python3.13/site-packages")
RAPID = ROOT.joinpath(".local/envs/sam/lib/python3.13/site-packages/samcli/local/rapid")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the emulator is a Linux program")


class Emulator:
    """One function in the emulator; takes one event at a time."""

    def __init__(self, url: str, log: Path) -> None:
        self._url, self._log = url, log

    def invoke(self, event: bytes) -> Any:
        answer = requests.post(self._url, data=event, timeout=60)
        said = answer.json()
        assert "errorType" not in (said or {}), f"{said}\n{self._log.read_text()}"
        return said


@contextmanager
def emulator(
    stack: System, door: str, scratch: Path, *, layer: str = "DependenciesLayer"
) -> Iterator[Emulator]:
    """`door` as `sam build` left it, with the variables the deployed function has."""
    processes = Processes(scratch / "logs")
    invoke, api = free_ports(2)
    runtime = runtime_client(scratch)
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    command = [
        f"{RAPID}/aws-lambda-rie-{machine}",
        *("--runtime-interface-emulator-address", f"127.0.0.1:{invoke}"),
        *("--runtime-api-address", f"127.0.0.1:{api}"),
        *(f"{sys.base_prefix}/bin/python3.13", "-S", "-m", "awslambdaric", f"{door}.handler"),
    ]
    base = f"http://127.0.0.1:{invoke}"
    try:
        with build.read_lock():
            environ = variables(stack, door, [build.ARTEFACT / layer / "python", runtime])
            process = processes.start("emulator", command, environ)
            wait_for(lambda: listens(base), process, timeout_s=10)
            yield Emulator(f"{base}/2015-03-31/functions/function/invocations", process.log)
    finally:
        processes.stop()


def variables(stack: System, door: str, path: list[Path]) -> dict[str, str]:
    """All the function gets from its environment; nothing of this shell is passed on."""
    name = stack.outputs[f"{FUNCTIONS[door]}FunctionName"]
    deployed = stack.client("lambda").get_function_configuration(FunctionName=name)
    function = build.ARTEFACT / f"{FUNCTIONS[door]}Function"
    return {
        **deployed["Environment"]["Variables"],
        "AWS_ENDPOINT_URL": stack.cloud_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(deployed["Timeout"]),
        "LAMBDA_TASK_ROOT": str(function),
        "_HANDLER": f"{door}.handler",
        "PYTHONPATH": ":".join(map(str, [function, *path])),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def runtime_client(scratch: Path) -> Path:
    """A folder with what AWS itself puts beside the function, and no neighbour of it."""
    folder = scratch / "runtime"
    folder.mkdir()
    for pattern in RUNTIME:
        [found] = SITE.glob(pattern)
        folder.joinpath(found.name).symlink_to(found)
    return folder


def listens(url: str) -> bool:
    with suppress(requests.ConnectionError):
        requests.get(url, timeout=1)
        return True
    return False


# The sample task may or may not be there, have ended or have been deleted by now.
OF_THE_TASK = {
    "api-read-wait",
    "api-create",
    "api-delete",
    "api-poyo-status",
    "api-poyo-submit",
    "api-file",
    "api-read",
}
ANY = {200, 202, 204, 302, 404, 410}


@pytest.mark.parametrize("door", FUNCTIONS)
def test_the_built_artefact_answers_every_sample_event(
    stack: System, tmp_path: Path, door: str
) -> None:
    events = sorted(EVENTS.glob(f"{door}-*.json"))
    assert events

    with emulator(stack, door, tmp_path) as function:
        for event in events:
            said = function.invoke(event.read_bytes())

            if door == "worker":
                assert said == {"batchItemFailures": []}, event.stem
            elif door == "sweep":
                assert said["enqueued"] >= 0
            elif event.stem in OF_THE_TASK:
                assert said["statusCode"] in ANY, (event.stem, said)
            else:
                assert said["statusCode"] == EXPECTED_STATUS[event.stem], (event.stem, said)


def test_a_package_that_the_bundle_lacks_shows(stack: System, tmp_path: Path) -> None:
    with (
        emulator(stack, "sweep", tmp_path, layer="NoSuchLayer") as function,
        pytest.raises(AssertionError, match="No module named"),
    ):
        function.invoke((EVENTS / "sweep-schedule.json").read_bytes())
