"""The simulated PoYo's endpoints, seen over HTTP; other tests of it borrow the client here."""

import asyncio
import hashlib
import io
import re
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
from PIL import Image

from local.poyo_simulator.background_server import in_background
from local.poyo_simulator.images import Gallery
from local.poyo_simulator.orders import read_order
from local.poyo_simulator.settings import Settings
from local.poyo_simulator.tasks import Task

AT_ONCE = Settings(seconds=(0.0, 0.0), rate=0)
NEVER = Settings(seconds=(1e6, 1e6), rate=0)
NOBODY = "http://127.0.0.1:9"  # the discard port, where nothing listens


class Poyo:
    """A client of one simulated PoYo and of its control API."""

    def __init__(self, origin: str, key: str = "sk-local-poyo") -> None:
        self.origin = origin
        self.auth = {"Authorization": f"Bearer {key}"}

    def submit(
        self,
        prompt: str = "A lighthouse",
        *,
        callback_url: str | None = None,
        idempotency_key: str | None = None,
        model: str = "gpt-image-2",
        timeout_s: float = 10,
        **given: object,
    ) -> requests.Response:
        headers = self.auth | ({"Idempotency-Key": idempotency_key} if idempotency_key else {})
        body: dict[str, object] = {"model": model, "input": {"prompt": prompt, **given}}
        if callback_url:
            body["callback_url"] = callback_url
        url = f"{self.origin}/api/generate/submit"
        return requests.post(url, json=body, headers=headers, timeout=timeout_s)

    def accepted(self, prompt: str = "A lighthouse", **given: Any) -> str:
        response = self.submit(prompt, **given)
        assert response.status_code == 200, response.text
        return str(response.json()["data"]["task_id"])

    def status(self, task_id: str) -> requests.Response:
        url = f"{self.origin}/api/generate/status/{task_id}"
        return requests.get(url, headers=self.auth, timeout=10)

    def told(self, task_id: str) -> dict[str, Any]:
        data: dict[str, Any] = self.status(task_id).json()["data"]
        return data

    def file(self, task_id: str, **options: Any) -> requests.Response:
        url = f"{self.origin}/files/{task_id}/{task_id}.png"
        return requests.get(url, timeout=10, allow_redirects=False, **options)

    def balance(self) -> float:
        url = f"{self.origin}/api/user/balance"
        answer = requests.get(url, headers=self.auth, timeout=10).json()
        return float(answer["data"]["credits_amount"])

    def control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        response = requests.request(method, f"{self.origin}/control/{path}", json=body, timeout=10)
        answer: dict[str, Any] = response.json()
        return answer

    def task(self, task_id: str) -> dict[str, Any]:
        return self.control("GET", f"tasks/{task_id}")

    def events(self, kind: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.control("GET", f"log?kind={kind}")["events"]
        return events

    def wait_for(self, task_id: str, state: str = "finished") -> dict[str, Any]:
        """The task once it is in ``state``, as the control API sees it."""
        deadline = time.monotonic() + 5
        while (task := self.task(task_id))["state"] != state:
            assert time.monotonic() < deadline, f"{task['state']} instead of {state}"
            time.sleep(0.005)
        return task


@pytest.fixture
def poyo() -> Iterator[Poyo]:
    with in_background(AT_ONCE) as origin:
        yield Poyo(origin)


@pytest.fixture
def slow_poyo() -> Iterator[Poyo]:
    with in_background(NEVER) as origin:
        yield Poyo(origin)


def test_a_submit_is_answered_with_an_id_and_a_naive_time(slow_poyo: Poyo) -> None:
    answer = slow_poyo.submit().json()

    assert answer["code"] == 200
    assert answer["data"]["status"] == "not_started"
    assert re.fullmatch(r"[A-Z0-9]{16}", answer["data"]["task_id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", answer["data"]["created_time"])


def test_a_finished_task_has_floats_and_one_file(poyo: Poyo) -> None:
    task_id = poyo.accepted()
    poyo.wait_for(task_id)

    told = poyo.told(task_id)

    assert told["status"] == "finished"
    assert (told["progress"], told["credits_amount"]) == (100.0, 2.0)
    assert isinstance(told["progress"], float)
    assert isinstance(told["credits_amount"], float)
    url = f"{poyo.origin}/files/{task_id}/{task_id}.png"
    assert told["files"] == [{"file_url": url, "file_type": "image"}]
    assert "error_message" not in told


def test_a_task_goes_from_not_started_over_running_to_finished() -> None:
    with in_background(Settings(seconds=(100.0, 100.0))) as origin:
        poyo = Poyo(origin)
        task_id = poyo.accepted()
        assert poyo.told(task_id)["status"] == "not_started"

        poyo.control("PUT", "clock", {"advance_seconds": 60})
        poyo.wait_for(task_id, "running")
        told = poyo.told(task_id)
        assert 45 < told["progress"] < 60
        assert (told["files"], told["credits_amount"]) == ([], None)

        poyo.control("PUT", "clock", {"advance_seconds": 60})
        poyo.wait_for(task_id, "finished")


def test_a_faster_clock_hurries_a_task_that_is_already_waiting() -> None:
    with in_background(Settings(seconds=(3600.0, 3600.0))) as origin:
        poyo = Poyo(origin)
        task_id = poyo.accepted()
        started = time.monotonic()

        poyo.control("PUT", "clock", {"speed": 36_000})
        task = poyo.wait_for(task_id)

        assert time.monotonic() - started < 3
        assert task["ended"] - task["created"] >= 3600


def test_a_clock_at_speed_zero_stands_still() -> None:
    with in_background(Settings(seconds=(0.1, 0.1)), speed=0) as origin:
        poyo = Poyo(origin)
        task_id = poyo.accepted()
        time.sleep(0.2)
        assert poyo.task(task_id)["state"] == "not_started"

        poyo.control("PUT", "clock", {"advance_seconds": 1})
        poyo.wait_for(task_id)


@pytest.mark.parametrize(
    "header", [None, "sk-local-poyo", "Bearer sk-other", "bearer sk-local-poyo", "Bearer "]
)
def test_without_bearer_and_the_right_key_there_is_a_401(poyo: Poyo, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    paths = ("api/user/balance", "api/generate/status/X")
    answers = [requests.get(f"{poyo.origin}/{p}", headers=headers, timeout=5) for p in paths]
    answers.append(
        requests.post(f"{poyo.origin}/api/generate/submit", headers=headers, json={}, timeout=5)
    )

    for answer in answers:
        assert answer.status_code == 401
        assert answer.json()["code"] == 401
        assert answer.json()["error"]["message"] == "Invalid API key"


@pytest.mark.parametrize(
    ("given", "status", "kind"),
    [
        ({"prompt": ""}, 400, "validation_error"),
        ({"prompt": "x" * 20_001}, 400, "content_too_long_error"),
        ({"quality": "ultra"}, 400, "validation_error"),
        ({"resolution": "8K"}, 400, "validation_error"),
        ({"size": "7:5"}, 400, "validation_error"),
        ({"size": "1024x1024"}, 400, "validation_error"),
        ({"size": "1023x1024", "resolution": "2K"}, 400, "validation_error"),
        ({"size": "3856x2048", "resolution": "4K"}, 400, "validation_error"),
        ({"size": "3200x1024", "resolution": "4K"}, 400, "validation_error"),
        ({"size": "512x512", "resolution": "2K"}, 400, "validation_error"),
        ({"size": "3840x2176", "resolution": "4K"}, 400, "validation_error"),
        ({"size": "0x0", "resolution": "2K"}, 400, "validation_error"),
        ({"image_urls": ["data:image/png;base64,AAAA"]}, 400, "file_format_error"),
        ({"image_urls": "https://example.com/a.png"}, 400, "validation_error"),
        ({"model": "gpt-image-2-edit"}, 400, "validation_error"),
        ({"model": "gpt-image-9"}, 404, "resource_not_found_error"),
        ({"callback_url": "ftp://example.com/"}, 400, "validation_error"),
        ({"callback_url": "https://example.com/" + "x" * 2048}, 400, "validation_error"),
    ],
)
def test_unknown_values_are_refused_and_cost_nothing(
    poyo: Poyo, given: dict[str, Any], status: int, kind: str
) -> None:
    answer = poyo.submit(**given)

    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert answer.json()["code"] == status
    assert poyo.balance() == 10_000


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 200_000, b'{"model": "gpt-image-2"}'])
def test_a_body_that_is_no_order_is_a_400(poyo: Poyo, body: bytes) -> None:
    url = f"{poyo.origin}/api/generate/submit"

    answer = requests.post(url, data=body, headers=poyo.auth, timeout=5)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "validation_error")


def test_unknown_fields_are_dropped_and_charged(poyo: Poyo) -> None:
    task_id = poyo.accepted(aspect_ratio="16:9", strength=3)

    task = poyo.task(task_id)

    assert (task["width"], task["height"]) == (1024, 1024)
    assert "aspect_ratio" not in task["input"]
    assert poyo.balance() == 9_998


@pytest.mark.parametrize(
    ("given", "billed", "price", "dimensions"),
    [
        ({}, "1K", 2, (1024, 1024)),
        ({"resolution": "4K", "quality": "high"}, "1K", 33.76, (1024, 1024)),
        ({"size": "3:2"}, "1K", 2, (1536, 1024)),
        ({"size": "9:16", "quality": "medium"}, "1K", 8.48, (864, 1536)),
        ({"size": "21:9"}, "1K", 2, (1568, 672)),
        ({"size": "1:1", "resolution": "4K", "quality": "high"}, "2K", 35.52, (2048, 2048)),
        ({"size": "4:5", "resolution": "2K"}, "2K", 4, (1632, 2048)),
        ({"size": "16:9", "resolution": "4K", "quality": "high"}, "4K", 64.16, (3840, 2160)),
        ({"size": "3840x1280", "resolution": "4K"}, "4K", 8, (3840, 1280)),
        ({"size": "2880x2880", "resolution": "4K"}, "2K", 4, (2880, 2880)),
        ({"size": "1040x640", "resolution": "2K", "quality": "medium"}, "2K", 8.96, (1040, 640)),
    ],
)
def test_the_picture_has_the_billed_size_and_price(
    poyo: Poyo, given: dict[str, str], billed: str, price: float, dimensions: tuple[int, int]
) -> None:
    task_id = poyo.accepted(**given)
    task = poyo.wait_for(task_id)

    picture = Image.open(io.BytesIO(poyo.file(task_id).content))
    picture.load()

    assert (picture.format, picture.size) == ("PNG", dimensions)
    assert (task["billed"], task["credits"]) == (billed, price)
    assert poyo.told(task_id)["credits_amount"] == price
    assert poyo.balance() == pytest.approx(10_000 - price)


def test_an_edit_takes_images_and_makes_one(poyo: Poyo) -> None:
    urls = ["https://example.com/a.png", "https://example.com/b.png"]

    task_id = poyo.accepted(model="gpt-image-2-edit", image_urls=urls)

    assert poyo.wait_for(task_id)["input"]["image_urls"] == urls


def test_the_file_is_the_picture_the_control_api_knows(poyo: Poyo) -> None:
    task_id = poyo.accepted()
    task = poyo.wait_for(task_id)

    answer = poyo.file(task_id)
    drawn = requests.get(f"{poyo.origin}/control/tasks/{task_id}/image", timeout=5).content

    assert answer.headers["Content-Type"] == "image/png"
    assert answer.content == drawn
    assert hashlib.sha256(drawn).hexdigest() == task["sha256"]
    assert len(drawn) == task["bytes"]
    assert poyo.task(task_id)["file_reads"] == 1


def test_a_forgotten_picture_is_drawn_again_the_same(poyo: Poyo) -> None:
    first = poyo.accepted(size="16:9", resolution="4K")
    before = poyo.wait_for(first)["sha256"]
    for number in range(40):
        poyo.accepted(f"Picture {number}", size="1040x640", resolution="2K")
    poyo.control("GET", "tasks")

    after = hashlib.sha256(poyo.file(first).content).hexdigest()

    assert after == before


def test_only_the_last_few_pictures_stay_in_memory() -> None:
    order = read_order({"model": "gpt-image-2", "input": {"prompt": "A lighthouse"}}, None)

    async def kept_after(count: int) -> list[str]:
        gallery = Gallery()
        for number in range(count):
            task = Task(str(number), order, 0, 0, 0, "http://127.0.0.1", order.credits)
            await gallery.of(task)
        gallery.close()
        return list(gallery._kept)

    assert asyncio.run(kept_after(36)) == [str(number) for number in range(4, 36)]


def test_there_is_no_file_before_the_end_nor_after_its_lifetime(slow_poyo: Poyo) -> None:
    task_id = slow_poyo.accepted()
    assert slow_poyo.file(task_id).status_code == 404

    slow_poyo.control("POST", f"tasks/{task_id}/finish")
    assert slow_poyo.file(task_id).status_code == 200

    slow_poyo.control("PUT", "clock", {"advance_seconds": 23.9 * 3600})
    assert slow_poyo.file(task_id).status_code == 200

    slow_poyo.control("PUT", "clock", {"advance_seconds": 0.2 * 3600})
    assert slow_poyo.file(task_id).status_code == 404


def test_head_on_a_file_is_refused(poyo: Poyo) -> None:
    task_id = poyo.accepted()
    poyo.wait_for(task_id)

    answer = requests.head(f"{poyo.origin}/files/{task_id}/{task_id}.png", timeout=5)

    assert answer.status_code == 403


def test_the_21st_submit_in_10_seconds_is_a_429_without_retry_after() -> None:
    with in_background(Settings(seconds=(1e6, 1e6))) as origin:
        poyo = Poyo(origin)
        statuses = [poyo.submit().status_code for _ in range(20)]

        refused = poyo.submit()

        assert statuses == [200] * 20
        assert refused.status_code == 429
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert "try again in" in refused.json()["error"]["message"]
        assert "Retry-After" not in refused.headers
        poyo.control("PUT", "clock", {"advance_seconds": 10})
        assert poyo.submit().status_code == 200


def test_an_empty_account_is_a_402_and_a_failed_task_gives_back() -> None:
    settings = Settings(seconds=(1e6, 1e6), credits=Decimal("3.5"))
    with in_background(settings) as origin:
        poyo = Poyo(origin)
        task_id = poyo.accepted()
        assert poyo.balance() == 1.5

        refused = poyo.submit()
        assert refused.status_code == 402
        assert refused.json()["error"]["type"] == "insufficient_credits_error"

        poyo.control("POST", f"tasks/{task_id}/fail", {"message": "Server exception"})
        assert poyo.balance() == 3.5
        assert poyo.submit().status_code == 200


def test_a_failed_task_is_a_200_with_an_error_message(slow_poyo: Poyo) -> None:
    task_id = slow_poyo.accepted()

    slow_poyo.control("POST", f"tasks/{task_id}/fail", {"message": "Server exception"})
    answer = slow_poyo.status(task_id)

    assert (answer.status_code, answer.json()["code"]) == (200, 200)
    told = answer.json()["data"]
    assert (told["status"], told["files"]) == ("failed", [])
    assert (told["error_message"], told["credits_amount"]) == ("Server exception", 0.0)
    assert slow_poyo.control("POST", f"tasks/{task_id}/finish")["code"] == 409


def test_the_status_of_an_unknown_task_is_a_404(poyo: Poyo) -> None:
    answer = poyo.status("AAAAAAAAAAAAAAAA")

    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "resource_not_found_error"


@pytest.mark.parametrize(("idempotency", "created"), [("honour", 1), ("ignore", 3)])
def test_an_idempotency_key_is_honoured_or_ignored(idempotency: str, created: int) -> None:
    with in_background(Settings(idempotency=idempotency)) as origin:
        poyo = Poyo(origin)

        ids = {poyo.accepted(idempotency_key="same") for _ in range(3)}

        tasks = poyo.control("GET", "tasks")["tasks"]
        assert len(ids) == len(tasks) == created
        assert tasks[0]["submits_with_key"] == 3
        assert poyo.balance() == 10_000 - 2 * created


def test_the_catalogue_is_public_and_cacheable(poyo: Poyo) -> None:
    url = f"{poyo.origin}/v1/catalog/models"
    page = requests.get(url, timeout=5)
    one = requests.get(f"{url}/gpt-image-2-edit", timeout=5).json()["data"]

    names = [item["model_id"] for item in page.json()["data"]["items"]]
    again = requests.get(url, headers={"If-None-Match": page.headers["ETag"]}, timeout=5)
    first = requests.get(url, params={"limit": 1}, timeout=5).json()["data"]

    assert names == ["gpt-image-2", "gpt-image-2-edit"]
    assert again.status_code == 304
    assert (first["has_more"], first["next_cursor"]) == (True, "1")
    assert one["billing"]["credits"]["high"]["4K"] == 64.16
    assert "image_urls" in one["input_schema"]["required"]
    assert requests.get(f"{url}/none", timeout=5).status_code == 404


def test_the_same_seed_and_submits_give_the_same_ids_and_pictures() -> None:
    seen = []
    for order in (("a", "b"), ("b", "a")):
        with in_background(AT_ONCE, seed="7") as origin:
            poyo = Poyo(origin)
            ids = {prompt: poyo.accepted(prompt) for prompt in order}
            seen.append((ids["a"], ids["b"], poyo.wait_for(ids["a"])["sha256"]))

    assert seen[0] == seen[1]


def test_the_journal_counts_submits_by_callback_url(poyo: Poyo) -> None:
    poyo.submit(callback_url=f"{NOBODY}/ours-1")
    newest = poyo.control("GET", "log?kind=submit")["newest"]
    poyo.submit("", callback_url=f"{NOBODY}/ours-1")

    events = poyo.events("submit")

    assert [(e["http"], e["created"]) for e in events] == [(200, True), (400, False)]
    assert all(e["callback_url"].endswith("/ours-1") for e in events)
    later = poyo.control("GET", f"log?since={newest}&kind=submit")["events"]
    assert [e["http"] for e in later] == [400]


def test_reset_makes_it_as_new(poyo: Poyo) -> None:
    task_id = poyo.accepted()
    poyo.wait_for(task_id)
    poyo.control("PUT", "faults", [{"fault": "submit-503"}])
    poyo.control("PUT", "settings", {"credits": 1})

    poyo.control("POST", "reset")

    assert poyo.status(task_id).status_code == 404
    assert poyo.control("GET", "faults")["rules"] == []
    assert poyo.control("GET", "log")["newest"] == 1
    assert poyo.balance() == 10_000
    poyo.wait_for(poyo.accepted())


@pytest.mark.parametrize("body", [{"speed": -1}, {"speed": "fast"}, {"advance_seconds": 1e99}])
def test_a_clock_that_does_not_fit_is_refused(poyo: Poyo, body: object) -> None:
    assert poyo.control("PUT", "clock", body)["code"] == 400


@pytest.mark.parametrize(
    "body",
    [[], {"speed": 3}, {"seconds": [3, 1]}, {"rate": -1}, {"rate": 1.5}, {"wrapped": "yes"}],
)
def test_a_setting_that_does_not_fit_is_refused(poyo: Poyo, body: object) -> None:
    assert poyo.control("PUT", "settings", body)["code"] == 400


def test_settings_change_while_it_runs_and_secrets_are_not_shown(poyo: Poyo) -> None:
    body = {"seconds": [1, 2], "wrapped": True, "webhook_key": "whsec_x", "callback_retries": 3}

    shown = poyo.control("PUT", "settings", body)

    assert (shown["seconds"], shown["wrapped"], shown["webhook_key"]) == ([1, 2], True, True)
    assert poyo.control("GET", "settings") == shown
    assert "keys" not in shown


def test_the_control_api_is_only_for_this_machine(poyo: Poyo) -> None:
    url = f"{poyo.origin}/control/tasks"

    answer = requests.get(url, headers={"Host": "evil.example"}, timeout=5)

    assert answer.status_code == 403
