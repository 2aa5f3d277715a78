"""The examples, run as programs: they work with PoYo and with this API without a change."""

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
TIMEOUT_S = 120
PNG_BEGINS, PNG_ENDS = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
CHECKERS = ("typescript", "@types/node", "@types/react")
CALL = """
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
const { file, method, url, headers, body, params } = given;
const request = new Request(url, { method, headers, body });
require(file)[method](request, { params: Promise.resolve(params) }).then(async (response) =>
  console.log("\\n" + JSON.stringify([response.status, await response.json()])));
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
    """The server that an example calls: PoYo or this API."""

    base_url: str
    key: str

    def environment(self) -> dict[str, str]:
        """An example's environment: where to find programs, and its two settings."""
        inherited = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        return inherited | {"POYO_BASE_URL": self.base_url, "POYO_API_KEY": self.key}


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


def closure(packages: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The entries of a lock for these packages and their dependencies."""
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
    """A copy of the Next.js example with the type checker from its lock, but without Next.js, which has
    300 MB: the example's routes are functions of standard web types."""
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
    subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=TIMEOUT_S)
    yield folder
    shutil.rmtree(folder)


def compile_types(site: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["node", "node_modules/typescript/bin/tsc", *options]
    return subprocess.run(
        command, cwd=site, text=True, capture_output=True, timeout=TIMEOUT_S, check=False
    )


@pytest.fixture(scope="module")
def routes(site: Path) -> Path:
    """The example's routes as JavaScript for Node."""
    done = compile_types(
        site, "--noEmit", "false", "--outDir", "out", "--module", "commonjs",
        "--moduleResolution", "node10", "--jsx", "react-jsx",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return site / "out"


def call(
    file: Path, method: str, upstream: Upstream, body: object = None, **further: Any
) -> tuple[int, Any]:
    """The status and the JSON body of a route's response."""
    environ = upstream.environment() | further.pop("variables", {})
    content = None if body is None else json.dumps(body)
    request = {
        "file": str(file),
        "method": method,
        "url": "http://site/",
        "body": content,
    } | further
    done = subprocess.run(
        ["node", "-e", CALL],
        input=json.dumps(request),
        env=environ,
        text=True,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    status, response = json.loads(done.stdout.splitlines()[-1])
    return status, response


def test_nextjs_example_passes_the_type_check(site: Path) -> None:
    done = compile_types(site)

    assert done.returncode == 0, done.stdout


def test_type_check_of_the_nextjs_example_detects_a_wrong_type(site: Path) -> None:
    wrong = site / "app" / "wrong.ts"
    wrong.write_text('import { submit } from "../lib/poyo";\nexport const n: number = submit(1);\n')
    try:
        done = compile_types(site)
    finally:
        wrong.unlink()

    assert done.returncode != 0
    assert "TS2322" in done.stdout
    assert "TS2345" in done.stdout


def test_nextjs_example_locks_every_package_by_hash() -> None:
    lock = json.loads((NEXTJS / "package-lock.json").read_text())
    package = json.loads((NEXTJS / "package.json").read_text())
    entries = {name: entry for name, entry in lock["packages"].items() if name}

    assert lock["packages"][""]["dependencies"] == package["dependencies"]
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]
    assert all(entry["integrity"].startswith("sha512-") for entry in entries.values())
    assert not any("resolved" in entry for entry in entries.values())


def test_nextjs_routes_create_an_image_at_poyo_and_at_this_api(
    routes: Path, poyo: Upstream, ours: Upstream
) -> None:
    for upstream in (poyo, ours):
        status, accepted = call(
            routes / "app/api/images/route.js", "POST", upstream, {"prompt": PROMPT}
        )
        assert (status, set(accepted)) == (202, {"task_id", "status"})

        task = wait_until_ended(routes, upstream, accepted["task_id"])

        assert task["status"] == "finished"
        image = requests.get(task["file_url"], timeout=30)
        assert image.content.startswith(PNG_BEGINS)


def wait_until_ended(routes: Path, upstream: Upstream, task_id: str) -> dict[str, Any]:
    file, deadline = routes / "app/api/images/[task_id]/route.js", time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        status, task = call(file, "GET", upstream, params={"task_id": task_id})
        assert status == 200, task
        if task["status"] in ("finished", "failed"):
            return dict(task)
    pytest.fail(f"{task_id} did not end")


@pytest.mark.parametrize("body", [{}, {"prompt": " "}, {"prompt": 5}, {"prompt": "x" * 2001}, []])
def test_nextjs_route_rejects_a_missing_or_invalid_prompt(
    routes: Path, poyo: Upstream, body: object
) -> None:
    status, response = call(routes / "app/api/images/route.js", "POST", poyo, body)

    assert (status, set(response)) == (400, {"error"})


def test_nextjs_route_passes_on_the_error(routes: Path, ours: Upstream) -> None:
    unauthenticated = Upstream(ours.base_url, "not-a-key")

    status, response = call(
        routes / "app/api/images/route.js", "POST", unauthenticated, {"prompt": PROMPT}
    )

    assert (status, set(response)) == (401, {"error"})


def signed(key: str, task_id: str, at_s: int) -> dict[str, str]:
    """PoYo's signature as its documentation defines it."""
    digest = hmac.new(key.encode(), f"{task_id}.{at_s}".encode(), hashlib.sha256).digest()
    timestamp, signature = str(at_s), base64.b64encode(digest).decode()
    return {"X-Webhook-Timestamp": timestamp, "X-Webhook-Signature": signature}


def test_nextjs_callback_accepts_only_a_recent_signature_of_the_task(
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
    for headers, configured, expected in (
        (good, secret, 200),
        (signed("whsec_other", task_id, now), secret, 401),
        (signed(secret, "another", now), secret, 401),
        (signed(secret, task_id, now - 301), secret, 401),
        ({}, secret, 401),
        (signed("", task_id, now), "", 401),
    ):
        for body in ({"task_id": task_id}, {"code": 200, "data": {"task_id": task_id}}):
            variables = {"POYO_WEBHOOK_SECRET": configured}
            status, response = call(file, "POST", ours, body, headers=headers, variables=variables)

            assert (status, response.get("task_id")) == (
                expected,
                task_id if expected < 300 else None,
            )


def test_nextjs_example_verifies_the_published_signature(routes: Path) -> None:
    done = subprocess.run(
        ["node", "-e", VECTOR, str(routes / "lib" / "signature.js")],
        text=True,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )

    assert json.loads(done.stdout) == [True, False, False, False, False]
