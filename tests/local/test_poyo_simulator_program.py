"""The simulated PoYo's command line, and every command in docs/simulated-poyo.md."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from local.poyo_simulator.background_server import in_background
from local.poyo_simulator.faults import FAULTS
from tests.local.simulator_client import INSTANT, UNREACHABLE, SimulatorClient

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "simulated-poyo.md").read_text()
READY = re.compile(r"^simulated PoYo listening on (http://127\.0\.0\.1:\d+)\n$")
COMMAND = [sys.executable, "-m", "local.poyo_simulator"]


@contextmanager
def started(*options: str) -> Iterator[tuple[SimulatorClient, subprocess.Popen[str]]]:
    command = [*COMMAND, "--port", "0", *options]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            ready = READY.match(process.stdout.readline())
            assert ready
            yield SimulatorClient(ready[1]), process
        finally:
            process.kill()


def stopped(process: subprocess.Popen[str], by: signal.Signals) -> tuple[int, str]:
    """Send a signal; returns the exit code within two seconds, and the rest of the output."""
    process.send_signal(by)
    output, _ = process.communicate(timeout=2)
    return process.returncode, output


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly_while_requests_are_open(by: signal.Signals) -> None:
    with started("--seconds", "0", "0") as (poyo, process):
        poyo.submit_task("No callback [[fault:callback-late=9999]]", callback_url=UNREACHABLE)
        task_id = poyo.submit_task("Endless file [[fault:file-endless=1000]]")
        poyo.wait_for(task_id)
        with pytest.raises(requests.ReadTimeout):
            poyo.submit("No response [[fault:submit-timeout=600]]", timeout_s=0.1)

        with poyo.file(task_id, stream=True):
            code, output = stopped(process, by)

    assert code == 0
    assert "Traceback" not in output


def test_it_prints_one_line_per_event_without_prompts_and_keys() -> None:
    with started("--seconds", "0", "0", "--key", "sk-first", "--key", "sk-second") as (_, process):
        assert process.stdout is not None
        poyo = SimulatorClient(_.origin, key="sk-second")
        task_id = poyo.submit_task("A canary", callback_url=f"{UNREACHABLE}/secret-mac")
        poyo.wait_for(task_id)
        poyo.status(task_id)

        _, output = stopped(process, signal.SIGTERM)

    lines = output.splitlines()
    assert len(lines) >= 4
    assert all(
        re.match(rf"\d\d:\d\d:\d\d (submit|task|status|callback) +{task_id} ", x) for x in lines
    )
    assert not re.search("canary|sk-|mac", output)


def test_quiet_prints_only_the_ready_line() -> None:
    with started("--quiet") as (poyo, process):
        poyo.submit_task()

        assert stopped(process, signal.SIGTERM) == (0, "")


def test_a_port_in_use_is_reported_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [*COMMAND, "--port", port]

        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 2
    assert run.stderr == f"port {port} is in use; choose another with --port\n"


def test_the_options_reach_the_server() -> None:
    options = (
        "--webhook-key whsec --callback-retries 3 --seconds 1 3 --file-hours 72 --rate 5 "
        "--rate-seconds 20 --credits 12.5 --wrapped --idempotency honour --seed abc --speed 9"
    )
    with started(*options.split()) as (poyo, _):
        settings = poyo.control("GET", "settings")

        assert settings == {
            "webhook_key": True,
            "callback_retries": 3,
            "callback_first_wait": 1.0,
            "seconds": [1.0, 3.0],
            "file_hours": 72.0,
            "rate": 5,
            "rate_seconds": 20.0,
            "credits": 12.5,
            "wrapped": True,
            "idempotency": "honour",
        }
        assert poyo.balance() == 12.5
        assert poyo.control("GET", "health")["seed"] == "abc"
        assert poyo.control("PUT", "clock", {})["speed"] == 9


def test_it_listens_on_127_0_0_1_only() -> None:
    with started() as (poyo, _):
        port = int(poyo.origin.rpartition(":")[2])

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=1)


def test_the_page_lists_every_fault_of_the_table() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \| (.+?) \|$", PAGE, flags=re.MULTILINE)

    assert {name: (does, parameters) for name, does, parameters in rows} == {
        fault.name: (
            fault.does,
            ", ".join(
                f"`{key}` {json.dumps(value, ensure_ascii=False)}"
                for key, value in fault.parameters.items()
            )
            or "–",
        )
        for fault in FAULTS.values()
    }


def test_the_page_names_every_control_route() -> None:
    routes = re.findall(
        r'@routes\.(\w+)\("([^"]+)"\)', (ROOT / "local/poyo_simulator/control.py").read_text()
    )

    assert len(routes) > 10
    for method, path in routes:
        assert f"`{method.upper()} {path}`" in PAGE


def test_every_command_on_the_page_runs_and_injects_every_fault() -> None:
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE))

    with in_background(replace(INSTANT, seconds=(2.0, 6.0))) as origin:
        script = script.replace("http://127.0.0.1:8790", origin)
        script = script.replace("http://127.0.0.1:8791", UNREACHABLE)
        run = subprocess.run(
            ["bash", "-u"], input=script, capture_output=True, text=True, timeout=60, check=False
        )
        poyo = SimulatorClient(origin)
        for _ in range(2):
            poyo.control("PUT", "clock", {"advance_seconds": 1e6})
            time.sleep(0.2)
        events = poyo.control("GET", "log")["events"]

    injected = {name for event in events for name in event.get("faults", [])}
    unexpected = [line for line in run.stderr.splitlines() if not line.startswith("curl: ")]
    assert unexpected == []
    assert injected == set(FAULTS)
    assert run.stdout.count('"bad_request"') == 1
