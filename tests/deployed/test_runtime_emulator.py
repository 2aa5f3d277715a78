"""The result of `sam build` in the real Lambda runtime emulator, with a Python without packages.

Only the built function, the built layer and the runtime client are on the path, as on Lambda, so a
package of this machine cannot hide that the artefact lacks it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from local import build
from local.ports import free_ports
from local.processes import ROOT, Processes, wait_for
from local.system import System
from tests.fixtures.lambda_events import EXPECTED_STATUS

EVENTS = ROOT / "events"
FUNCTIONS = {
    "api": "Api",
    "webhook": "Webhook",
    "worker": "Worker",
    "notify": "Notify",
    "sweep": "Sweep",
    "drift": "Drift",
}
RUNTIME = ("awslambdaric", "snapshot_restore_py.py", "simplejson", "runtime_client.*.so")
SITE = ROOT.joinpath(".local/envs/dev/lib/python3.13/site-packages")
RAPID = ROOT.joinpath(".local/envs/sam/lib/python3.13/site-packages/samcli/local/rapid")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the emulator is a Linux program")


class Emulator:
    """One function in the emulator, which handles one event at a time."""

    def __init__(self, url: str, log: Path) -> None:
        self._url, self._log = url, log

    def invoke(self, event: bytes) -> Any:
        response = requests.post(self._url, data=event, timeout=60).json()
        assert "errorType" not in (response or {}), f"{response}\n{self._log.read_text()}"
        return response


@contextmanager
def emulator(
    stack: System, name: str, scratch: Path, *, layer: str = build.LAYERS[build.architecture()]
) -> Iterator[Emulator]:
    """The built function, with the variables of the deployed one."""
    processes = Processes(scratch / "logs")
    invoke, api = free_ports(2)
    runtime = runtime_client(scratch)
    command = [
        f"{RAPID}/aws-lambda-rie-{build.architecture()}",
        *("--runtime-interface-emulator-address", f"127.0.0.1:{invoke}"),
        *("--runtime-api-address", f"127.0.0.1:{api}"),
        *(f"{sys.base_prefix}/bin/python3.13", "-S", "-m", "awslambdaric", f"{name}.handler"),
    ]
    base = f"http://127.0.0.1:{invoke}"
    try:
        with build.read_lock():
            environ = variables(stack, name, [build.ARTEFACT / layer / "python", runtime])
            process = processes.start("emulator", command, environ)
            wait_for(lambda: listens(base), process, timeout_s=10)
            yield Emulator(f"{base}/2015-03-31/functions/function/invocations", process.log)
    finally:
        processes.stop()


def variables(stack: System, name: str, path: list[Path]) -> dict[str, str]:
    """The whole environment of the function, without any variable of this shell."""
    deployed_name = stack.outputs[f"{FUNCTIONS[name]}FunctionName"]
    deployed = stack.client("lambda").get_function_configuration(FunctionName=deployed_name)
    function = build.ARTEFACT / f"{FUNCTIONS[name]}Function"
    return {
        **deployed["Environment"]["Variables"],
        "AWS_ENDPOINT_URL": stack.cloud_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_LAMBDA_FUNCTION_NAME": deployed_name,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(deployed["Timeout"]),
        "LAMBDA_TASK_ROOT": str(function),
        "_HANDLER": f"{name}.handler",
        "PYTHONPATH": ":".join(map(str, [function, *path])),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def runtime_client(scratch: Path) -> Path:
    """A folder with only the packages that AWS adds to the function."""
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


# The task of the events may be missing, ended or deleted by now.
EVENTS_OF_THE_TASK = {
    "api-read-wait",
    "api-create",
    "api-delete",
    "api-poyo-status",
    "api-poyo-submit",
    "api-file",
    "api-read",
}
ANY = {200, 202, 204, 302, 404, 410}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_built_artefact_responds_to_every_sample_event(
    stack: System, tmp_path: Path, name: str
) -> None:
    events = sorted(EVENTS.glob(f"{name}-*.json"))
    assert events

    with emulator(stack, name, tmp_path) as function:
        for event in events:
            response = function.invoke(event.read_bytes())

            if name in ("worker", "notify"):
                assert response == {"batchItemFailures": []}, event.stem
            elif name == "sweep":
                assert response["enqueued"] >= 0
            elif name == "drift":
                assert response == {"differing": 0}
            elif event.stem in EVENTS_OF_THE_TASK:
                assert response["statusCode"] in ANY, (event.stem, response)
            else:
                assert response["statusCode"] == EXPECTED_STATUS[event.stem], (event.stem, response)


def test_a_missing_package_is_detected(stack: System, tmp_path: Path) -> None:
    with (
        emulator(stack, "sweep", tmp_path, layer="NoSuchLayer") as function,
        pytest.raises(AssertionError, match="No module named"),
    ):
        function.invoke((EVENTS / "sweep-schedule.json").read_bytes())
