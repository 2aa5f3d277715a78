"""The Next.js example, installed, built, started and used in Chromium, on the deployed stack."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Page, Request, Route, expect

from local.system import System
from tests.deployed.test_client_examples import (
    COPIED,
    GENERATED,
    NPM_CI,
    PROMPT,
    ROOT,
    expect_image,
    file_of,
    install,
    page,
    problems_of,
)

NEXTJS = ROOT / "examples" / "nextjs"
BUILD_S = 600
START_S = 60
SECRET = "whsec_test_0123456789abcdef"

__all__ = ["page"]


@dataclass(frozen=True)
class Site:
    """The running example."""

    url: str
    folder: Path
    stack: System

    def post(self, path: str, body: object = None, **headers: str) -> requests.Response:
        return requests.post(self.url + path, json=body, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def site(
    stack: System, site_origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    subprocess.run([ROOT / "examples" / "needs.sh", "node", "npm"], check=True)
    tree = tmp_path_factory.mktemp("site")
    for each in COPIED:
        shutil.copytree(ROOT / each, tree / each, ignore=GENERATED)
    folder = tree / "examples" / "nextjs"
    install(folder, NPM_CI)
    environ = {
        **{name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ},
        "NEXT_TELEMETRY_DISABLED": "1",
    }
    next_js = ["node", "node_modules/next/dist/bin/next"]
    built = subprocess.run(
        [*next_js, "build"],
        cwd=folder,
        env=environ,
        text=True,
        capture_output=True,
        timeout=BUILD_S,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    environ |= {
        "IMAGETASKS_URL": stack.url,
        "IMAGETASKS_KEY": stack.api_key,
        "IMAGETASKS_WEBHOOK_SECRET": SECRET,
    }
    port = str(urlsplit(site_origin).port)
    command = [*next_js, "start", "--hostname", "127.0.0.1", "--port", port]
    with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL) as server:
        try:
            wait_until_started(site_origin)
            yield Site(site_origin, folder, stack)
        finally:
            server.terminate()
    shutil.rmtree(tree)


def wait_until_started(url: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            requests.get(url, timeout=30).raise_for_status()
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "the site does not start"
            time.sleep(0.2)
        else:
            return


def test_visitor_orders_an_image_and_finds_it_after_a_reload(site: Site, page: Page) -> None:
    sent: list[str] = []
    page.on(
        "request", lambda each: sent.append(f"{each.url} {each.all_headers()} {each.post_data}")
    )
    problems = problems_of(page)

    page.goto(site.url)
    page.get_by_label("Prompt").fill(PROMPT)
    page.get_by_role("button", name="Make an image").click()
    expect_image(page)
    source = page.locator("img").get_attribute("src")
    page.reload()
    expect_image(page)

    assert page.locator("img").get_attribute("src") == source
    assert page.locator("img").get_attribute("alt") == PROMPT
    assert not any(site.stack.api_key in each for each in sent)
    page.get_by_label("Image to change").set_input_files([file_of("boat.png")])
    page.get_by_role("button", name="Make an image").click()
    expect(page.locator("img")).not_to_have_attribute("src", source or "", timeout=60_000)
    expect_image(page)
    assert problems == []


def test_order_whose_response_was_lost_is_found_after_a_reload_and_paid_once(
    site: Site, page: Page
) -> None:
    page.goto(site.url)
    orders: list[str] = []

    def lose_the_response(route: Route) -> None:
        route.fetch()
        route.abort()

    def remember(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/v1/tasks"):
            orders.append(request.headers["idempotency-key"])

    page.on("request", remember)
    page.route("**/v1/tasks", lose_the_response)
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Make an image").click()
    page.unroute("**/v1/tasks")
    page.reload()

    expect_image(page)
    assert len(orders) >= 2
    assert len(set(orders)) == 1
    token = page.evaluate("fetch('/api/token', {method: 'POST'}).then(r => r.json())")["token"]
    headers = {"Authorization": f"Bearer {token}"}
    listed = requests.get(f"{site.stack.url}/v1/tasks", headers=headers, timeout=30).json()
    assert len(listed["tasks"]) == 1


def test_only_a_visitor_gets_a_token(site: Site) -> None:
    visitor = "visitor=01234567-89ab-cdef-0123-456789abcdef"

    issued = site.post("/api/token", Cookie=visitor)

    assert (issued.status_code, issued.headers["Cache-Control"]) == (200, "no-store")
    assert issued.json()["owner"] == "visitor-01234567-89ab-cdef-0123-456789abcdef"
    for cookie in ("", "visitor=", "visitor=admin", "visitor=../x", "other=1"):
        assert site.post("/api/token", Cookie=cookie).status_code == 401


def signed(key: str, task_id: str, at_s: int) -> dict[str, str]:
    """The signature of a notification as docs/api.md defines it."""
    digest = hmac.new(key.encode(), f"{task_id}.{at_s}".encode(), hashlib.sha256).digest()
    timestamp, signature = str(at_s), base64.b64encode(digest).decode()
    return {"X-Webhook-Timestamp": timestamp, "X-Webhook-Signature": signature}


def test_callback_accepts_only_a_recent_signature_of_the_task(site: Site) -> None:
    headers = {
        "Authorization": f"Bearer {site.stack.api_key}",
        "Idempotency-Key": "nextjs-callback",
    }
    order = {"model": "gpt-image-2", "input": {"prompt": PROMPT}}
    ordered = requests.post(f"{site.stack.url}/v1/tasks", json=order, headers=headers, timeout=30)
    task_id, now = ordered.json()["task_id"], int(time.time())

    for headers, expected in (
        (signed(SECRET, task_id, now), 200),
        (signed("whsec_other", task_id, now), 401),
        (signed(SECRET, "another", now), 401),
        (signed(SECRET, task_id, now - 302), 401),
        ({}, 401),
    ):
        response = site.post("/api/callback", {"task_id": task_id}, **headers)

        assert response.status_code == expected
        assert response.json().get("task_id") == (task_id if expected == 200 else None)


def test_lock_names_every_package_by_hash_and_no_registry() -> None:
    lock = json.loads((NEXTJS / "package-lock.json").read_text())
    package = json.loads((NEXTJS / "package.json").read_text())
    entries = {name: entry for name, entry in lock["packages"].items() if name}
    client = entries.pop("node_modules/imagetasks")

    assert client["resolved"] == package["dependencies"]["imagetasks"] == "file:../../clients/js"
    assert lock["packages"][""]["dependencies"] == package["dependencies"]
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]
    assert all(entry["integrity"].startswith("sha512-") for entry in entries.values())
    assert not any("resolved" in entry for entry in entries.values())
