"""The examples of PoYo's flow, run as programs: they work with PoYo and with this API without a change."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from local.settings import SIMULATOR_KEY
from local.system import System

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PROGRAMS: dict[str, list[str | Path]] = {
    "python": [sys.executable, EXAMPLES / "poyo" / "generate.py"],
    "curl": [EXAMPLES / "poyo" / "generate.sh"],
}
PROMPT = 'A "paper boat" \\ on a lake, €5'
TIMEOUT_S = 120
PNG_BEGINS, PNG_ENDS = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class Upstream:
    """The server that an example calls: PoYo or this API."""

    base_url: str
    key: str

    def environment(self) -> dict[str, str]:
        """An example's environment: where to find programs, and its two settings."""
        inherited = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        return inherited | {"POYO_BASE_URL": self.base_url, "POYO_API_KEY": self.key}


@pytest.fixture(scope="module")
def tools() -> None:
    subprocess.run([EXAMPLES / "needs.sh", "curl", "jq"], check=True)


@pytest.fixture
def poyo(stack: System) -> Upstream:
    return Upstream(stack.poyo_url, SIMULATOR_KEY)


@pytest.fixture
def ours(stack: System) -> Upstream:
    return Upstream(stack.url, stack.api_key)


def run(
    name: str, upstream: Upstream, folder: Path, prompt: str = PROMPT
) -> subprocess.CompletedProcess[str]:
    """Run the example in a new folder."""
    folder.mkdir()
    return subprocess.run(
        [*PROGRAMS[name], prompt],
        cwd=folder,
        env=upstream.environment(),
        text=True,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def saved(folder: Path) -> tuple[str, bytes]:
    """The id of the task and the image, from the only file in the folder, a PNG."""
    [path] = folder.iterdir()
    content = path.read_bytes()
    assert path.suffix == ".png"
    assert content.startswith(PNG_BEGINS)
    assert content.endswith(PNG_ENDS)
    return path.stem, content


def at_poyo(stack: System, task_id: str) -> tuple[str, bytes]:
    """The prompt and the image at PoYo, by PoYo's task id or by ours."""
    control = f"{stack.poyo_url}/control/tasks"
    tasks = requests.get(control, timeout=30).json()["tasks"]
    [found] = [t for t in tasks if task_id in (t["task_id"], *str(t["callback_url"]).split("/"))]
    view = requests.get(f"{control}/{found['task_id']}", timeout=30).json()
    image = requests.get(f"{control}/{found['task_id']}/image", timeout=30).content
    return view["input"]["prompt"], image


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("name", PROGRAMS)
def test_example_saves_an_image_of_poyo_and_of_this_api(
    name: str, stack: System, poyo: Upstream, ours: Upstream, tmp_path: Path
) -> None:
    for place, upstream in (("poyo", poyo), ("ours", ours)):
        done = run(name, upstream, tmp_path / place)

        assert done.returncode == 0, done.stderr
        task_id, content = saved(tmp_path / place)
        assert f"saved {task_id}.png" in done.stdout
        assert at_poyo(stack, task_id) == (PROMPT, content)


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("name", PROGRAMS)
def test_example_survives_a_failed_poll_and_a_file_host_that_requires_a_browser(
    name: str, poyo: Upstream, tmp_path: Path
) -> None:
    prompt = f"[[fault:status-500 n=1]] [[fault:file-403-agent]] {PROMPT}"

    done = run(name, poyo, tmp_path / "here", prompt)

    assert done.returncode == 0, done.stderr
    saved(tmp_path / "here")


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("name", PROGRAMS)
def test_example_prints_the_reason_if_there_is_no_image(
    name: str, poyo: Upstream, ours: Upstream, tmp_path: Path
) -> None:
    failing = f"[[fault:fail-moderation]] {PROMPT}"
    unauthenticated = Upstream(ours.base_url, "not-a-key")
    for place, upstream, prompt, why in (
        ("failed", poyo, failing, "failed: "),
        (
            "ours",
            ours,
            failing,
            "failed: The prompt or an image was refused by the content policy.",
        ),
        ("rejected", unauthenticated, PROMPT, "authentication_error"),
    ):
        done = run(name, upstream, tmp_path / place, prompt)

        assert done.returncode == 1, done.stdout
        assert why in done.stderr
        assert list((tmp_path / place).iterdir()) == []
