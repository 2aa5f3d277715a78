"""The examples, run as programs: written for PoYo, they work here without a change."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from local.settings import SIMULATOR_KEY
from local.system import System

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NEXTJS = EXAMPLES / "nextjs"
PROGRAMS: dict[str, list[str | Path]] = {
    "python": [sys.executable, EXAMPLES / "python" / "generate.py"],
    "node": ["node", EXAMPLES / "node" / "generate.mjs"],
    "curl": [EXAMPLES / "curl" / "generate.sh"],
}
PROMPT = 'A "paper boat" \\ on a lake, €5'
PATIENCE_S = 120
PNG_BEGINS, PNG_ENDS = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
CHECKERS = ("typescript", "@types/node", "@types/react")
CALL = """
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
const { file, method, url, headers, body, params } = asked;
const request = new Request(url, { method, headers, body });
require(file)[method](request, { params: Promise.resolve(params) }).then(async (answer) =>
  console.log("\\n" + JSON.stringify([answer.status, await answer.json()])));
"""
VECTOR = """
const { signedBy } = require(process.argv[1]);
const headers = new Headers({ "X-Webhook-Timestamp": "1783680000",
  "X-Webhook-Signature": "qqzOEP5mSb02XNuqZNFOUhvhuj+hSHI3GW7s2UaOpCU=" });
const valid = (key, task, now) => signedBy(key, task, headers, now);
console.log(JSON.stringify([
  valid("whsec_test_0123456789abcdef", "TESTTASK00000001", 1783680300),
  valid("whsec_test_0123456789abcdef", "TESTTASK00000001", 1783680301),
  valid("whsec_test_0123456789abcdef", "TESTTASK00000002", 1783680000),
  valid("whsec_test_0123456789abcdeg", "TESTTASK00000001", 1783680000),
  valid("", "TESTTASK00000001", 1783680000)]));
"""


@dataclass(frozen=True)
class Upstream:
    """Where an example is pointed at: PoYo, or us in its place."""

    base_url: str
    key: str

    def environment(self) -> dict[str, str]:
        """What an example is given: where programs are found, and its two settings."""
        passed_on = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        return passed_on | {"POYO_BASE_URL": self.base_url, "POYO_API_KEY": self.key}


@pytest.fixture(scope="module")
def tools() -> None:
    subprocess.run([EXAMPLES / "needs.sh", "node", "npm", "curl", "jq"], check=True)


@pytest.fixture
def poyo(stack: System) -> Upstream:
    return Upstream(stack.poyo_url, SIMULATOR_KEY)


@pytest.fixture
def ours(stack: System) -> Upstream:
    return Upstream(stack.url, stack.api_key)


def run(
    name: str, upstream: Upstream, folder: Path, prompt: str = PROMPT
) -> subprocess.CompletedProcess[str]:
    """The example, in a folder of its own."""
    folder.mkdir()
    return subprocess.run(
        [*PROGRAMS[name], prompt],
        cwd=folder,
        env=upstream.environment(),
        text=True,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )


def saved(folder: Path) -> tuple[str, bytes]:
    """The id of the task and the image of the one file in there, which is a PNG."""
    [path] = folder.iterdir()
    content = path.read_bytes()
    assert path.suffix == ".png"
    assert content.startswith(PNG_BEGINS)
    assert content.endswith(PNG_ENDS)
    return path.stem, content


def drawn(stack: System, task_id: str) -> tuple[str, bytes]:
    """The prompt that PoYo heard, and the picture it drew, of its task or of ours."""
    control = f"{stack.poyo_url}/control/tasks"
    tasks = requests.get(control, timeout=30).json()["tasks"]
    [found] = [t for t in tasks if task_id in (t["task_id"], *str(t["callback_url"]).split("/"))]
    view = requests.get(f"{control}/{found['task_id']}", timeout=30).json()
    image = requests.get(f"{control}/{found['task_id']}/image", timeout=30).content
    return view["input"]["prompt"], image


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_saves_its_image_from_poyo_and_from_us_without_a_change(
    name: str, stack: System, poyo: Upstream, ours: Upstream, tmp_path: Path
) -> None:
    for place, upstream in (("poyo", poyo), ("ours", ours)):
        said = run(name, upstream, tmp_path / place)

        assert said.returncode == 0, said.stderr
        task_id, content = saved(tmp_path / place)
        assert f"saved {task_id}.png" in said.stdout
        assert drawn(stack, task_id) == (PROMPT, content)


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_bears_a_hiccup_and_a_file_host_that_wants_a_browser(
    name: str, poyo: Upstream, tmp_path: Path
) -> None:
    prompt = f"[[fault:status-500 n=1]] [[fault:file-403-agent]] {PROMPT}"

    said = run(name, poyo, tmp_path / "here", prompt)

    assert said.returncode == 0, said.stderr
    saved(tmp_path / "here")


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_ends_with_the_reason_when_there_is_no_image(
    name: str, poyo: Upstream, ours: Upstream, tmp_path: Path
) -> None:
    failing = f"[[fault:fail-moderation]] {PROMPT}"
    stranger = Upstream(ours.base_url, "not-a-key")
    for place, upstream, prompt, why in (
        ("failed", poyo, failing, "failed: "),
        (
            "ours",
            ours,
            failing,
            "failed: The prompt or an image was refused by the content policy.",
        ),
        ("refused", stranger, PROMPT, "authentication_error"),
    ):
        said = run(name, upstream, tmp_path / place, prompt)

        assert said.returncode == 1, said.stdout
        assert why in said.stderr
        assert list((tmp_path / place).iterdir()) == []


def closure(packages: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """What a lock says of these packages and of all that they need."""
    found: dict[str, Any] = {}
    waiting = list(names)
    while waiting:
        entry = f"node_modules/{waiting.pop()}"
        if entry not in found:
            found[entry] = {k: v for k, v in packages[entry].items() if k != "dev"}
            waiting += packages[entry].get("dependencies", {})
    return found


@pytest.fixture(scope="module")
def site(tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the Next.js example with what checks its types, from its own lock, but without
    Next.js itself, which weighs 300 MB: its routes are functions of the web's own types."""
    folder = tmp_path_factory.mktemp("nextjs") / "site"
    shutil.copytree(NEXTJS, folder, ignore=shutil.ignore_patterns("node_modules", ".next"))
    packages = json.loads((NEXTJS / "package-lock.json").read_text())["packages"]
    wanted = {name: packages[f"node_modules/{name}"]["version"] for name in CHECKERS}
    package = {"name": "checked", "private": True, "dependencies": wanted}
    lock = {"name": "checked", "lockfileVersion": 3, "requires": True}
    lock["packages"] = {"": package, **closure(packages, CHECKERS)}
    (folder / "package.json").write_text(json.dumps(package))
    (folder / "package-lock.json").write_text(json.dumps(lock))
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=PATIENCE_S)
    yield folder
    shutil.rmtree(folder)


def compiled(site: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["node", "node_modules/typescript/bin/tsc", *options]
    return subprocess.run(
        command, cwd=site, text=True, capture_output=True, timeout=PATIENCE_S, check=False
    )


@pytest.fixture(scope="module")
def routes(site: Path) -> Path:
    """The example's routes as JavaScript that Node runs by itself."""
    said = compiled(
        site, "--noEmit", "false", "--outDir", "out", "--module", "commonjs",
        "--moduleResolution", "node10", "--jsx", "react-jsx",
    )  # fmt: skip
    assert said.returncode == 0, said.stdout
    return site / "out"


def call(
    file: Path, method: str, upstream: Upstream, body: object = None, **asked: Any
) -> tuple[int, Any]:
    """A route's answer to one request."""
    environ = upstream.environment() | asked.pop("further", {})
    content = None if body is None else json.dumps(body)
    request = {"file": str(file), "method": method, "url": "http://site/", "body": content} | asked
    said = subprocess.run(
        ["node", "-e", CALL],
        input=json.dumps(request),
        env=environ,
        text=True,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    status, answer = json.loads(said.stdout.splitlines()[-1])
    return status, answer


def test_the_nextjs_example_has_sound_types(site: Path) -> None:
    said = compiled(site)

    assert said.returncode == 0, said.stdout


def test_a_wrong_type_in_the_nextjs_example_would_be_noticed(site: Path) -> None:
    wrong = site / "app" / "wrong.ts"
    wrong.write_text('import { submit } from "../lib/poyo";\nexport const n: number = submit(1);\n')
    try:
        said = compiled(site)
    finally:
        wrong.unlink()

    assert said.returncode != 0
    assert "TS2322" in said.stdout
    assert "TS2345" in said.stdout


def test_the_nextjs_example_names_every_package_with_its_hash() -> None:
    lock = json.loads((NEXTJS / "package-lock.json").read_text())
    package = json.loads((NEXTJS / "package.json").read_text())
    entries = {name: entry for name, entry in lock["packages"].items() if name}

    assert lock["packages"][""]["dependencies"] == package["dependencies"]
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]
    assert all(entry["integrity"].startswith("sha512-") for entry in entries.values())
    assert not any("resolved" in entry for entry in entries.values())


def test_the_nextjs_routes_make_an_image_at_poyo_and_here_without_a_change(
    routes: Path, poyo: Upstream, ours: Upstream
) -> None:
    for upstream in (poyo, ours):
        status, ordered = call(
            routes / "app/api/images/route.js", "POST", upstream, {"prompt": PROMPT}
        )
        assert (status, set(ordered)) == (202, {"task_id", "status"})

        seen = ended(routes, upstream, ordered["task_id"])

        assert seen["status"] == "finished"
        image = requests.get(seen["file_url"], timeout=30)
        assert image.content.startswith(PNG_BEGINS)


def ended(routes: Path, upstream: Upstream, task_id: str) -> dict[str, Any]:
    file, until = routes / "app/api/images/[task_id]/route.js", time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        status, seen = call(file, "GET", upstream, params={"task_id": task_id})
        assert status == 200, seen
        if seen["status"] in ("finished", "failed"):
            return dict(seen)
    pytest.fail(f"{task_id} did not end")


@pytest.mark.parametrize("body", [{}, {"prompt": " "}, {"prompt": 5}, {"prompt": "x" * 2001}, []])
def test_the_nextjs_route_orders_nothing_for_no_prompt(
    routes: Path, poyo: Upstream, body: object
) -> None:
    status, answer = call(routes / "app/api/images/route.js", "POST", poyo, body)

    assert (status, set(answer)) == (400, {"error"})


def test_the_nextjs_route_tells_what_it_was_refused_with(routes: Path, ours: Upstream) -> None:
    stranger = Upstream(ours.base_url, "not-a-key")

    status, answer = call(routes / "app/api/images/route.js", "POST", stranger, {"prompt": PROMPT})

    assert (status, set(answer)) == (401, {"error"})


def signed(key: str, task_id: str, at_s: int) -> dict[str, str]:
    """PoYo's signature, as its pages put it."""
    digest = hmac.new(key.encode(), f"{task_id}.{at_s}".encode(), hashlib.sha256).digest()
    stamp, signature = str(at_s), base64.b64encode(digest).decode()
    return {"X-Webhook-Timestamp": stamp, "X-Webhook-Signature": signature}


def test_the_nextjs_callback_believes_only_a_fresh_signature_over_the_task(
    routes: Path, ours: Upstream
) -> None:
    order = {"model": "gpt-image-2", "input": {"prompt": PROMPT}}
    auth = {"Authorization": f"Bearer {ours.key}"}
    submitted = requests.post(
        f"{ours.base_url}/api/generate/submit", json=order, headers=auth, timeout=30
    )
    task_id, now = submitted.json()["data"]["task_id"], int(time.time())
    file, secret = routes / "app/api/poyo/callback/route.js", "whsec_test"
    good = signed(secret, task_id, now)
    for headers, kept, expected in (
        (good, secret, 200),
        (signed("whsec_other", task_id, now), secret, 401),
        (signed(secret, "another", now), secret, 401),
        (signed(secret, task_id, now - 301), secret, 401),
        ({}, secret, 401),
        (signed("", task_id, now), "", 401),
    ):
        for body in ({"task_id": task_id}, {"code": 200, "data": {"task_id": task_id}}):
            further = {"POYO_WEBHOOK_SECRET": kept}
            status, answer = call(file, "POST", ours, body, headers=headers, further=further)

            assert (status, answer.get("task_id")) == (
                expected,
                task_id if expected < 300 else None,
            )


def test_the_nextjs_signature_is_the_published_one(routes: Path) -> None:
    said = subprocess.run(
        ["node", "-e", VECTOR, str(routes / "lib" / "signature.js")],
        text=True,
        capture_output=True,
        timeout=PATIENCE_S,
        check=True,
    )

    assert json.loads(said.stdout) == [True, False, False, False, False]
