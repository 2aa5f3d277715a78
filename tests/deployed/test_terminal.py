"""The command line in a pseudo terminal, on the deployed stack: what a person sees, and what a stopped program keeps."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pyte
import pytest
import requests

from local.processes import ROOT
from local.system import System

COLUMNS, LINES = 110, 30
TIMEOUT_S = 120


class Terminal:
    """A program in a pseudo terminal of its own, and the screen that a person sees."""

    def __init__(self, arguments: list[str], environment: dict[str, str], folder: Path) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "imagetasks_client.cli", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=environment,
        )
        os.close(slave)

    def until(self, seen: Callable[[str], bool]) -> str:
        """Read until the screen shows it, or the program has ended. Fails after TIMEOUT_S."""
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            if not self._read() or seen(self.text):
                return self.text
        raise AssertionError(f"not seen within {TIMEOUT_S} s:\n{self.text}")

    def ended(self) -> int:
        """Read to the end. Returns the exit code."""
        self.until(lambda _: False)
        return self.process.wait(TIMEOUT_S)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display if line.strip())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(TIMEOUT_S)
        os.close(self._master)

    def _read(self) -> bool:
        """Take what has been written within a second. False once nobody writes any more."""
        if not select.select([self._master], [], [], 1)[0]:
            return True
        try:
            written = os.read(self._master, 65536)
        except OSError:  # the program has closed the terminal
            return False
        self._stream.feed(written)
        return bool(written)


@pytest.fixture
def environment(stack: System, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "work").mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": f"{ROOT / 'clients/python/src'}:{ROOT}",
        "TERM": "xterm-256color",
        "COLUMNS": str(COLUMNS),
        "LINES": str(LINES),
        "IMAGETASKS_URL": stack.url,
        "IMAGETASKS_KEY": stack.api_key,
    }


def submits(stack: System, prompt: str) -> int:
    """How many tasks PoYo has for the prompt."""
    control = f"{stack.poyo_url}/control/tasks"
    tasks = requests.get(control, timeout=30).json()["tasks"]
    views = [
        requests.get(f"{control}/{each['task_id']}", timeout=30).json() for each in tasks[-50:]
    ]
    return sum(view["input"]["prompt"] == prompt for view in views)


def images(folder: Path) -> list[bytes]:
    return [path.read_bytes()[:8] for path in sorted(folder.glob("*.png"))]


def test_person_sees_progress_and_the_path_and_finds_the_image(
    environment: dict[str, str], tmp_path: Path
) -> None:
    terminal = Terminal(["generate", f"A boat {uuid.uuid4()}"], environment, tmp_path / "work")
    try:
        assert terminal.ended() == 0, terminal.text
    finally:
        terminal.close()
    assert "finished" in terminal.text
    [path] = (tmp_path / "work").glob("a-boat-*.png")
    assert path.name in terminal.text
    assert images(tmp_path / "work") == [b"\x89PNG\r\n\x1a\n"]


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("models", "gpt-image-2 "),
        ("models --json", '"status": "active"'),
        ("quote boat --size 3:2", "2 credits ($0.01), about"),
        ("usage --from 2026-01-01 --to 2026-01-02", "reserved"),
        ("task list", ""),
        ("token create --owner someone --max-credits 5", "up to 5 credits"),
        ("auth status", "the service accepts the key"),
    ],
)
def test_command_shows_what_the_service_says(
    environment: dict[str, str], tmp_path: Path, command: str, shown: str
) -> None:
    terminal = Terminal(command.split(), environment, tmp_path / "work")
    try:
        assert terminal.ended() == 0, terminal.text
    finally:
        terminal.close()
    assert shown in terminal.text


@pytest.mark.parametrize("stop", ["ctrl-c", "kill"])
def test_stopped_program_pays_once_and_resumes(
    stack: System, environment: dict[str, str], tmp_path: Path, stop: str
) -> None:
    prompt = f"[[fault:slow-not-started=2]] A boat {uuid.uuid4()}"
    orders = tmp_path / ".local/state/imagetasks/orders"
    terminal = Terminal(["generate", prompt], environment, tmp_path / "work")
    try:
        if stop == "kill":
            terminal.until(lambda _: any(orders.glob("*.json")))  # not accepted yet, or just so
            terminal.process.kill()
        else:
            terminal.until(lambda text: "waiting" in text)
            terminal.process.send_signal(signal.SIGINT)  # as Ctrl-C
            assert terminal.ended() == 130, terminal.text
            assert "imagetasks task wait" in terminal.text
    finally:
        terminal.close()
    assert images(tmp_path / "work") == []
    resumed = Terminal(["generate", "--resume"], environment, tmp_path / "work")
    try:
        assert resumed.ended() == 0, resumed.text
    finally:
        resumed.close()
    assert images(tmp_path / "work") == [b"\x89PNG\r\n\x1a\n"]
    assert list(orders.glob("*.json")) == []
    assert submits(stack, prompt) == 1
