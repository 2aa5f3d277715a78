"""Owners: a server key's own tasks, and those of each user that it acts for, apart from one another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from imagetasks.tasks import signed_urls
from tests.support.environment import SERVER_KEY
from tests.support.lambdas import ORDER, OTHER_SERVER_KEY, Api, assert_problem, loaded_api

# Whoever may be confused with somebody else: keys are named `owner` and `stranger`.
CALLERS: list[dict[str, str]] = [
    {"key": key, **({"x_owner": user} if user else {})}
    for key, user in product(
        (SERVER_KEY, OTHER_SERVER_KEY), ("", "ada", "Ada", "owner", "stranger", "ada@example.com")
    )
]


@pytest.fixture
def api() -> Iterator[Api]:
    with loaded_api() as made:
        yield made


def test_the_same_order_of_each_caller_is_a_task_of_its_own(api: Api) -> None:
    made = [api.create(**caller) for caller in CALLERS]

    assert {answer.status for answer in made} == {202}
    assert len({answer.json["task_id"] for answer in made}) == len(CALLERS)
    assert api.submit_count() == len(CALLERS)
    for caller, answer in zip(CALLERS, made, strict=True):
        assert api.create(**caller).json["task_id"] == answer.json["task_id"]
    assert api.submit_count() == len(CALLERS)


def test_each_caller_sees_deletes_and_lists_its_own_alone(api: Api) -> None:
    made = [api.create(**caller).json["task_id"] for caller in CALLERS]

    for mine, caller in enumerate(CALLERS):
        [listed] = api.get("/v1/tasks", **caller).json["tasks"]
        assert listed["task_id"] == made[mine]
        seen = [api.get(f"/v1/tasks/{each}", **caller).status for each in made]
        assert [status == 200 for status in seen] == [each == made[mine] for each in made]
    for mine, caller in enumerate(CALLERS):
        others = [each for each in made if each != made[mine]]
        for each in others[:3]:
            assert_problem(
                api.request("DELETE", f"/v1/tasks/{each}", **caller), 404, "no_such_task"
            )
    for mine, caller in enumerate(CALLERS):
        assert api.request("DELETE", f"/v1/tasks/{made[mine]}", **caller).status == 204
        assert api.get("/v1/tasks", **caller).json["tasks"] == []


@pytest.mark.parametrize("user", ["a", "x" * 128, "0", ".", "..", "a.b-c_d~e@f:g+h", "null"])
def test_a_user_may_have_any_name_that_a_header_carries(api: Api, user: str) -> None:
    task_id = api.create(x_owner=user).json["task_id"]

    assert api.get(f"/v1/tasks/{task_id}", x_owner=user).status == 200
    assert api.get(f"/v1/tasks/{task_id}").status == 404


def test_a_user_is_not_named_in_what_is_shown(api: Api) -> None:
    answer = api.create(ORDER, x_owner="canary-user")

    assert "canary-user" not in answer.body
    assert "canary-user" not in str(answer.headers)
    [sent] = api.poyo.requests
    assert b"canary-user" not in sent


def test_a_file_link_works_for_whoever_has_it(api: Api) -> None:
    made = api.put_finished(owner="owner/ada", owner_key="owner/ada")
    link = signed_urls.file_path(made.file_url_key, made.task_id, 0)

    for caller in ({"key": None}, {"key": OTHER_SERVER_KEY}, {"x_owner": "other"}):
        assert api.request("GET", link, **caller).status == 302


def test_one_page_of_a_list_continues_with_ones_own_tasks_whoever_made_its_cursor(
    api: Api,
) -> None:
    for n in range(3):
        api.create(idempotency_key=f"mine{n}")
        api.create(idempotency_key=f"theirs{n}", key=OTHER_SERVER_KEY)
    theirs = api.get("/v1/tasks?limit=1", key=OTHER_SERVER_KEY).json["next_cursor"]

    shown = api.get(f"/v1/tasks?cursor={theirs}").json["tasks"]

    mine = {each["task_id"] for each in api.get("/v1/tasks").json["tasks"]}
    assert len(mine) == 3
    assert {each["task_id"] for each in shown} <= mine
