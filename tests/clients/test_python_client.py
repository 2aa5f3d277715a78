"""The Python clients: an order is sent under one key however often it is sent, and every wait ends rightly."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagetasks_client import (
    ApiError,
    Client,
    ClientTimeoutError,
    ConnectionFailed,
    DamagedFile,
    TaskFailedError,
    ValidationError,
)
from tests.clients.scripted_service import (
    KEY,
    TASK_ID,
    Answer,
    ScriptedService,
    answer,
    image,
    problem,
    task,
)

PNG = b"\x89PNG\r\n\x1a\nimage"
ORDER = ("gpt-image-2", {"prompt": "A paper boat"})
LOST: list[Answer] = [
    httpx.ConnectError("refused"),
    httpx.ReadError("reset"),
    httpx.ReadTimeout("silent"),
    httpx.RemoteProtocolError("closed in the middle"),
]
GATEWAY: list[Answer] = [
    answer({"message": "Too Many Requests"}, 429),
    httpx.Response(502, text="<html>Bad Gateway</html>"),
    answer({"message": "Service Unavailable"}, 503),
    httpx.Response(504, text=""),
    httpx.Response(200, text="<html>Log in to this network</html>"),
]
AGAIN: list[Answer] = [
    problem(503, "service_unavailable", "same_key", retry_after=2),
    problem(429, "too_many_orders", "same_key", retry_after=30),
]


def accepted() -> httpx.Response:
    return answer(task("not_started"), 202, Retry_After="5")


@pytest.mark.parametrize("fault", LOST + GATEWAY + AGAIN)
def test_order_is_repeated_under_its_key(
    client: Any, service: ScriptedService, fault: Answer
) -> None:
    service.answers = [fault, fault, accepted()]
    handle = client.submit(*ORDER)
    assert handle.task_id == TASK_ID
    assert len(service.requests) == 3
    assert set(service.sent("Idempotency-Key")) == {handle.idempotency_key}
    assert len({each.content for each in service.requests}) == 1
    assert len(service.pauses) == 2
    assert all(pause > 0 for pause in service.pauses)


@pytest.mark.parametrize(
    "refusal",
    [
        problem(401, "unauthorized", "never"),
        problem(402, "insufficient_credits", "new_key", task_id=TASK_ID),
        problem(402, "budget_exhausted", "same_key", retry_after=86400, left=3.5),
        problem(410, "task_deleted", "never"),
        problem(500, "internal", "same_key"),
        problem(503, "orders_paused", "same_key"),
        httpx.Response(403, text="<html>Forbidden</html>"),
    ],
)
def test_answer_that_waiting_does_not_change_is_raised_at_once(
    client: Any, service: ScriptedService, refusal: httpx.Response
) -> None:
    service.answers = [refusal]
    with pytest.raises(ApiError) as raised:
        client.subscribe(*ORDER, idempotency_key="mine")
    assert len(service.requests) == 1
    assert raised.value.status == refusal.status_code
    assert raised.value.idempotency_key == "mine"


def test_problem_is_told_in_full(client: Any, service: ScriptedService) -> None:
    errors = [{"pointer": "/input/size", "detail": "must be one of 1:1, 3:2"}]
    service.answers = [problem(422, "invalid_order", "never", errors=errors)]
    with pytest.raises(ValidationError, match="must be one of 1:1, 3:2") as raised:
        client.quote(*ORDER)
    assert raised.value.field_errors == {"/input/size": "must be one of 1:1, 3:2"}
    assert (raised.value.code, raised.value.retry) == ("invalid_order", "never")
    assert (raised.value.charged, raised.value.request_id) == (False, "r-1")


def test_budget_problem_says_what_is_left(client: Any, service: ScriptedService) -> None:
    service.answers = [
        problem(402, "budget_exhausted", "never", left=3.45, resets_at="2026-11-29T00:00:00.000Z")
    ]
    with pytest.raises(ApiError) as raised:
        client.submit(*ORDER)
    assert raised.value.left == Decimal("3.45")
    assert raised.value.resets_at == "2026-11-29T00:00:00.000Z"


def test_order_that_gets_no_answer_names_the_key_that_finds_it(
    client: Any, service: ScriptedService
) -> None:
    service.answers = [httpx.ConnectError("refused")]
    with pytest.raises(ConnectionFailed) as raised:
        client.submit(*ORDER, idempotency_key="mine")
    assert raised.value.idempotency_key == "mine"
    assert 100 < sum(service.pauses) <= 120


def test_key_with_a_line_break_is_refused_without_a_repetition(
    client: Any, service: ScriptedService
) -> None:
    service.answers = [httpx.LocalProtocolError("Illegal header value")]
    with pytest.raises(ConnectionFailed):
        client.submit(*ORDER, idempotency_key="a\nb")
    assert len(service.requests) == 1


def test_subscribe_tells_the_id_and_each_state_and_polls_as_often_as_asked(
    client: Any, service: ScriptedService
) -> None:
    service.answers = [
        accepted(),
        answer(task(), ETag='"1"', Retry_After="7"),
        httpx.Response(304, headers={"ETag": '"1"', "Retry-After": "7"}),
        answer(task("finished"), ETag='"2"'),
    ]
    told: list[Any] = []
    done = client.subscribe(
        *ORDER,
        idempotency_key="mine",
        on_enqueue=lambda *given: told.append(given),
        on_update=lambda state: told.append(state.status),
    )
    assert done.status == "finished"
    assert told == [(TASK_ID, "mine"), "running", "finished"]
    assert service.pauses == [7.0, 7.0]
    assert service.sent("If-None-Match") == [None, None, '"1"', '"1"']
    assert all("wait" not in str(each.url) for each in service.requests)


def test_long_poll_is_used_where_it_is_asked_for(client: Any, service: ScriptedService) -> None:
    service.answers = [answer(task(), ETag='"1"'), answer(task("finished"), ETag='"2"')]
    assert client.get_handle(TASK_ID).get(long_poll=True).status == "finished"
    assert [each.url.params["wait"] for each in service.requests] == ["20", "20"]


@pytest.mark.parametrize("fault", LOST + GATEWAY + AGAIN)
def test_wait_goes_on_after_a_fault(client: Any, service: ScriptedService, fault: Answer) -> None:
    service.answers = [answer(task(), ETag='"1"'), fault, fault, answer(task("finished"))]
    assert client.get_handle(TASK_ID).get().status == "finished"


def test_wait_ends_when_the_task_is_gone_or_the_key_was_revoked(
    client: Any, service: ScriptedService
) -> None:
    for refusal in (problem(404, "no_such_task", "never"), problem(401, "unauthorized", "never")):
        service.answers = [answer(task()), refusal]
        with pytest.raises(ApiError) as raised:
            client.get_handle(TASK_ID).get()
        assert (raised.value.status, raised.value.task_id) == (refusal.status_code, TASK_ID)


def test_wait_of_a_service_that_is_gone_ends_with_the_tasks_id(
    client: Any, service: ScriptedService
) -> None:
    service.answers = [accepted(), httpx.ConnectError("refused")]
    with pytest.raises(ConnectionFailed) as raised:
        client.subscribe(*ORDER)
    assert raised.value.task_id == TASK_ID


def test_clients_timeout_cancels_nothing_and_names_the_task(
    client: Any, service: ScriptedService
) -> None:
    service.answers = [accepted(), answer(task())]
    with pytest.raises(ClientTimeoutError) as raised:
        client.subscribe(*ORDER, client_timeout_s=12)
    assert raised.value.task_id == TASK_ID
    assert sum(service.pauses) == 12
    assert {each.method for each in service.requests} == {"POST", "GET"}


def test_clients_timeout_before_an_answer_names_the_key(
    client: Any, service: ScriptedService
) -> None:
    service.answers = [httpx.ReadTimeout("silent")]
    with pytest.raises(ClientTimeoutError) as raised:
        client.subscribe(*ORDER, idempotency_key="mine", client_timeout_s=12)
    assert (raised.value.task_id, raised.value.idempotency_key) == (None, "mine")
    assert "mine" in str(raised.value)


def test_no_request_outlasts_the_clients_timeout(client: Any, service: ScriptedService) -> None:
    service.answers = [accepted(), answer(task("finished"))]
    client.subscribe(*ORDER, client_timeout_s=12)
    timeouts = [each.extensions["timeout"]["read"] for each in service.requests]
    assert max(timeouts) <= 12


def test_failed_task_is_raised_with_its_reason(client: Any, service: ScriptedService) -> None:
    error = {"code": "moderated", "message": "refused", "retry": "never", "charged": False}
    service.answers = [accepted(), answer(task("failed", error=error))]
    with pytest.raises(TaskFailedError, match="refused") as raised:
        client.subscribe(*ORDER)
    assert raised.value.task.error is not None
    assert raised.value.task.error.charged is False


def test_events_end_with_a_failed_task(client: Any, service: ScriptedService) -> None:
    error = {"code": "upstream", "message": "failed", "retry": "new_key", "charged": False}
    service.answers = [answer(task(progress=40)), answer(task("failed", error=error))]
    states = [(each.status, each.progress) for each in client.get_handle(TASK_ID).iter_events()]
    assert states == [("running", 40.0), ("failed", None)]


def test_many_tasks_are_watched_with_one_request_for_a_hundred(
    client: Any, service: ScriptedService
) -> None:
    ids = [f"{n:026d}".translate(str.maketrans("01", "ab")) for n in range(150)]
    rounds: dict[str, int] = {}

    def respond(request: httpx.Request) -> httpx.Response:
        asked = request.url.params["task_ids"].split(",")
        assert len(asked) <= 100
        for each in asked:
            rounds[each] = rounds.get(each, 0) + 1
        tasks = [
            task("finished" if rounds[each] > 1 else "running", task_id=each)
            for each in asked
            if each != ids[0]
        ]
        gone = [each for each in asked if each == ids[0]]
        body = {"tasks": tasks, "not_found": gone, "remaining": []}
        return answer(body, Retry_After="5")

    service.answers = [respond]
    seen = [(each.task_id, each.status) for each in client.watch(ids)]
    assert len(seen) == 2 * 149
    assert {each for each, status in seen if status == "finished"} == set(ids[1:])
    assert len(service.requests) == 4


def test_watched_tasks_that_did_not_fit_are_asked_for_at_once(
    client: Any, service: ScriptedService
) -> None:
    ids = ["a" * 26, "b" * 26]
    service.answers = [
        answer(
            {"tasks": [task("finished", task_id=ids[0])], "not_found": [], "remaining": [ids[1]]}
        ),
        answer({"tasks": [task("finished", task_id=ids[1])], "not_found": [], "remaining": []}),
    ]
    assert [each.task_id for each in client.watch(ids)] == ids
    assert service.pauses == []


def test_path_in_an_input_is_uploaded_to_the_bucket_without_the_key(
    client: Any, service: ScriptedService, tmp_path: Path
) -> None:
    (tmp_path / "boat.png").write_bytes(PNG)
    form = {"method": "POST", "url": "https://bucket.example/", "fields": {"policy": "signed"}}
    service.answers = [
        answer({"file_url": "upload://abc", "upload": form}, 201),
        httpx.Response(204),
        accepted(),
    ]
    client.submit("gpt-image-2-edit", {"prompt": "Snow", "image_urls": [tmp_path / "boat.png"]})
    target, upload, order = service.requests
    assert json.loads(target.content) == {"content_type": "image/png"}
    assert upload.url.host == "bucket.example"
    assert "Authorization" not in upload.headers
    assert upload.content.index(b"signed") < upload.content.index(PNG)
    assert json.loads(order.content)["input"]["image_urls"] == ["upload://abc"]


def test_file_that_is_no_image_is_refused_before_anything_is_sent(
    client: Any, service: ScriptedService, tmp_path: Path
) -> None:
    (tmp_path / "boat.png").write_bytes(PNG)
    (tmp_path / "notes.png").write_bytes(b"notes")
    paths = [tmp_path / "boat.png", tmp_path / "notes.png"]
    with pytest.raises(ValueError, match=r"notes\.png is not a PNG, JPEG or WebP"):
        client.submit("gpt-image-2-edit", {"prompt": "Snow", "image_urls": paths})
    assert service.requests == []


def test_image_is_saved_whole_and_checked_and_the_file_host_gets_no_foreign_key(
    client: Any, service: ScriptedService, tmp_path: Path
) -> None:
    done = task("finished", files=[image(PNG, hashlib.sha256(PNG).hexdigest())])
    moved = httpx.Response(302, headers={"Location": "https://bucket.example/signed"})
    service.answers = [answer(done), moved, httpx.Response(200, content=PNG)]
    finished = client.get_handle(TASK_ID).get()
    [path] = client.save(finished, tmp_path, "boat")
    assert path == tmp_path / "boat.png"
    assert path.read_bytes() == PNG
    assert [each.headers.get("Authorization") for each in service.requests[1:]] == [None, None]


def test_damaged_image_is_not_saved(client: Any, service: ScriptedService, tmp_path: Path) -> None:
    done = task("finished", files=[image(PNG, hashlib.sha256(PNG).hexdigest())])
    service.answers = [answer(done), httpx.Response(200, content=PNG[:-1])]
    finished = client.get_handle(TASK_ID).get()
    with pytest.raises(DamagedFile):
        client.save(finished, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_credits_are_exact(client: Any, service: ScriptedService) -> None:
    service.answers = [answer(task())]
    assert client.get_handle(TASK_ID).status().credits.estimated == Decimal("2.16")


def test_quote_says_whether_the_budget_allows_the_order(
    client: Any, service: ScriptedService
) -> None:
    body = {
        "model": "gpt-image-2",
        "credits": 33.76,
        "usd": 0.1688,
        "exact": True,
        "billed_resolution": "2K",
        "typical_seconds": 90,
        "budget": {"allowed": False, "scope": "owner", "left": 3, "resets_at": None},
        "paused": False,
        "warnings": [{"pointer": "/input/resolution", "detail": "billed at 2K"}],
    }
    service.answers = [answer(body)]
    quote = client.quote(*ORDER)
    assert (quote.credits, quote.usd, quote.allowed) == (Decimal("33.76"), Decimal("0.1688"), False)
    assert quote.warnings == ("billed at 2K",)


def test_list_goes_through_all_pages(client: Any, service: ScriptedService) -> None:
    service.answers = [
        answer({"tasks": [task()], "next_cursor": "c"}),
        answer({"tasks": [], "next_cursor": "d"}),
        answer({"tasks": [task("finished")], "next_cursor": None}),
    ]
    assert [each.status for each in client.tasks()] == ["running", "finished"]
    assert [each.url.params.get("cursor") for each in service.requests] == [None, "c", "d"]


def test_server_key_acts_for_its_owner(service: ScriptedService) -> None:
    service.answers = [answer(task())]
    with Client("https://images.example", KEY, "ada", transport=service) as client:
        client.get_handle(TASK_ID).status()
    assert service.sent("X-Owner") == ["ada"]
    assert service.sent("Authorization") == [f"Bearer {KEY}"]


def test_settings_come_from_the_environment_and_a_missing_one_is_named(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IMAGETASKS_URL", "IMAGETASKS_KEY", "IMAGETASKS_OWNER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="set IMAGETASKS_URL"):
        Client()
    monkeypatch.setenv("IMAGETASKS_URL", "https://images.example")
    with pytest.raises(ValueError, match="set IMAGETASKS_KEY"):
        Client()
    monkeypatch.setenv("IMAGETASKS_KEY", KEY)
    service.answers = [answer(task())]
    with Client(transport=service) as client:
        assert client.get_handle(TASK_ID).status().task_id == TASK_ID
    with pytest.raises(ValueError, match="no http address"):
        Client("images.example")


def test_models_are_those_of_the_catalog(client: Any, service: ScriptedService) -> None:
    items = [{"model_id": "gpt-image-2", "input_schema": {"type": "object"}}]
    service.answers = [answer({"code": 200, "data": {"schema_version": "1.0", "items": items}})]
    assert client.models() == items
