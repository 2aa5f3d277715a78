"""Orders while as many wait as PoYo accepts in half an hour: refused, before anything is created."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagetasks.aws.submit_account import ACCOUNT_PK
from imagetasks.clock import wall_clock_ms
from imagetasks.tasks.conditional_write import Condition, PutItem
from tests.support.api import ORDER, Api, assert_problem, loaded_api
from tests.support.environment import TestEnvironment


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def let_wait(api: Api, orders: int) -> None:
    """Let so many orders wait, the first of them for one turn."""
    starts = [wall_clock_ms()] * 20
    item = {"pk": ACCOUNT_PK, "revision": 1, "issued": orders, "starts": starts}
    TestEnvironment(api.cloud).table.put(PutItem(item=item, condition=Condition()))


def test_refused_order_gets_429_and_the_seconds_until_there_is_room(api: Api) -> None:
    let_wait(api, 4000)  # 201 turns, 10.3 s apart

    refused = api.create()

    assert_problem(refused, 429, "too_many_orders")
    assert 260 <= int(refused.headers["retry-after"]) <= 271
    assert refused.json["charged"] is False
    assert api.submit_count() == 0
    assert len(api.cloud.due_pks()) == 0


def test_same_key_is_accepted_when_there_is_room_again(api: Api) -> None:
    let_wait(api, 4000)
    api.create()
    let_wait(api, 100)

    accepted = api.create()

    assert (accepted.status, accepted.json["status"]) == (202, "not_started")
    assert [line["event"] for line in accepted.json["history"]] == ["accepted", "waiting"]


def test_replay_needs_no_room(api: Api) -> None:
    first = api.create()
    let_wait(api, 4000)

    again = api.create()

    assert (again.status, again.json["task_id"]) == (200, first.json["task_id"])


def test_poyo_client_gets_poyos_rate_limit_error(api: Api) -> None:
    let_wait(api, 4000)

    refused = api.request("POST", "/api/generate/submit", ORDER, idempotency_key="key")
    keyless = api.request("POST", "/api/generate/submit", ORDER)

    assert (refused.status, keyless.status) == (429, 429)
    assert refused.json["error"]["type"] == "rate_limit_error"
    assert int(refused.headers["retry-after"]) >= 260
    assert "retry-after" not in keyless.headers  # each further request would be another order
    assert api.cloud.due_pks() == set()
