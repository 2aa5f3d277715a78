"""The simulated PoYo's HTTP endpoints and its control API."""

import asyncio
import hashlib
import io
import re
import time
from decimal import Decimal
from typing import Any

import pytest
import requests
from PIL import Image

from imagetasks.poyo.model_catalog import models
from local.poyo_simulator.background_server import in_background
from local.poyo_simulator.images import ImageCache
from local.poyo_simulator.orders import read_order
from local.poyo_simulator.settings import Settings
from local.poyo_simulator.tasks import Task
from tests.local.simulator_client import INSTANT, UNREACHABLE, SimulatorClient


def test_a_submit_returns_an_id_and_a_timestamp_without_time_zone(
    slow_poyo: SimulatorClient,
) -> None:
    response = slow_poyo.submit().json()

    assert response["code"] == 200
    assert response["data"]["status"] == "not_started"
    assert re.fullmatch(r"[A-Z0-9]{16}", response["data"]["task_id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", response["data"]["created_time"])


def test_a_finished_task_has_floats_and_one_file(poyo: SimulatorClient) -> None:
    task_id = poyo.submit_task()
    poyo.wait_for(task_id)

    status = poyo.task_status(task_id)

    assert status["status"] == "finished"
    assert (status["progress"], status["credits_amount"]) == (100.0, 2.0)
    assert isinstance(status["progress"], float)
    assert isinstance(status["credits_amount"], float)
    url = f"{poyo.origin}/files/{task_id}/{task_id}.png"
    assert status["files"] == [{"file_url": url, "file_type": "image"}]
    assert "error_message" not in status


def test_a_task_goes_from_not_started_through_running_to_finished() -> None:
    with in_background(Settings(seconds=(100.0, 100.0))) as origin:
        poyo = SimulatorClient(origin)
        task_id = poyo.submit_task()
        assert poyo.task_status(task_id)["status"] == "not_started"

        poyo.control("PUT", "clock", {"advance_seconds": 60})
        poyo.wait_for(task_id, "running")
        status = poyo.task_status(task_id)
        assert 45 < status["progress"] < 60
        assert (status["files"], status["credits_amount"]) == ([], None)

        poyo.control("PUT", "clock", {"advance_seconds": 60})
        poyo.wait_for(task_id, "finished")


def test_a_faster_clock_shortens_the_wait_of_a_task_in_progress() -> None:
    with in_background(Settings(seconds=(3600.0, 3600.0))) as origin:
        poyo = SimulatorClient(origin)
        task_id = poyo.submit_task()
        started = time.monotonic()

        poyo.control("PUT", "clock", {"speed": 36_000})
        task = poyo.wait_for(task_id)

        assert time.monotonic() - started < 15
        assert task["ended"] - task["created"] >= 3600


def test_a_clock_at_speed_zero_stops() -> None:
    with in_background(Settings(seconds=(0.1, 0.1)), speed=0) as origin:
        poyo = SimulatorClient(origin)
        task_id = poyo.submit_task()
        time.sleep(0.2)
        assert poyo.task(task_id)["state"] == "not_started"

        poyo.control("PUT", "clock", {"advance_seconds": 1})
        poyo.wait_for(task_id)


@pytest.mark.parametrize(
    "header", [None, "sk-local-poyo", "Bearer sk-other", "bearer sk-local-poyo", "Bearer "]
)
def test_a_request_without_a_valid_bearer_key_gets_401(
    poyo: SimulatorClient, header: str | None
) -> None:
    headers = {"Authorization": header} if header else {}
    paths = ("api/user/balance", "api/generate/status/X")
    responses = [requests.get(f"{poyo.origin}/{p}", headers=headers, timeout=5) for p in paths]
    responses.append(
        requests.post(f"{poyo.origin}/api/generate/submit", headers=headers, json={}, timeout=5)
    )

    for response in responses:
        assert response.status_code == 401
        assert response.json()["code"] == 401
        assert response.json()["error"]["message"] == "Invalid API key"


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
def test_unknown_values_are_rejected_without_a_charge(
    poyo: SimulatorClient, given: dict[str, Any], status: int, kind: str
) -> None:
    response = poyo.submit(**given)

    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert response.json()["code"] == status
    assert poyo.balance() == 10_000


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 200_000, b'{"model": "gpt-image-2"}'])
def test_a_body_that_is_not_an_order_gets_400(poyo: SimulatorClient, body: bytes) -> None:
    url = f"{poyo.origin}/api/generate/submit"

    response = requests.post(url, data=body, headers=poyo.auth, timeout=5)

    assert (response.status_code, response.json()["error"]["type"]) == (400, "validation_error")


def test_unknown_fields_are_dropped_and_the_task_is_charged(poyo: SimulatorClient) -> None:
    task_id = poyo.submit_task(aspect_ratio="16:9", strength=3)

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
def test_the_image_has_the_billed_size_and_price(
    poyo: SimulatorClient,
    given: dict[str, str],
    billed: str,
    price: float,
    dimensions: tuple[int, int],
) -> None:
    task_id = poyo.submit_task(**given)
    task = poyo.wait_for(task_id)

    image = Image.open(io.BytesIO(poyo.file(task_id).content))
    image.load()

    assert (image.format, image.size) == ("PNG", dimensions)
    assert (task["billed"], task["credits"]) == (billed, price)
    assert poyo.task_status(task_id)["credits_amount"] == price
    assert poyo.balance() == pytest.approx(10_000 - price)


def test_an_edit_takes_several_images_and_produces_one(poyo: SimulatorClient) -> None:
    urls = ["https://example.com/a.png", "https://example.com/b.png"]

    task_id = poyo.submit_task(model="gpt-image-2-edit", image_urls=urls)

    assert poyo.wait_for(task_id)["input"]["image_urls"] == urls


def test_the_file_is_the_image_that_the_control_api_returns(poyo: SimulatorClient) -> None:
    task_id = poyo.submit_task()
    task = poyo.wait_for(task_id)

    response = poyo.file(task_id)
    drawn = requests.get(f"{poyo.origin}/control/tasks/{task_id}/image", timeout=5).content

    assert response.headers["Content-Type"] == "image/png"
    assert response.content == drawn
    assert hashlib.sha256(drawn).hexdigest() == task["sha256"]
    assert len(drawn) == task["bytes"]
    assert poyo.task(task_id)["file_reads"] == 1


def test_an_evicted_image_is_drawn_again_with_the_same_bytes(poyo: SimulatorClient) -> None:
    first = poyo.submit_task(size="16:9", resolution="4K")
    before = poyo.wait_for(first)["sha256"]
    for number in range(40):
        poyo.submit_task(f"Image {number}", size="1040x640", resolution="2K")
    poyo.control("GET", "tasks")

    after = hashlib.sha256(poyo.file(first).content).hexdigest()

    assert after == before


def test_only_the_last_images_stay_in_memory() -> None:
    order = read_order({"model": "gpt-image-2", "input": {"prompt": "A lighthouse"}}, None)

    async def kept_after(count: int) -> list[str]:
        cache = ImageCache()
        for number in range(count):
            task = Task(str(number), order, 0, 0, 0, "http://127.0.0.1", order.credits)
            await cache.get(task)
        cache.close()
        return list(cache._cached)

    assert asyncio.run(kept_after(36)) == [f"{number}.png" for number in range(4, 36)]


def test_a_file_is_available_only_from_the_end_of_its_task_until_it_expires(
    slow_poyo: SimulatorClient,
) -> None:
    task_id = slow_poyo.submit_task()
    assert slow_poyo.file(task_id).status_code == 404

    slow_poyo.control("POST", f"tasks/{task_id}/finish")
    assert slow_poyo.file(task_id).status_code == 200

    slow_poyo.control("PUT", "clock", {"advance_seconds": 23.9 * 3600})
    assert slow_poyo.file(task_id).status_code == 200

    slow_poyo.control("PUT", "clock", {"advance_seconds": 0.2 * 3600})
    assert slow_poyo.file(task_id).status_code == 404


def test_head_on_a_file_gets_403(poyo: SimulatorClient) -> None:
    task_id = poyo.submit_task()
    poyo.wait_for(task_id)

    response = requests.head(f"{poyo.origin}/files/{task_id}/{task_id}.png", timeout=5)

    assert response.status_code == 403


def test_the_21st_submit_in_10_seconds_gets_429_without_retry_after() -> None:
    with in_background(Settings(seconds=(1e6, 1e6))) as origin:
        poyo = SimulatorClient(origin)
        statuses = [poyo.submit().status_code for _ in range(20)]

        rejected = poyo.submit()

        assert statuses == [200] * 20
        assert rejected.status_code == 429
        assert rejected.json()["error"]["type"] == "rate_limit_error"
        assert "try again in" in rejected.json()["error"]["message"]
        assert "Retry-After" not in rejected.headers
        poyo.control("PUT", "clock", {"advance_seconds": 10})
        assert poyo.submit().status_code == 200


def test_an_empty_account_gets_402_and_a_failed_task_is_refunded() -> None:
    settings = Settings(seconds=(1e6, 1e6), credits=Decimal("3.5"))
    with in_background(settings) as origin:
        poyo = SimulatorClient(origin)
        task_id = poyo.submit_task()
        assert poyo.balance() == 1.5

        rejected = poyo.submit()
        assert rejected.status_code == 402
        assert rejected.json()["error"]["type"] == "insufficient_credits_error"

        poyo.control("POST", f"tasks/{task_id}/fail", {"message": "Server exception"})
        assert poyo.balance() == 3.5
        assert poyo.submit().status_code == 200


def test_the_status_of_a_failed_task_is_200_with_an_error_message(
    slow_poyo: SimulatorClient,
) -> None:
    task_id = slow_poyo.submit_task()

    slow_poyo.control("POST", f"tasks/{task_id}/fail", {"message": "Server exception"})
    response = slow_poyo.status(task_id)

    assert (response.status_code, response.json()["code"]) == (200, 200)
    status = response.json()["data"]
    assert (status["status"], status["files"]) == ("failed", [])
    assert (status["error_message"], status["credits_amount"]) == ("Server exception", 0.0)
    assert slow_poyo.control("POST", f"tasks/{task_id}/finish")["code"] == 409


def test_the_status_of_an_unknown_task_is_404(poyo: SimulatorClient) -> None:
    response = poyo.status("AAAAAAAAAAAAAAAA")

    assert response.status_code == 404
    assert response.json()["error"]["type"] == "resource_not_found_error"


@pytest.mark.parametrize(("idempotency", "created"), [("honour", 1), ("ignore", 3)])
def test_an_idempotency_key_is_honoured_or_ignored(idempotency: str, created: int) -> None:
    with in_background(Settings(idempotency=idempotency)) as origin:
        poyo = SimulatorClient(origin)

        ids = {poyo.submit_task(idempotency_key="same") for _ in range(3)}

        tasks = poyo.control("GET", "tasks")["tasks"]
        assert len(ids) == len(tasks) == created
        assert tasks[0]["submits_with_key"] == 3
        assert poyo.balance() == 10_000 - 2 * created


def test_the_catalog_is_public_and_cacheable(poyo: SimulatorClient) -> None:
    url = f"{poyo.origin}/v1/catalog/models"
    page = requests.get(url, timeout=5)
    one = requests.get(f"{url}/gpt-image-2-edit", timeout=5).json()["data"]

    items = page.json()["data"]["items"]
    again = requests.get(url, headers={"If-None-Match": page.headers["ETag"]}, timeout=5)
    first = requests.get(url, params={"limit": 1}, timeout=5).json()["data"]

    assert [item["model_id"] for item in items] == sorted(models())[:50]
    assert again.status_code == 304
    assert (first["has_more"], first["next_cursor"]) == (True, "1")
    assert one["billing"]["price_table"]["high"]["4K"] == 64.16
    assert "image_urls" in one["input_schema"]["properties"]
    assert requests.get(f"{url}/none", timeout=5).status_code == 404


def test_the_same_seed_and_submits_give_the_same_ids_and_images() -> None:
    seen = []
    for order in (("a", "b"), ("b", "a")):
        with in_background(INSTANT, seed="7") as origin:
            poyo = SimulatorClient(origin)
            ids = {prompt: poyo.submit_task(prompt) for prompt in order}
            seen.append((ids["a"], ids["b"], poyo.wait_for(ids["a"])["sha256"]))

    assert seen[0] == seen[1]


def test_the_log_lists_every_submit_with_its_callback_url(poyo: SimulatorClient) -> None:
    poyo.submit(callback_url=f"{UNREACHABLE}/ours-1")
    newest = poyo.control("GET", "log?kind=submit")["newest"]
    poyo.submit("", callback_url=f"{UNREACHABLE}/ours-1")

    events = poyo.events("submit")

    assert [(e["http"], e["created"]) for e in events] == [(200, True), (400, False)]
    assert all(e["callback_url"].endswith("/ours-1") for e in events)
    later = poyo.control("GET", f"log?since={newest}&kind=submit")["events"]
    assert [e["http"] for e in later] == [400]


def test_reset_restores_the_initial_state(poyo: SimulatorClient) -> None:
    task_id = poyo.submit_task()
    poyo.wait_for(task_id)
    poyo.control("PUT", "faults", [{"fault": "submit-503"}])
    poyo.control("PUT", "settings", {"credits": 1})

    poyo.control("POST", "reset")

    assert poyo.status(task_id).status_code == 404
    assert poyo.control("GET", "faults")["rules"] == []
    assert poyo.control("GET", "log")["newest"] == 1
    assert poyo.balance() == 10_000
    poyo.wait_for(poyo.submit_task())


@pytest.mark.parametrize("body", [{"speed": -1}, {"speed": "fast"}, {"advance_seconds": 1e99}])
def test_an_invalid_clock_value_is_rejected(poyo: SimulatorClient, body: object) -> None:
    assert poyo.control("PUT", "clock", body)["code"] == 400


@pytest.mark.parametrize(
    "body",
    [[], {"speed": 3}, {"seconds": [3, 1]}, {"rate": -1}, {"rate": 1.5}, {"wrapped": "yes"}],
)
def test_an_invalid_setting_is_rejected(poyo: SimulatorClient, body: object) -> None:
    assert poyo.control("PUT", "settings", body)["code"] == 400


def test_settings_can_change_while_it_runs_and_secrets_are_not_returned(
    poyo: SimulatorClient,
) -> None:
    body = {"seconds": [1, 2], "wrapped": True, "webhook_key": "whsec_x", "callback_retries": 3}

    shown = poyo.control("PUT", "settings", body)

    assert (shown["seconds"], shown["wrapped"], shown["webhook_key"]) == ([1, 2], True, True)
    assert poyo.control("GET", "settings") == shown
    assert "keys" not in shown


def test_the_control_api_rejects_other_host_names(poyo: SimulatorClient) -> None:
    url = f"{poyo.origin}/control/tasks"

    response = requests.get(url, headers={"Host": "evil.example"}, timeout=5)

    assert response.status_code == 403
