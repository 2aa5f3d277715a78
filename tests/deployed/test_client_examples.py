"""The examples of this API, as programs and as pages in Chromium, on the deployed stack."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import FilePayload, Page, expect, sync_playwright

from local.system import System
from tests.fixtures.images import png
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
COPIED = ("examples", "clients/js", "clients/python")
PROGRAMS = ["node/generate.mjs", "curl/generate.sh", "python/generate.py"]
PROMPT = 'A "paper boat" \\ on a lake, €5'
REFUSED = "The prompt or an image was refused by the content policy."
TIMEOUT_S = 120
SHOWN_MS = 60_000
UV = subprocess.run(
    [ROOT / "scripts" / "environment.sh", "uv"], capture_output=True, text=True, check=True
).stdout.strip()
NPM_CI = "npm ci --ignore-scripts --no-audit --no-fund"
GENERATED = shutil.ignore_patterns("node_modules", ".next", ".venv")


@dataclass(frozen=True)
class Examples:
    """A copy of the examples beside the clients that they name, where these may be installed."""

    folder: Path
    stack: System

    def environment(self, **further: str) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        ours = {"IMAGETASKS_URL": self.stack.url, "IMAGETASKS_KEY": self.stack.api_key}
        return inherited | ours | further

    def command(self, name: str) -> list[str | Path]:
        """How the program is started."""
        program = self.folder / "examples" / name
        runners: dict[str, str | Path] = {
            ".mjs": "node",
            ".py": program.parent / ".venv" / "bin" / "python",
        }
        return [runners[program.suffix], program] if program.suffix in runners else [program]

    def run(
        self, name: str, place: Path, *words: str, **further: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the program in a new folder."""
        place.mkdir()
        return subprocess.run(
            [*self.command(name), *words],
            cwd=place,
            env=self.environment(**further),
            text=True,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )


@pytest.fixture(scope="module")
def examples(stack: System, tmp_path_factory: pytest.TempPathFactory) -> Examples:
    subprocess.run([ROOT / "examples" / "needs.sh", "node", "npm", "curl", "jq"], check=True)
    folder = tmp_path_factory.mktemp("examples")
    for each in COPIED:
        shutil.copytree(ROOT / each, folder / each, ignore=GENERATED)
    install(folder / "examples" / "node", NPM_CI)
    for command in (f"venv --python {sys.executable}", "pip install -r requirements.txt"):
        install(folder / "examples" / "python", f"{UV} {command}")
    return Examples(folder, stack)


def install(project: Path, command: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run(command.split(), cwd=project, env=inherited, check=True, timeout=600)


def task_of(stack: System, task_id: str) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    response = requests.get(f"{stack.url}/v1/tasks/{task_id}", headers=headers, timeout=30)
    found: dict[str, object] = response.json()
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_saves_the_image_and_finds_it_again_under_its_key(
    name: str, examples: Examples, tmp_path: Path
) -> None:
    key = {"IDEMPOTENCY_KEY": f"example-{name}"}

    first = examples.run(name, tmp_path / "first", PROMPT, **key)
    again = examples.run(name, tmp_path / "again", PROMPT, **key)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    [saved], [found] = (list((tmp_path / place).iterdir()) for place in ("first", "again"))
    assert saved.name == found.name
    assert f"saved {saved.name}" in first.stdout
    assert saved.read_bytes() == found.read_bytes()
    assert saved.read_bytes().startswith(b"\x89PNG")
    assert task_of(examples.stack, saved.stem)["input"]["prompt"] == PROMPT  # type: ignore[index]


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_prints_the_reason_if_there_is_no_image(
    name: str, examples: Examples, tmp_path: Path
) -> None:
    failed = examples.run(name, tmp_path / "failed", f"[[fault:fail-moderation]] {PROMPT}")
    refused = examples.run(name, tmp_path / "refused", PROMPT, IMAGETASKS_KEY="not-a-key")

    assert (failed.returncode, refused.returncode) == (1, 1), failed.stdout + refused.stdout
    assert f"failed: {REFUSED}" in failed.stderr
    assert "unauthorized" in refused.stderr
    assert not any((tmp_path / "failed").iterdir())


def test_killed_python_program_goes_on_with_its_order_and_pays_once(
    examples: Examples, tmp_path: Path
) -> None:
    prompt = f"[[fault:slow-not-started=2]] {PROMPT}"
    killed = tmp_path / "killed"
    killed.mkdir()
    command = [*examples.command("python/generate.py"), prompt]

    with subprocess.Popen(command, cwd=killed, env=examples.environment()) as program:
        [note] = until(lambda: list(killed.iterdir()), lambda found: len(found) > 0)
        until(note.read_text, lambda key: key != "")
        program.kill()
    again = subprocess.run(
        command, cwd=killed, env=examples.environment(), capture_output=True, text=True, check=True
    )

    [saved] = killed.iterdir()
    assert f"saved {saved.name}" in again.stdout
    control = f"{examples.stack.poyo_url}/control/tasks"
    tasks = requests.get(control, timeout=30).json()["tasks"][-20:]
    views = [requests.get(f"{control}/{each['task_id']}", timeout=30).json() for each in tasks]
    assert [each["input"]["prompt"] for each in views].count(prompt) == 1


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of Chromium, started for each test, because its event loop would disturb other tests."""
    program = subprocess.run(
        [ROOT / "scripts" / "browser.sh"], check=True, timeout=600, stdout=subprocess.PIPE
    )
    path = program.stdout.decode().strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(SHOWN_MS)
        yield page
        browser.close()


def problems_of(page: Page) -> list[str]:
    """What the page's console says is wrong, as it comes."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda line: found.append(line.text) if line.type == "error" else None)
    return found


def expect_image(page: Page) -> None:
    expect(page.locator("img")).to_be_visible(timeout=SHOWN_MS)
    size = "image => image.decode().then(() => image.naturalWidth)"
    assert page.locator("img").evaluate(size) >= 1024


def file_of(name: str) -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": png()}


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log no requests."""


@pytest.fixture
def served(site_origin: str) -> Iterator[str]:
    """The repository's folder, as a web server shows it to pages of an origin that the stack allows."""
    handler = partial(_Files, directory=str(ROOT))
    with ThreadingHTTPServer(("127.0.0.1", urlsplit(site_origin).port or 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield site_origin
        finally:
            server.shutdown()


def test_html_file_orders_with_a_token_and_shows_the_image(
    page: Page, stack: System, served: str
) -> None:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    limits = {"owner": "html", "max_credits": 10}
    issued = requests.post(f"{stack.url}/v1/tokens", json=limits, headers=headers, timeout=30)
    problems = problems_of(page)

    page.goto(f"{served}/examples/html/")
    page.get_by_label("Address of the API").fill(stack.url)
    page.get_by_label("Browser token").fill(issued.json()["token"])
    page.get_by_label("Image to change").set_input_files([file_of("boat.png")])
    page.get_by_role("button", name="Make an image").click()

    expect_image(page)
    page.get_by_label("Prompt").fill(f"[[fault:fail-moderation]] {PROMPT}")
    page.get_by_role("button", name="Make an image").click()
    expect(page.get_by_role("status")).to_have_text(REFUSED, timeout=SHOWN_MS)
    assert problems == []
