"""The API from pages in a real browser: of an origin that is allowed, and of one that is not."""

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from playwright.sync_api import Browser, Error, Page, sync_playwright

from local.processes import ROOT
from local.system import System
from tests.conftest import empty_page

INSTALL_S = 600
CALL_MS = 30_000
PATIENCE_S = 120
ORDER = {"model": "gpt-image-2", "input": {"prompt": "A paper boat", "size": "3:2"}}
PIXELS = [1536, 1024]  # 3:2 in 1K
KEPT_FROM_THE_PAGE = "Failed to fetch"  # all that its code is told

# What a page's own code sees of an answer: no header that CORS does not let through.
CALL = """async ({url, patience, ...init}) => {
    const answer = await fetch(url, {...init, signal: AbortSignal.timeout(patience)});
    return {status: answer.status, headers: Object.fromEntries(answer.headers),
            text: await answer.text()};
}"""
FETCH_IMAGE = """async ({url, headers, patience}) => {
    const answer = await fetch(url, {headers, signal: AbortSignal.timeout(patience)});
    const image = await answer.blob();
    return {status: answer.status, redirected: answer.redirected, type: image.type,
            etag: answer.headers.get("etag"), start: [...new Uint8Array(await image.arrayBuffer())].slice(0, 8),
            shown: URL.createObjectURL(image)};
}"""
SHOW_IMAGE = """async ({url, readable}) => {
    const image = document.body.appendChild(new Image());
    if (readable) image.crossOrigin = "anonymous";
    image.src = url;
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
}"""
UPLOAD = """async ({url, fields, watched, patience}) => {
    const canvas = new OffscreenCanvas(640, 480), form = new FormData();
    canvas.getContext("2d").fillRect(100, 100, 200, 200);
    Object.entries(fields).forEach(([name, value]) => form.append(name, value));
    form.append("file", await canvas.convertToBlob({type: "image/png"}));
    return new Promise((done, failed) => {
        const upload = new XMLHttpRequest();
        if (watched) upload.upload.onprogress = () => {};  // for this, a browser sends a preflight
        upload.onload = () => done({status: upload.status, etag: upload.getResponseHeader("etag")});
        upload.onerror = upload.ontimeout = () => failed(new Error("Failed to fetch"));
        upload.timeout = patience;
        upload.open("POST", url);
        upload.send(form);
    });
}"""


@dataclass(frozen=True)
class Visitor:
    """A page open in the browser, with the key of the system that it calls."""

    page: Page
    system: System

    @property
    def key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.system.api_key}"}

    def run(self, script: str, **given: Any) -> Any:
        return self.page.evaluate(script, {"patience": CALL_MS, **given})

    def read(self, path: str, **headers: str) -> Any:
        return self.run(CALL, url=urljoin(self.system.url, path), headers=headers)

    def post(self, path: str, body: dict[str, Any], **headers: str) -> Any:
        said = self.key | {"Content-Type": "application/json"} | headers
        url, text = f"{self.system.url}{path}", json.dumps(body)
        return self.run(CALL, url=url, method="POST", headers=said, body=text)

    def order(self, idempotency_key: str, body: dict[str, Any] = ORDER) -> Any:
        return self.post("/v1/tasks", body, **{"Idempotency-Key": idempotency_key})

    def finished(self, location: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while (task := shown(self.read(location, **self.key)))["status"] != "finished":
            assert task["status"] != "failed", task
            assert time.monotonic() < deadline, task
            self.page.wait_for_timeout(200)
        return task

    def a_finished_task(self) -> dict[str, Any]:
        return self.finished(self.order(f"browser-{uuid.uuid4()}")["headers"]["location"])

    def offer(self) -> Any:
        """What takes an upload, and the address that stands for it in an order."""
        return shown(self.post("/v1/uploads", {"content_type": "image/png"}))


def shown(answer: Any) -> dict[str, Any]:
    """The task in an answer."""
    assert answer["status"] < 300, answer
    body = json.loads(answer["text"])
    task: dict[str, Any] = body.get("data", body)
    return task


@pytest.fixture
def browser(stack: System) -> Iterator[Browser]:
    """Chromium; for one test at a time, since its loop would be in the way of other tests'."""
    program = subprocess.run(
        [ROOT / "scripts" / "browser.sh"], check=True, timeout=INSTALL_S, stdout=subprocess.PIPE
    )
    path = program.stdout.decode().strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Browser, origin: str, system: System) -> Visitor:
    page = browser.new_page()
    page.goto(origin)
    return Visitor(page, system)


@pytest.fixture
def visitor(browser: Browser, allowed_page: str, stack: System) -> Visitor:
    """On a page whose origin is allowed."""
    return opened(browser, allowed_page, stack)


@pytest.fixture
def stranger(browser: Browser, stack: System) -> Iterator[Visitor]:
    """On a page whose origin is not."""
    with empty_page() as origin:
        yield opened(browser, origin, stack)


def preflight(system: System, origin: str, path: str = "/v1/tasks") -> requests.Response:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key",
    }
    return requests.options(f"{system.url}{path}", headers=asked, timeout=30)


def listed(answer: requests.Response, header: str) -> set[str]:
    return set(answer.headers[f"Access-Control-{header}"].replace(" ", "").split(","))


def about_origins(answer: requests.Response) -> list[str]:
    return [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_the_gateway_answers_a_preflight_without_asking_anybody(
    stack: System, allowed_page: str
) -> None:
    for origin in (allowed_page, "https://pages.example"):
        answer = preflight(stack, origin, "/v1/nowhere")  # a function would say 404

        assert answer.status_code == 204
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Access-Control-Max-Age"] == "600"
        assert listed(answer, "Allow-Methods") == {"GET", "POST", "DELETE"}
        said = {"authorization", "content-type", "idempotency-key", "if-none-match", "x-owner"}
        assert listed(answer, "Allow-Headers") == said


@pytest.mark.parametrize(
    "origin",
    [
        "https://pages.example.evil.example",
        "https://sub.pages.example",
        "http://pages.example",
        "https://pages.example:8443",
        "https://pages.exampl",
        "null",
        "*",
    ],
)
def test_an_origin_that_only_looks_allowed_is_not(stack: System, origin: str) -> None:
    key = {"Authorization": f"Bearer {stack.api_key}"}
    paths = {"/health": 200, "/v1/nowhere": 404}

    assert about_origins(preflight(stack, origin)) == []
    for path, status in paths.items():
        answer = requests.get(stack.url + path, headers={"Origin": origin} | key, timeout=30)
        assert answer.status_code == status
        assert about_origins(answer) == []


def test_a_page_orders_an_image_and_repeats_itself_without_harm(visitor: Visitor) -> None:
    key = f"browser-{uuid.uuid4()}"

    first, again = visitor.order(key), visitor.order(key)

    assert first["status"] == 202
    assert first["headers"]["retry-after"].isdigit()
    assert "idempotent-replayed" not in first["headers"]
    assert again["status"] == 200
    assert again["headers"]["idempotent-replayed"] == "true"
    assert shown(again)["task_id"] == shown(first)["task_id"]
    assert first["headers"]["location"].endswith(shown(first)["task_id"])


def test_a_page_follows_the_links_to_an_image(visitor: Visitor) -> None:
    task = visitor.a_finished_task()
    keyed = f"{visitor.system.url}/v1/tasks/{task['task_id']}/files/0"
    ways = [(task["files"][0]["file_url"], {}), (keyed, visitor.key)]

    for url, headers in ways:
        image = visitor.run(FETCH_IMAGE, url=url, headers=headers)

        assert image["status"] == 200
        assert image["redirected"]
        assert image["type"] == "image/png"
        assert bytes(image["start"]) == b"\x89PNG\r\n\x1a\n"
        assert image["etag"]
        assert visitor.run(SHOW_IMAGE, url=image["shown"], readable=True) == PIXELS


# The browser keeps our redirect for a minute. One that it followed for a plain <img> came without
# the headers a fetch needs: it must not be used for that.
@pytest.mark.parametrize("readable", [False, True])
def test_a_page_shows_an_image_and_then_fetches_it(visitor: Visitor, readable: bool) -> None:
    url = visitor.a_finished_task()["files"][0]["file_url"]

    assert visitor.run(SHOW_IMAGE, url=url, readable=readable) == PIXELS
    assert visitor.run(FETCH_IMAGE, url=url, headers={})["status"] == 200


def test_a_page_sees_why_it_was_refused(visitor: Visitor) -> None:
    assert visitor.read("/v1/tasks/none")["status"] == 401
    assert visitor.read("/v1/nowhere", **visitor.key)["status"] == 404


@pytest.mark.parametrize("watched", [False, True])
def test_a_page_uploads_an_image_and_has_it_edited(visitor: Visitor, watched: bool) -> None:
    offer = visitor.offer()
    form = {name: offer["upload"][name] for name in ("url", "fields")}

    uploaded = visitor.run(UPLOAD, **form, watched=watched)
    wish = {"prompt": "A paper hat", "image_urls": [offer["file_url"]]}
    order = {"model": "gpt-image-2-edit", "input": wish}
    ordered = visitor.order(f"browser-{uuid.uuid4()}", order)

    assert uploaded["status"] == 204
    assert uploaded["etag"]
    assert ordered["status"] == 202


def test_a_page_from_elsewhere_orders_nothing(stranger: Visitor) -> None:
    key = f"browser-{uuid.uuid4()}"

    with pytest.raises(Error, match=KEPT_FROM_THE_PAGE):
        stranger.order(key)

    said = {**stranger.key, "Idempotency-Key": key}
    url = f"{stranger.system.url}/v1/tasks"
    assert requests.post(url, json=ORDER, headers=said, timeout=30).status_code == 202  # not 200


def test_a_page_from_elsewhere_reads_nothing(visitor: Visitor, stranger: Visitor) -> None:
    task = visitor.a_finished_task()
    link = task["files"][0]["file_url"]

    with pytest.raises(Error, match=KEPT_FROM_THE_PAGE):
        stranger.read("/health")  # a request without a preflight: sent, but its answer is kept back
    with pytest.raises(Error, match=KEPT_FROM_THE_PAGE):
        stranger.read(f"/v1/tasks/{task['task_id']}", **stranger.key)
    with pytest.raises(Error, match=KEPT_FROM_THE_PAGE):
        stranger.run(FETCH_IMAGE, url=link, headers={})
    assert visitor.read("/health")["status"] == 200


def test_a_page_from_elsewhere_hears_nothing_from_the_bucket(
    visitor: Visitor, stranger: Visitor
) -> None:
    offer = visitor.offer()
    form = {name: offer["upload"][name] for name in ("url", "fields")}

    with pytest.raises(Error, match=KEPT_FROM_THE_PAGE):
        stranger.run(UPLOAD, **form, watched=True)

    assert visitor.run(UPLOAD, **form, watched=True)["status"] == 204
