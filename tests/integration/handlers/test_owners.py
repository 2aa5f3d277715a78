"""Owners: each server key, and each user that a server key acts for, has tasks of its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from imagetasks.tasks import signed_urls
from tests.support.api import ORDER, Api, assert_problem, loaded_api
from tests.support.emulated_aws import OTHER_SERVER_KEY, SERVER_KEY

# Owners that could be confused with each other: the server keys are named `owner` and `other`.
CALLERS: list[dict[str, str]] = [
    {"key": key, **({"x_owner": user} if user else {})}
    for key, user in product(
        (SERVER_KEY, OTHER_SERVER_KEY),
        ("", "ada", "Ada", "owner", "other", "ada@example.com", "auth0|abc", "auth0"),
    )
]


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as api:
        yield api


def test_same_order_and_key_of_each_caller_is_a_separate_task(api: Api) -> None:
    responses = [api.create(**caller) for caller in CALLERS]

    assert {response.status for response in responses} == {202}
    assert len({response.json["task_id"] for response in responses}) == len(CALLERS)
    assert api.submit_count() == len(CALLERS)
    for caller, response in zip(CALLERS, responses, strict=True):
        assert api.create(**caller).json["task_id"] == response.json["task_id"]
    assert api.submit_count() == len(CALLERS)


def test_each_caller_reads_lists_and_deletes_only_its_own_tasks(api: Api) -> None:
    task_ids = [api.create(**caller).json["task_id"] for caller in CALLERS]

    for own, caller in enumerate(CALLERS):
        [listed] = api.get("/v1/tasks", **caller).json["tasks"]
        assert listed["task_id"] == task_ids[own]
        statuses = [api.get(f"/v1/tasks/{each}", **caller).status for each in task_ids]
        assert [status == 200 for status in statuses] == [
            each == task_ids[own] for each in task_ids
        ]
    for own, caller in enumerate(CALLERS):
        others = [each for each in task_ids if each != task_ids[own]]
        for each in others[:3]:
            assert_problem(
                api.request("DELETE", f"/v1/tasks/{each}", **caller), 404, "no_such_task"
            )
    for own, caller in enumerate(CALLERS):
        assert api.request("DELETE", f"/v1/tasks/{task_ids[own]}", **caller).status == 204
        assert api.get("/v1/tasks", **caller).json["tasks"] == []


@pytest.mark.parametrize("user", ["a", "x" * 128, "0", ".", "..", "a.b-c_d~e@f:g+h", "null"])
def test_user_may_have_any_name_of_letters_digits_and_allowed_signs(api: Api, user: str) -> None:
    task_id = api.create(x_owner=user).json["task_id"]

    assert api.get(f"/v1/tasks/{task_id}", x_owner=user).status == 200
    assert api.get(f"/v1/tasks/{task_id}").status == 404


def test_user_name_is_neither_shown_nor_sent_to_poyo(api: Api) -> None:
    response = api.create(ORDER, x_owner="canary-user")

    assert "canary-user" not in response.body
    assert "canary-user" not in str(response.headers)
    [sent] = api.poyo.requests
    assert b"canary-user" not in sent


def test_signed_file_url_works_for_every_caller(api: Api) -> None:
    finished = api.put_finished(owner="owner/ada", owner_key="owner/ada")
    path = signed_urls.file_path(finished.file_url_key, finished.task_id, 0)

    for caller in ({"key": None}, {"key": OTHER_SERVER_KEY}, {"x_owner": "other"}):
        assert api.request("GET", path, **caller).status == 302


def test_cursor_of_another_owner_lists_only_ones_own_tasks(
    api: Api,
) -> None:
    for n in range(3):
        api.create(idempotency_key=f"own{n}")
        api.create(idempotency_key=f"other{n}", key=OTHER_SERVER_KEY)
    cursor = api.get("/v1/tasks?limit=1", key=OTHER_SERVER_KEY).json["next_cursor"]

    page = api.get(f"/v1/tasks?cursor={cursor}").json["tasks"]

    own = {each["task_id"] for each in api.get("/v1/tasks").json["tasks"]}
    assert len(own) == 3
    assert {each["task_id"] for each in page} <= own
