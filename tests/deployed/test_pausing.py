"""`cli.orders` and `cli.reconcile` on the deployed stack: a pause holds from the next request on, and the balance of
the simulated PoYo falls by what tasks are charged."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable, Iterator

import pytest
import requests

from cli import orders, reconcile
from local.stack import NAME
from local.system import System
from tests.support.waiting import until

ORDER = {"model": "gpt-image-2", "input": {"prompt": "a lighthouse"}}


@pytest.fixture
def credentials(stack: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's, for the emulated AWS."""
    for name, value in stack.cloud.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)


@pytest.fixture
def run(
    stack: System, credentials: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], int]]:

    def command(line: str) -> int:
        monkeypatch.setattr(sys, "argv", ["orders", "--stack", NAME, *line.split()])
        return orders.main()

    yield command
    assert command("resume") == 0


def post(stack: System, path: str, key: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {stack.api_key}", "Idempotency-Key": key}
    return requests.post(f"{stack.url}{path}", json=ORDER, headers=headers, timeout=30)


def wait_for_image(stack: System, task_id: str) -> None:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    url = f"{stack.url}/v1/tasks/{task_id}"
    until(
        lambda: requests.get(url, headers=headers, timeout=30).json()["status"],
        lambda status: status == "finished",
    )


def test_paused_stack_refuses_new_orders_and_finishes_those_that_it_accepted(
    stack: System, run: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    accepted, refused = f"pause-{uuid.uuid4()}", f"pause-{uuid.uuid4()}"
    task_id = post(stack, "/v1/tasks", accepted).json()["task_id"]

    assert run("pause --reason testing") == 0
    response = post(stack, "/v1/tasks", refused)

    assert (response.status_code, response.json()["code"]) == (503, "orders_paused")
    assert post(stack, "/v1/tasks", accepted).json()["task_id"] == task_id
    assert post(stack, "/v1/quotes", accepted).status_code == 200
    wait_for_image(stack, task_id)
    assert run("status") == 0
    assert "(testing)" in capsys.readouterr().out

    assert run("resume") == 0
    assert post(stack, "/v1/tasks", refused).status_code == 202


@pytest.mark.usefixtures("credentials")
def test_balance_of_poyo_falls_by_what_a_task_is_charged(
    stack: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["reconcile", "--stack", NAME, "--json"])
    assert reconcile.main() == 0
    before = json.loads(capsys.readouterr().out)
    wait_for_image(stack, post(stack, "/v1/tasks", f"balance-{uuid.uuid4()}").json()["task_id"])

    assert reconcile.main() == 0
    after = json.loads(capsys.readouterr().out)

    balance = after["balance"]
    taken = balance["charged"] + balance["reserved"]
    assert balance["charged"] > 0
    assert balance["before"] == before["balance"]["credits"]
    assert balance["credits"] == balance["before"] - taken
    assert balance["unexplained"] == 0
