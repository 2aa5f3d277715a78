"""The programs of README and of the clients' pages, run as they are written there, on the deployed stack."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from local.system import System
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
ADDRESS, KEY = "http://127.0.0.1:8787", "local-server-key"
IMAGE = b"\x89PNG"
TIMEOUT_S = 120
PYTHON_PATH = f"{ROOT / 'clients/python/src'}:{ROOT}"


def programs(page: str, language: str, stack: System) -> list[str]:
    """The page's programs in this language that call a local system, here the stack under test."""
    found = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.M)
    own = [each.replace(ADDRESS, stack.url).replace(KEY, stack.api_key) for each in found]
    return [each for each in own if stack.url in each]


def run(command: list[str], folder: Path) -> str:
    """What the command prints. Fails if it fails."""
    environment = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder)}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | {"PYTHONPATH": PYTHON_PATH},
        text=True,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """A folder for shell programs that call `imagetasks`, curl and other tools of this machine."""
    subprocess.run([ROOT / "examples" / "needs.sh", "curl"], check=True)
    program = tmp_path / "bin" / "imagetasks"
    program.parent.mkdir()
    python = shlex.quote(sys.executable)
    program.write_text(f'#!/bin/sh\nexec {python} -m imagetasks_client.cli "$@"\n')
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("page", ["README.md", "clients/js/README.md", "docs/clients.md"])
def test_javascript_prints_the_address_of_its_image(
    page: str, stack: System, tmp_path: Path
) -> None:
    subprocess.run([ROOT / "scripts" / "require.sh", "node", "nodejs"], check=True)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "imagetasks").symlink_to(ROOT / "clients" / "js")
    [program] = programs(page, "js", stack)
    (tmp_path / "boat.mjs").write_text(program)

    address = run(["node", "boat.mjs"], tmp_path).split()[-1]

    assert requests.get(address, timeout=30).content.startswith(IMAGE)


@pytest.mark.parametrize(
    ("page", "images"),
    [("README.md", [1]), ("clients/python/README.md", [1]), ("docs/clients.md", [1, 3, 0, 1])],
)
def test_each_python_program_saves_its_images_and_prints_their_paths(
    page: str, images: list[int], stack: System, tmp_path: Path
) -> None:
    found = programs(page, "python", stack)

    for number, (program, count) in enumerate(zip(found, images, strict=True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "boat.py").write_text(program)
        paths = re.findall(r"images/\w+\.png", run([sys.executable, "boat.py"], folder))
        assert all((folder / path).read_bytes().startswith(IMAGE) for path in paths)
        assert len(set(paths)) == count


def test_terminal_of_readme_saves_its_image_and_prints_the_path(stack: System, shell: Path) -> None:
    [program] = [each for each in programs("README.md", "sh", stack) if "imagetasks " in each]

    [path] = run(["sh", "-ec", program], shell).split()

    assert (shell / path).read_bytes().startswith(IMAGE)


def test_requests_of_readme_order_read_and_fetch_an_image(stack: System, shell: Path) -> None:
    order, read = [each for each in programs("README.md", "sh", stack) if "curl" in each]

    accepted = run(["sh", "-ec", order], shell)
    [task_id] = re.findall(r"^Location: /v1/tasks/(\w+)\r?$", accepted, re.MULTILINE)
    wait, fetch = read.replace("TASK_ID", task_id).split("\ncurl", 1)
    until(lambda: run(["sh", "-ec", wait], shell), lambda task: '"status": "finished"' in task)
    run(["sh", "-ec", f"curl{fetch}"], shell)

    assert accepted.startswith("HTTP/1.1 202")
    assert (shell / "boat.png").read_bytes().startswith(IMAGE)
