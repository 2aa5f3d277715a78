"""`python -m local`, as `make run` starts it: settings, the sample task, and clean exits."""

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
import requests

from local.processes import ROOT
from tests.conftest import environment

START_TIMEOUT_S = 600
END_TIMEOUT_S = 60

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the process table in /proc")


@contextmanager
def run(**further: str) -> Iterator[subprocess.Popen[str]]:
    environ = {**os.environ, **environment(**further)}
    command = [sys.executable, "-m", "local"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """Return the output up to the first line that contains `pattern`."""
    assert process.stdout
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
    printed = ""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not re.search(pattern, printed):
        try:
            printed += lines.get(timeout=deadline - time.monotonic())
        except (queue.Empty, ValueError):
            pytest.fail(f"no more output:\n{printed}")
    return printed


def _pump(stream: IO[str], lines: "queue.Queue[str]") -> None:
    for line in stream:
        lines.put(line)


def parents() -> dict[int, int]:
    """Return the parent of every running process; a zombie does not count as running."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            found[int(stat.parent.name)] = int(parent)
    return found


def descendants(pid: int) -> set[int]:
    family, table = {pid}, parents()
    while more := {child for child, parent in table.items() if parent in family} - family:
        family |= more
    return family - {pid}


def assert_all_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + END_TIMEOUT_S
    while left := pids & parents().keys():
        assert time.monotonic() < deadline, [
            Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in left
        ]
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "eighty", "allowed: 1 to 65535"),
        ("CLOUD_PORT", "70000", "allowed: 1 to 65535"),
        ("POYO_BASE_URL", "https://api.poyo.example", "POYO_API_KEY: missing"),
        ("PUBLIC_URL", "example.org", "allowed: http(s)://host"),
        ("DOWNLOAD_HOSTS", "https://a.example/path", "neither a host name nor an origin"),
        ("FIRST_POLL_SECONDS", "0", "allowed: 5 to 3600"),
        ("API_KEY", "two words", "API_KEY: not a bearer key"),
        ("DEMO", "yes", "allowed: 0 or 1"),
    ],
)
def test_an_invalid_setting_is_reported_before_anything_starts(
    name: str, value: str, message: str
) -> None:
    with run(**{name: value}) as process:
        printed, errors = process.communicate(timeout=END_TIMEOUT_S)

    assert process.returncode == 2
    assert name in errors
    assert message in errors
    assert printed == ""


@pytest.mark.parametrize("name", ["PORT", "CLOUD_PORT", "POYO_PORT"])
def test_a_port_in_use_is_reported_by_name_and_number_before_anything_starts(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with run(**{name: port}) as process:
            printed, errors = process.communicate(timeout=END_TIMEOUT_S)

    assert process.returncode == 2
    assert f"{name}: port {port} " in errors
    assert " s" not in printed.removeprefix("imagetasks")


def test_it_finishes_the_sample_task_and_ctrl_c_leaves_no_process() -> None:
    with run(DEMO="1") as process:
        printed = read_until(process, "ready: http://127.0.0.1:")
        family = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        process.wait(END_TIMEOUT_S)

        assert process.returncode == 0
        assert_all_gone(family)

    assert "FAILED" not in printed
    assert re.search(r"s3://\S+", printed)
    image = re.search(r"downloaded\s+(\S+)", printed)
    assert image
    assert Path(image[1]).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert len(family) >= 4  # the emulator, a function in it, the simulator, the gateway


TASKS = 10
PAGE = {"Origin": "http://localhost:3000"}


def test_ten_tasks_polled_each_second_right_after_the_start_get_no_error() -> None:
    with run() as process:
        printed = read_until(process, "stop +Ctrl-C")
        names = ("ready:", "  key", "  token")
        url, key, token = [re.search(rf"{name} +(\S+)", printed) for name in names]
        assert url
        assert key
        assert token
        with ThreadPoolExecutor(TASKS) as pool:
            orders = [
                pool.submit(order_and_wait, url[1], (key, token)[n % 2][1], n) for n in range(TASKS)
            ]
            images = [order.result() for order in orders]
        process.send_signal(signal.SIGINT)
        process.wait(END_TIMEOUT_S)

    # A page on any port may read the image, too: the redirect and the bucket say so.
    for image in images:
        for response in (*image.history, image):
            assert response.headers["Access-Control-Allow-Origin"] == PAGE["Origin"]


def order_and_wait(url: str, key: str, number: int) -> requests.Response:
    """Order as a page does, poll each second, and return the image's response."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update({"Authorization": f"Bearer {key}", "Idempotency-Key": f"{number}"})
        session.headers.update(PAGE)
        order = {"model": "gpt-image-2", "input": {"prompt": f"Boat {number}"}}
        task = expect_ok(session.post(f"{url}/v1/tasks", json=order, timeout=60)).json()
        while task["status"] != "finished":
            assert task["status"] != "failed"
            time.sleep(1)
            task = expect_ok(session.get(f"{url}/v1/tasks/{task['task_id']}", timeout=60)).json()
        del session.headers["Authorization"]
        return expect_ok(session.get(task["files"][0]["file_url"], timeout=60))


def expect_ok(response: requests.Response) -> requests.Response:
    assert response.status_code in (200, 202), response.text
    return response


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_during_the_start_leaves_no_process(
    number: signal.Signals,
) -> None:
    with run() as process:
        read_until(process, "simulated PoYo on")
        family = descendants(process.pid)
        process.send_signal(number)
        process.wait(END_TIMEOUT_S)

        assert family
        assert_all_gone(family)


def test_repeated_ctrl_c_does_not_interrupt_the_clean_up() -> None:
    with run() as process:
        read_until(process, "MiniStack")
        family = descendants(process.pid)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
        process.wait(END_TIMEOUT_S)

        assert process.returncode == 0
        assert_all_gone(family)
