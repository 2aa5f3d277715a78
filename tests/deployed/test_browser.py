"""The API called by pages in a real browser, from an allowed origin and from another one."""

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
TIMEOUT_S = 120
ORDER = {"model": "gpt-image-2", "input": {"prompt": "A paper boat", "size": "3:2"}}
PIXELS = [1536, 1024]  # 3:2 in 1K
BLOCKED = "Failed to fetch"  # the only text that the page's code gets

# The response as the page's code sees it, with only the headers that CORS exposes.
CALL = """async ({url, timeout, ...init}) => {
    const response = await fetch(url, {...init, signal: AbortSignal.timeout(timeout)});
    return {status: response.status, headers: Object.fromEntries(response.headers),
            text: await response.text()};
}"""
FETCH_IMAGE = """async ({url, headers, timeout}) => {
    const response = await fetch(url, {headers, signal: AbortSignal.timeout(timeout)});
    const image = await response.blob();
    return {status: response.status, redirected: response.redirected, type: image.type,
            etag: response.headers.get("etag"), start: [...new Uint8Array(await image.arrayBuffer())].slice(0, 8),
            shown: URL.createObjectURL(image)};
}"""
SHOW_IMAGE = """async ({url, readable}) => {
    const image = document.body.appendChild(new Image());
    if (readable) image.crossOrigin = "anonymous";
    image.src = url;
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
}"""
UPLOAD = """async ({url, fields, watched, timeout}) => {
    const canvas = new OffscreenCanvas(640, 480), form = new FormData();
    canvas.getContext("2d").fillRect(100, 100, 200, 200);
    Object.entries(fields).forEach(([name, value]) => form.append(name, value));
    form.append("file", await canvas.convertToBlob({type: "image/png"}));
    return new Promise((done, failed) => {
        const upload = new XMLHttpRequest();
        if (watched) upload.upload.onprogress = () => {};  // requires a preflight
        upload.onload = () => done({status: upload.status, etag: upload.getResponseHeader("etag")});
        upload.onerror = upload.ontimeout = () => failed(new Error("Failed to fetch"));
        upload.timeout = timeout;
        upload.open("POST", url);
        upload.send(form);
    });
}"""


@dataclass(frozen=True)
class Visitor:
    """An open page in the browser, and the system that it calls."""

    page: Page
    system: System
    token: str = ""

    @property
    def key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token or self.system.api_key}"}

    def run(self, script: str, **given: Any) -> Any:
        return self.page.evaluate(script, {"timeout": CALL_MS, **given})

    def read(self, path: str, **headers: str) -> Any:
        return self.run(CALL, url=urljoin(self.system.url, path), headers=headers)

    def post(self, path: str, body: dict[str, Any], **headers: str) -> Any:
        sent = self.key | {"Content-Type": "application/json"} | headers
        url, text = f"{self.system.url}{path}", json.dumps(body)
        return self.run(CALL, url=url, method="POST", headers=sent, body=text)

    def order(self, idempotency_key: str, body: dict[str, Any] = ORDER) -> Any:
        return self.post("/v1/tasks", body, **{"Idempotency-Key": idempotency_key})

    def finished(self, location: str) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while (task := body_of(self.read(location, **self.key)))["status"] != "finished":
            assert task["status"] != "failed", task
            assert time.monotonic() < deadline, task
            self.page.wait_for_timeout(200)
        return task

    def a_finished_task(self) -> dict[str, Any]:
        return self.finished(self.order(f"browser-{uuid.uuid4()}")["headers"]["location"])

    def create_upload(self) -> Any:
        """The form for an upload, and the URL that an order uses for it."""
        return body_of(self.post("/v1/uploads", {"content_type": "image/png"}))


def body_of(response: Any) -> dict[str, Any]:
    """The JSON body of a successful response."""
    assert response["status"] < 300, response
    body = json.loads(response["text"])
    content: dict[str, Any] = body.get("data", body)
    return content


@pytest.fixture
def browser(stack: System) -> Iterator[Browser]:
    """Chromium, started for each test, because its event loop would disturb other tests."""
    program = subprocess.run(
        [ROOT / "scripts" / "browser.sh"], check=True, timeout=INSTALL_S, stdout=subprocess.PIPE
    )
    path = program.stdout.decode().strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_page(browser: Browser, origin: str, system: System) -> Visitor:
    page = browser.new_page()
    page.goto(origin)
    return Visitor(page, system)


@pytest.fixture
def visitor(browser: Browser, allowed_page: str, stack: System) -> Visitor:
    """A page of an allowed origin."""
    return open_page(browser, allowed_page, stack)


@pytest.fixture
def foreign_visitor(browser: Browser, stack: System) -> Iterator[Visitor]:
    """A page of an origin that is not allowed."""
    with empty_page() as origin:
        yield open_page(browser, origin, stack)


def preflight(system: System, origin: str, path: str = "/v1/tasks") -> requests.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key",
    }
    return requests.options(f"{system.url}{path}", headers=headers, timeout=30)


def listed(response: requests.Response, header: str) -> set[str]:
    return set(response.headers[f"Access-Control-{header}"].replace(" ", "").split(","))


def cors_headers(response: requests.Response) -> list[str]:
    return [name for name in response.headers if name.lower().startswith("access-control-")]


def test_gateway_responds_to_a_preflight_without_invoking_a_function(
    stack: System, allowed_page: str
) -> None:
    for origin in (allowed_page, "https://pages.example"):
        response = preflight(stack, origin, "/v1/nowhere")  # a function would respond with 404

        assert response.status_code == 204
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert response.headers["Access-Control-Max-Age"] == "600"
        assert listed(response, "Allow-Methods") == {"GET", "HEAD", "POST", "PUT", "DELETE"}
        allowed = {"authorization", "content-type", "idempotency-key", "if-none-match", "x-owner"}
        tools = {"traceparent", "tracestate", "baggage", "sentry-trace", "x-requested-with"}
        assert listed(response, "Allow-Headers") == allowed | tools | {"cache-control"}


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
def test_similar_origin_is_not_allowed(stack: System, origin: str) -> None:
    key = {"Authorization": f"Bearer {stack.api_key}"}
    paths = {"/health": 200, "/v1/nowhere": 404}

    assert cors_headers(preflight(stack, origin)) == []
    for path, status in paths.items():
        response = requests.get(stack.url + path, headers={"Origin": origin} | key, timeout=30)
        assert response.status_code == status
        assert cors_headers(response) == []


def test_page_places_an_order_and_repeats_it(visitor: Visitor) -> None:
    key = f"browser-{uuid.uuid4()}"

    first, again = visitor.order(key), visitor.order(key)

    assert first["status"] == 202
    assert first["headers"]["retry-after"].isdigit()
    assert "idempotent-replayed" not in first["headers"]
    assert again["status"] == 200
    assert again["headers"]["idempotent-replayed"] == "true"
    assert body_of(again)["task_id"] == body_of(first)["task_id"]
    assert first["headers"]["location"].endswith(body_of(first)["task_id"])


def test_page_fetches_an_image_by_both_urls(visitor: Visitor) -> None:
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


# The browser caches our redirect for an hour, and the image. Both responses to a plain <img> have no CORS
# headers, so the browser must use neither for a fetch.
@pytest.mark.parametrize("readable", [False, True])
def test_page_shows_an_image_and_then_fetches_it(visitor: Visitor, readable: bool) -> None:
    url = visitor.a_finished_task()["files"][0]["file_url"]

    assert visitor.run(SHOW_IMAGE, url=url, readable=readable) == PIXELS
    assert visitor.run(FETCH_IMAGE, url=url, headers={})["status"] == 200


@pytest.mark.parametrize("readable", [False, True])
def test_reloaded_page_takes_its_image_from_the_cache(visitor: Visitor, readable: bool) -> None:
    url = visitor.a_finished_task()["files"][0]["file_url"]
    session = visitor.page.context.new_cdp_session(visitor.page)
    urls: dict[str, str] = {}
    cached: set[str] = set()

    def record(event: dict[str, Any]) -> None:
        urls[event["requestId"]] = event["response"]["url"]
        if event["response"]["fromDiskCache"]:
            cached.add(event["requestId"])

    visitor.run(SHOW_IMAGE, url=url, readable=readable)
    session.send("Network.enable")
    session.on("Network.responseReceived", record)
    session.on("Network.requestServedFromCache", lambda event: cached.add(event["requestId"]))
    visitor.page.reload()
    assert visitor.run(SHOW_IMAGE, url=url, readable=readable) == PIXELS

    images = {each for each, url in urls.items() if "/images/" in url}
    assert images
    assert images <= cached


def test_link_opened_in_a_tab_shows_the_image_and_saves_it_on_request(visitor: Visitor) -> None:
    task = visitor.a_finished_task()
    url = task["files"][0]["file_url"]

    shown = visitor.page.goto(url)
    assert shown is not None
    assert shown.headers["content-type"] == "image/png"
    with visitor.page.expect_download() as download, pytest.raises(Error, match="Download is"):
        visitor.page.goto(f"{url}?download=1")
    assert download.value.suggested_filename == f"{task['task_id']}-0.png"


def test_page_reads_error_responses(visitor: Visitor) -> None:
    assert visitor.read("/v1/tasks/none")["status"] == 401
    assert visitor.read("/v1/nowhere", **visitor.key)["status"] == 404


@pytest.mark.parametrize("watched", [False, True])
def test_page_uploads_an_image_and_orders_an_edit(visitor: Visitor, watched: bool) -> None:
    upload = visitor.create_upload()
    form = {name: upload["upload"][name] for name in ("url", "fields")}

    uploaded = visitor.run(UPLOAD, **form, watched=watched)
    requested = {"prompt": "A paper hat", "image_urls": [upload["file_url"]]}
    order = {"model": "gpt-image-2-edit", "input": requested}
    ordered = visitor.order(f"browser-{uuid.uuid4()}", order)

    assert uploaded["status"] == 204
    assert uploaded["etag"]
    assert ordered["status"] == 202


def mint(system: System, **limits: Any) -> dict[str, Any]:
    """A browser token, as a server of the page's own gets it with the server key."""
    body = {"owner": f"visitor-{uuid.uuid4()}", "max_credits": 3} | limits
    key = {"Authorization": f"Bearer {system.api_key}"}
    response = requests.post(f"{system.url}/v1/tokens", json=body, headers=key, timeout=30)
    assert response.status_code == 201, response.text
    token: dict[str, Any] = response.json()
    return token


def network_log(page: Page) -> tuple[list[str], list[str]]:
    """What the page sends from now on, and what it receives: addresses, headers and the bodies it sends."""
    sent: list[str] = []
    received: list[str] = []
    page.on(
        "request", lambda each: sent.append(f"{each.url} {each.all_headers()} {each.post_data}")
    )
    page.on("response", lambda each: received.append(f"{each.url} {each.all_headers()}"))
    return sent, received


def test_page_with_a_token_alone_orders_waits_and_shows_an_image(
    visitor: Visitor, allowed_page: str
) -> None:
    token = mint(visitor.system, origin=allowed_page, models=["gpt-image-2"], max_tasks=2)
    holder = Visitor(visitor.page, visitor.system, token["token"])
    sent, received = network_log(holder.page)

    upload = holder.create_upload()
    form = {name: upload["upload"][name] for name in ("url", "fields")}
    assert holder.run(UPLOAD, **form, watched=True)["status"] == 204
    ordered = holder.order(f"browser-{uuid.uuid4()}")
    task = holder.finished(ordered["headers"]["location"])
    shown = holder.run(SHOW_IMAGE, url=task["files"][0]["file_url"], readable=True)

    assert shown == PIXELS
    assert [
        each["task_id"] for each in body_of(holder.read("/v1/tasks", **holder.key))["tasks"]
    ] == [task["task_id"]]
    assert any(token["token"] in each for each in sent)
    assert any(f"/files/{task['task_id']}" in each for each in received)
    page = [holder.page.content(), json.dumps(holder.page.context.storage_state())]
    assert not any(visitor.system.api_key in each for each in [*sent, *received, *page])


def test_page_with_a_token_cannot_go_beyond_it(visitor: Visitor, allowed_page: str) -> None:
    token = mint(visitor.system, origin=allowed_page)
    holder = Visitor(visitor.page, visitor.system, token["token"])
    assert holder.order(f"browser-{uuid.uuid4()}")["status"] == 202

    beyond = holder.order(f"browser-{uuid.uuid4()}")
    assert (beyond["status"], json.loads(beyond["text"])["left"]) == (402, 1)
    minted = holder.post("/v1/tokens", {"owner": "other", "max_credits": 1000})
    assert minted["status"] == 403
    others = visitor.a_finished_task()["task_id"]
    assert holder.read(f"/v1/tasks/{others}", **holder.key)["status"] == 404
    for each in (visitor, holder):  # as Chromium fetches when a page comes back
        url = f"{visitor.system.url}/v1/tasks"
        listed = each.run(CALL, url=url, headers=each.key, cache="force-cache")["text"]
        assert (others in listed) == (each is visitor)
    image = f"{visitor.system.url}/v1/tasks/{others}/files/0"
    assert visitor.run(FETCH_IMAGE, url=image, headers=visitor.key)["status"] == 200
    assert holder.run(FETCH_IMAGE, url=image, headers=holder.key)["status"] == 404  # not cached

    server = {"Authorization": f"Bearer {visitor.system.api_key}"}
    url = f"{visitor.system.url}/v1/tokens/{token['token_id']}"
    assert requests.delete(url, headers=server, timeout=30).status_code == 204
    assert holder.read("/v1/tasks", **holder.key)["status"] == 401


def test_page_of_another_origin_cannot_use_a_token(
    foreign_visitor: Visitor, allowed_page: str
) -> None:
    token = mint(foreign_visitor.system, origin=allowed_page)
    holder = Visitor(foreign_visitor.page, foreign_visitor.system, token["token"])

    with pytest.raises(Error, match=BLOCKED):
        holder.order(f"browser-{uuid.uuid4()}")
    with pytest.raises(Error, match=BLOCKED):
        holder.read("/v1/tasks", **holder.key)
    headers = holder.key | {"Origin": "https://pages.example"}
    url = f"{holder.system.url}/v1/tasks"
    assert requests.get(url, headers=headers, timeout=30).status_code == 403


def test_page_of_another_origin_cannot_place_an_order(foreign_visitor: Visitor) -> None:
    key = f"browser-{uuid.uuid4()}"

    with pytest.raises(Error, match=BLOCKED):
        foreign_visitor.order(key)

    headers = {**foreign_visitor.key, "Idempotency-Key": key}
    url = f"{foreign_visitor.system.url}/v1/tasks"
    assert requests.post(url, json=ORDER, headers=headers, timeout=30).status_code == 202  # not 200


def test_page_of_another_origin_cannot_read_responses(
    visitor: Visitor, foreign_visitor: Visitor
) -> None:
    task = visitor.a_finished_task()
    link = task["files"][0]["file_url"]

    with pytest.raises(Error, match=BLOCKED):
        foreign_visitor.read(
            "/health"
        )  # without a preflight: the request is sent, the response is blocked
    with pytest.raises(Error, match=BLOCKED):
        foreign_visitor.read(f"/v1/tasks/{task['task_id']}", **foreign_visitor.key)
    with pytest.raises(Error, match=BLOCKED):
        foreign_visitor.run(FETCH_IMAGE, url=link, headers={})
    assert visitor.read("/health")["status"] == 200


def test_page_of_another_origin_cannot_read_responses_of_the_bucket(
    visitor: Visitor, foreign_visitor: Visitor
) -> None:
    upload = visitor.create_upload()
    form = {name: upload["upload"][name] for name in ("url", "fields")}

    with pytest.raises(Error, match=BLOCKED):
        foreign_visitor.run(UPLOAD, **form, watched=True)

    assert visitor.run(UPLOAD, **form, watched=True)["status"] == 204
