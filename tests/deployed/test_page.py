"""The page at `/` in Chromium, on the deployed stack: what a person does with it, and what must not get lost."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from local.processes import ROOT
from local.system import System
from tests.fixtures.images import png

INSTALL_S = 600
SOON_MS = 90_000  # for an image, on a busy machine
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
REPORTS = """addEventListener("securitypolicyviolation", ({violatedDirective, blockedURI}) =>
    console.error("policy", violatedDirective, blockedURI))"""


@dataclass
class Visit:
    """An open page, and everything that it should not have done."""

    page: Page
    problems: list[str] = field(default_factory=list)

    def order(self, prompt: str, size: str = "1:1") -> None:
        self.setting("size").select_option(size)
        self.page.get_by_label("Prompt").fill(prompt)
        self.page.keyboard.press("Control+Enter")

    def setting(self, name: str) -> Any:
        return self.page.locator(f'.settings label:has(span:text-is("{name}")) select')

    def card(self, prompt: str) -> Any:
        return self.page.locator(
            "task-card", has=self.page.get_by_role("button", name=prompt)
        ).first

    def finished(self, prompt: str) -> Any:
        card = self.card(prompt)
        expect(card).to_have_attribute("data-status", "finished", timeout=SOON_MS)
        return card

    def action(self, prompt: str, name: str) -> None:
        self.card(prompt).hover()
        self.card(prompt).get_by_role("button", name="Actions for").click()
        self.page.get_by_role("menuitem", name=name, exact=True).click()

    def violations(self) -> list[str]:
        """What axe finds, each with its rule and place."""
        self.page.evaluate(AXE)
        found = self.page.evaluate("axe.run()")["violations"]
        return [f"{each['id']}: {node['html'][:120]}" for each in found for node in each["nodes"]]


@pytest.fixture(scope="module")
def browser_path() -> str:
    program = subprocess.run(
        [ROOT / "scripts" / "browser.sh"], check=True, timeout=INSTALL_S, stdout=subprocess.PIPE
    )
    return program.stdout.decode().strip()


@pytest.fixture
def browser(browser_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.add_init_script(REPORTS)
    yield context
    context.close()


@contextmanager
def visiting(context: BrowserContext, stack: System, *, ready: bool = True) -> Iterator[Visit]:
    """Open the page, and wait until it is `ready` to order; afterwards it must have reported nothing and spoken to nobody else."""
    visit = Visit(context.new_page())
    own = (stack.url, stack.cloud_url, "blob:", "data:")

    def note(text: str, *, wrong: bool) -> None:
        if wrong:
            visit.problems.append(text)

    visit.page.on("console", lambda m: note(m.text, wrong=m.type == "error"))
    visit.page.on("pageerror", lambda error: note(str(error), wrong=True))
    visit.page.on("request", lambda r: note(r.url, wrong=not r.url.startswith(own)))
    visit.page.goto(stack.url)
    if ready:
        visit.page.locator(".settings select").first.wait_for(state="attached", timeout=SOON_MS)
    yield visit
    assert visit.problems == []


def prompts_at_poyo(stack: System) -> list[str]:
    control = f"{stack.poyo_url}/control/tasks"
    tasks = requests.get(control, timeout=30).json()["tasks"][-40:]
    views = [requests.get(f"{control}/{each['task_id']}", timeout=30).json() for each in tasks]
    return [view["input"]["prompt"] for view in views]


def test_image_is_ordered_shown_looked_at_used_and_deleted(
    context: BrowserContext, stack: System
) -> None:
    prompt = f"A boat {uuid.uuid4().hex[:8]} <img src=x> 😀 مرحبا"
    with visiting(context, stack) as visit:
        page = visit.page
        page.get_by_label("Prompt").fill("half written")
        page.reload()
        expect(page.get_by_label("Prompt")).to_have_value("half written", timeout=SOON_MS)
        page.locator(".bar h1").click()
        page.keyboard.press("/")
        expect(page.get_by_label("Prompt")).to_be_focused()
        expect(page.locator(".price")).to_have_text(re.compile(r"2 credits · \$0\.01 · ~\d+ s"))
        visit.order(prompt, "3:2")
        item = page.locator("li", has=visit.card(prompt))
        before = item.bounding_box()
        card = visit.finished(prompt)
        assert item.bounding_box() == before  # nothing moves when the picture arrives
        assert before
        assert abs(before["width"] / before["height"] - 1.5) < 0.05

        card.locator(".open").click()
        dialog = page.get_by_role("dialog", name="Image")
        expect(dialog.get_by_text("1536 × 1024, PNG")).to_be_visible()
        expect(dialog.get_by_text("2 credits ($0.01)")).to_be_visible()
        expect(page).to_have_url(re.compile("#task=[a-z2-7]{26}$"))
        page.reload()
        expect(dialog.get_by_text(prompt, exact=True)).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(page.locator("img[src=x]")).to_have_count(0)
        expect(page).not_to_have_url(re.compile("#task"))

        visit.action(prompt, "Copy as Python")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert prompt in copied
        assert stack.url in copied
        assert stack.api_key not in copied
        visit.action(prompt, "Use as reference")
        expect(page.locator(".references figure")).to_have_attribute("data-state", "ready")
        visit.order(f"Snow on {prompt[2:]}")
        visit.finished(f"Snow on {prompt[2:]}")
        visit.action(prompt, "Delete")
        page.get_by_role("button", name="Delete", exact=True).last.click()
        expect(page.get_by_role("button", name=f"Open: {prompt}", exact=True)).to_have_count(0)


def test_file_of_the_user_becomes_a_reference_and_again_repeats_it(
    context: BrowserContext, stack: System
) -> None:
    prompt = f"An edit {uuid.uuid4().hex[:8]}"
    with visiting(context, stack) as visit:
        file = {"name": "boat.png", "mimeType": "image/png", "buffer": png()}
        visit.page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
        ready = visit.page.locator(".references figure[data-state=ready]")
        expect(ready).to_have_count(1, timeout=SOON_MS)
        visit.order(prompt)
        visit.page.locator(".composer .make").dblclick()  # while the price is being read
        visit.finished(prompt)
        visit.action(prompt, "Again")
        cards = visit.page.locator("task-card[data-status=finished]", has_text="")
        both = cards.filter(has=visit.page.get_by_role("button", name=prompt))
        expect(both).to_have_count(2, timeout=SOON_MS)
        assert prompts_at_poyo(stack).count(prompt) == 2


@pytest.mark.parametrize("end", ["reload", "new tab"])
def test_page_that_ends_while_an_order_is_on_its_way_pays_once(
    context: BrowserContext, stack: System, end: str
) -> None:
    prompt = f"Interrupted {uuid.uuid4().hex[:8]}"
    with visiting(context, stack) as visit:
        sent: list[str] = []

        def lose(route: Any) -> None:
            """The service gets the order; its answer is lost with the page."""
            if route.request.method != "POST" or sent:
                route.continue_()
                return
            sent.append(route.request.headers["idempotency-key"])
            route.fetch()

        visit.page.route("**/v1/tasks", lose)
        visit.order(prompt)
        visit.page.wait_for_timeout(100)
        while not sent:
            visit.page.wait_for_timeout(100)
        if end == "reload":
            visit.page.reload()
            visit.finished(prompt)
        else:
            visit.page.close()
    if end == "new tab":
        with visiting(context, stack) as again:
            again.finished(prompt)
    assert prompts_at_poyo(stack).count(prompt) == 1


def test_two_tabs_order_once_and_delete_for_both(context: BrowserContext, stack: System) -> None:
    prompt, deleted = (f"{name} {uuid.uuid4().hex[:8]}" for name in ("Two tabs", "Deleted"))
    with visiting(context, stack) as first, visiting(context, stack) as second:
        held: list[Any] = []

        def lose(route: Any) -> None:
            """The service gets the order of the first tab; its answer is lost."""
            if route.request.method == "POST" and not held:
                held.append(route)
                route.fetch()
            else:
                route.fallback()

        first.page.route("**/v1/tasks", lose)
        first.order(prompt)
        second.finished(prompt)
        held[0].fulfill(status=403, body="<h1>a gateway's</h1>")
        first.finished(prompt)
        expect(first.page.locator("task-card", has_text=prompt)).to_have_count(1)
        expect(first.page.locator(".notice")).to_be_hidden()
        expect(first.page.get_by_label("Prompt")).to_have_value("")

        context.route("**/v1/tasks", lambda route: route.abort())
        first.order(deleted)
        expect(second.card(deleted)).to_contain_text("Being sent", timeout=SOON_MS)
        first.action(deleted, "Delete")
        first.page.get_by_role("button", name="Delete", exact=True).last.click()
        for visit in (first, second):
            expect(visit.page.locator("task-card", has_text=deleted)).to_have_count(0)
        context.unroute("**/v1/tasks")
        first.order(f"Not {deleted}")
        second.page.reload()
        second.finished(f"Not {deleted}")
        for visit in (first, second):
            visit.problems = [each for each in visit.problems if "load resource" not in each]
    prompts = prompts_at_poyo(stack)
    assert [prompts.count(each) for each in (prompt, deleted)] == [1, 0]


def test_order_without_a_connection_waits_and_is_sent_when_it_is_back(
    context: BrowserContext, stack: System
) -> None:
    prompt = f"Offline {uuid.uuid4().hex[:8]}"
    with visiting(context, stack) as visit:
        context.set_offline(True)
        visit.order(prompt)
        expect(visit.page.locator(".connection")).to_have_text(
            "You are offline. One order waits and will be sent by itself."
        )
        expect(visit.card(prompt)).to_contain_text("Waits to be sent")
        visit.order(f"Not {prompt}")
        visit.action(f"Not {prompt}", "Delete")
        visit.page.get_by_role("button", name="Delete", exact=True).last.click()
        expect(visit.page.locator("task-card", has_text=f"Not {prompt}")).to_have_count(0)
        assert prompts_at_poyo(stack).count(prompt) == 0
        context.set_offline(False)
        visit.finished(prompt)
        expect(visit.page.locator(".connection")).to_be_hidden()
        prompts = prompts_at_poyo(stack)
        assert (prompts.count(prompt), prompts.count(f"Not {prompt}")) == (1, 0)
        # Chromium itself reports each request that it could not send.
        visit.problems = [
            each for each in visit.problems if "ERR_INTERNET_DISCONNECTED" not in each
        ]


def test_slow_or_failing_service_is_told_and_loses_no_order(
    context: BrowserContext, stack: System
) -> None:
    prompt = f"Slow {uuid.uuid4().hex[:8]}"
    with visiting(context, stack) as visit:
        line = visit.page.locator(".connection")
        held: list[Any] = []
        service = "slow"

        def answer(route: Any) -> None:
            if service == "slow" and route.request.method == "POST":
                held.append(route)
            elif service == "away":
                route.abort()
            else:
                route.continue_()

        visit.page.route("**/v1/**", answer)
        visit.order(prompt)
        expect(line).to_contain_text("The connection is slow. One order waits", timeout=SOON_MS)
        service = "away"
        for route in held:
            route.abort()
        expect(line).to_contain_text("The service cannot be reached", timeout=SOON_MS)
        visit.page.reload()
        expect(line).to_contain_text("The service cannot be reached", timeout=SOON_MS)
        service = "well"
        visit.finished(prompt)
        expect(line).to_be_hidden()
        assert prompts_at_poyo(stack).count(prompt) == 1
        visit.problems = [each for each in visit.problems if "ERR_FAILED" not in each]


def test_browser_without_storage_orders_and_says_so(context: BrowserContext, stack: System) -> None:
    blocked = "{ get() { throw new DOMException('blocked', 'SecurityError') } }"
    for name in ("localStorage", "sessionStorage"):
        context.add_init_script(f"Object.defineProperty(window, '{name}', {blocked})")
    context.add_init_script("{ const now = Date.now; Date.now = () => now() - 3_600_000 }")
    prompt = f"Private {uuid.uuid4().hex[:8]}"
    with visiting(context, stack) as visit:
        visit.order(prompt)
        # Its clock is an hour slow, and the order is the newest card nevertheless.
        expect(visit.page.locator("task-card").first).to_contain_text(prompt)
        expect(visit.page.locator(".notice")).to_contain_text("Keep it open")
        visit.finished(prompt)


def test_server_key_is_swapped_for_tokens_of_one_budget_and_kept_nowhere(
    context: BrowserContext, stack: System
) -> None:
    """As on AWS, where no route gives a token: the API answers what the local gateway would."""
    prompt = f"Keyed {uuid.uuid4().hex[:8]}"
    context.route("**/page/token", lambda route: route.fulfill(response=route.fetch(headers={})))
    with visiting(context, stack, ready=False) as visit:
        page, left = visit.page, visit.page.locator("[data-budget]")
        for secret in ("it_sk_wrong", stack.api_key):
            page.get_by_label("Token or server key").fill(secret)
            page.get_by_label("Credits that this page may spend").fill("5")
            page.get_by_role("button", name="Continue").click()
            if secret != stack.api_key:
                expect(page.get_by_role("alert")).to_have_text(re.compile("neither a token nor"))
        expect(left).to_have_text("5 of 5 credits left", timeout=SOON_MS)
        used: list[str] = []
        page.on("request", lambda request: used.append(request.headers.get("authorization", "")))
        visit.order(prompt)
        visit.finished(prompt)
        expect(left).to_have_text("3 of 5 credits left", timeout=SOON_MS)
        kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])"
        assert stack.api_key not in page.evaluate(kept) + page.content()

        token = next(each for each in used if each)
        revoke(stack, token)  # the next one gets what is left, not the whole again
        visit.setting("size").select_option("3:2")
        expect(left).to_have_text("3 of 5 credits left", timeout=SOON_MS)

        refused = {"status": 402, "code": "budget_exhausted", "retry": "never", "left": 3}
        page.route("**/v1/tasks", lambda route: route.fulfill(status=402, json=refused))
        visit.order(f"Not {prompt}")
        expect(page.locator(".notice")).to_contain_text("has 3 credits left", timeout=SOON_MS)
        expect(page.get_by_label("Prompt", exact=True)).to_have_value(f"Not {prompt}")
        visit.setting("quality").select_option("high")
        expect(page.locator(".composer .make")).to_have_text(re.compile("credits missing"))
        visit.problems = [each for each in visit.problems if "Failed to load" not in each]


def revoke(stack: System, authorization: str) -> None:
    """Revoke the browser token of an `Authorization` header."""
    claims = authorization.split(".")[1]
    token_id = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["jti"]
    url = f"{stack.url}/v1/tokens/{token_id}"
    server = {"Authorization": f"Bearer {stack.api_key}"}
    assert requests.delete(url, headers=server, timeout=30).status_code == 204


def test_failure_says_why_and_what_it_cost(context: BrowserContext, stack: System) -> None:
    prompt = f"[[fault:fail-moderation]] Refused {uuid.uuid4().hex[:8]}"
    with visiting(context, stack) as visit:
        visit.order(prompt)
        card = visit.card(prompt[-8:])
        expect(card).to_have_attribute("data-status", "failed", timeout=SOON_MS)
        expect(card).to_contain_text("The content policy refused it. It cost nothing.")
        card.get_by_role("button", name="Reuse settings").click()
        expect(visit.page.get_by_label("Prompt")).to_have_value(prompt)
        visit.page.get_by_role("button", name="failed", exact=True).click()
        expect(card).to_be_visible()
        visit.page.get_by_role("button", name="finished", exact=True).click()
        expect(card).to_be_hidden()


def test_selected_images_become_an_archive(context: BrowserContext, stack: System) -> None:
    prompt = f"Kept {uuid.uuid4().hex[:8]}"
    with visiting(context, stack) as visit:
        visit.order(prompt)
        visit.finished(prompt)
        visit.page.get_by_role("button", name="Select images").click()
        visit.card(prompt).locator(".open").click()
        with visit.page.expect_download() as download:
            visit.page.get_by_role("button", name="Save as ZIP").click()
        archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
        assert archive.testzip() is None
        [name] = archive.namelist()
        assert archive.read(name).startswith(b"\x89PNG")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_page_is_accessible_empty_and_full_and_in_its_dialogs(
    browser: Browser, stack: System, theme: Any, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=theme, reduced_motion="reduce"
    )
    with visiting(context, stack) as visit:
        visit.page.locator("task-card[data-status=finished]").first.wait_for(timeout=SOON_MS)
        visit.page.get_by_label("Prompt").focus()
        assert visit.violations() == []
        visit.page.locator("task-card[data-status=finished] .open").first.click()
        expect(visit.page.get_by_role("dialog", name="Image")).to_be_visible()
        assert visit.violations() == []
        visit.page.keyboard.press("Escape")
        visit.page.keyboard.press("Tab")
        visit.page.locator("body").press("?")
        expect(visit.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        assert visit.violations() == []
    context.close()
