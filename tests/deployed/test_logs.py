"""A canary goes through everything the deployed stack does, and no log of it tells what opens a door."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from local.stack import CALLBACK_KEYS
from local.system import System
from tests.deployed.test_journeys import ENDED, until
from tests.fixtures.images import png
from tests.support.environment import template
from tests.support.notification_receiver import NotificationReceiver

CANARY = f"canary{uuid.uuid4().hex}"  # in everything that a caller says
SHORTEST = 12  # characters: what is shorter says nothing, and is found by chance
GROUPS = ("ApiLogs", "WebhookLogs", "WorkerLogs", "SweepLogs", "AccessLogs")
PROVOKED = (
    ("ApiLogs", '"account_refused"'),
    ("ApiLogs", '"refused"'),
    ("WebhookLogs", '"callback_received"'),
    ("WorkerLogs", '"copy_failed"'),
    ("WorkerLogs", '"download_refused"'),
    ("WorkerLogs", '"transition":"fail"'),
    ("SweepLogs", '"swept"'),
)
SHOWN_IN_ACCESS_LOG = {
    "requestId", "routeKey", "status", "responseLatency", "responseLength", "identity.sourceIp",
    "integrationErrorMessage",
}  # fmt: skip


@dataclass
class Caller:
    """A caller whose every word is a canary, and who remembers what opens a door."""

    system: System
    receiver: NotificationReceiver
    told: set[str] = field(default_factory=lambda: {CANARY})
    tasks: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> requests.Response:
        usual = {"Authorization": f"Bearer {self.system.api_key}"}
        return requests.request(
            method,
            self.system.url + path,
            json=body,
            headers=usual | {name.replace("_", "-"): value for name, value in headers.items()},
            allow_redirects=False,
            timeout=40,
        )

    def order(self, prompt: str, **further: Any) -> str:
        body = {
            "model": "gpt-image-2",
            "input": {"prompt": f"{prompt} {CANARY}-prompt", **further.pop("input", {})},
            "metadata": {"note": f"{CANARY}-metadata"},
        }
        key = f"{CANARY}-{uuid.uuid4()}"
        answer = self.ask("POST", "/v1/tasks", body | further, Idempotency_Key=key)
        assert answer.status_code in (202, 402, 422, 503), answer.text
        return self._remembered(str(answer.json()["task_id"]))

    def order_as_at_poyo(self, prompt: str, callback_url: str) -> str:
        body = {
            "model": "gpt-image-2",
            "callback_url": callback_url,
            "input": {"prompt": f"{prompt} {CANARY}-prompt"},
        }
        answer = self.ask("POST", "/api/generate/submit", body)
        assert answer.status_code == 200, answer.text
        return self._remembered(str(answer.json()["data"]["task_id"]))

    def _remembered(self, task_id: str) -> str:
        self.tasks.append(task_id)
        return task_id

    def upload(self) -> str:
        """A picture handed in; every field of the form is remembered."""
        made = self.ask("POST", "/v1/uploads", {"content_type": "image/png"})
        assert made.status_code == 201, made.text
        form = made.json()["upload"]
        self.told |= {form["url"] + value for value in form["fields"].values()} | {
            form["fields"]["policy"],
            form["fields"]["x-amz-signature"],
        }
        files = {"file": (f"{CANARY}.png", png(), "image/png")}
        assert requests.post(form["url"], data=form["fields"], files=files, timeout=30).ok
        return str(made.json()["file_url"])

    def ended(self, task_id: str) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            return dict(self.ask("GET", f"/v1/tasks/{task_id}").json())

        return until(read, lambda task: task["status"] in ENDED)

    def opened(self, link: str) -> None:
        """The file behind `link`; link and signature are remembered."""
        answer = requests.get(link, allow_redirects=False, timeout=30)
        assert answer.status_code == 302, answer.text
        self.told |= {urlsplit(link).path.rpartition("/")[2]}
        self._signed(answer.headers["Location"])
        assert requests.get(answer.headers["Location"], timeout=30).ok

    def _signed(self, url: str) -> None:
        query = urlsplit(url).query
        self.told |= {query, *(value for _, value in parse_qsl(query) if len(value) >= SHORTEST)}

    def rung_by_strangers(self, task_id: str) -> None:
        """PoYo's own callback for the task, its capability changed in one place each time."""
        right = urlsplit(self.poyo(task_id)["callback_url"]).path
        said = {"task_id": CANARY, "prompt": CANARY, "files": [{"file_url": f"https://{CANARY}"}]}
        other = "A" if right[-10] != "A" else "B"
        for path in (right[:-10] + other + right[-9:], right[:-1], right.replace("/k1/", "/k7/")):
            assert self.ask("POST", path, said, X_Webhook_Signature=CANARY).status_code == 404
        assert self.ask("POST", right, said).status_code == 200

    def poyo(self, task_id: str) -> dict[str, Any]:
        """PoYo's side of a task, by our id in its callback URL."""
        found = requests.get(f"{self.system.poyo_url}/control/tasks", timeout=10).json()["tasks"]
        [one] = [each for each in found if task_id in str(each["callback_url"])]
        url = f"{self.system.poyo_url}/control/tasks/{one['task_id']}"
        return dict(requests.get(url, timeout=10).json())

    def remember_what_only_the_inside_knows(self) -> None:
        """Capabilities as PoYo got them, links to uploads, link keys, and the keys themselves."""
        self.told |= {self.system.api_key, self.system.settings.poyo_api_key, CALLBACK_KEYS["k1"]}
        pages = self.system.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=self.system.outputs["TasksTableName"]):
            rows = [row for row in page["Items"] if row.get("task_id", {}).get("S") in self.tasks]
            self.told |= {row["file_url_key"]["S"] for row in rows if "file_url_key" in row}
        for theirs in (self.poyo(each) for each in self.tasks if self._reached_poyo(each)):
            self.told |= {urlsplit(theirs["callback_url"]).path.rpartition("/")[2]}
            for link in theirs["input"].get("image_urls", []):
                self._signed(link)

    def _reached_poyo(self, task_id: str) -> bool:
        found = requests.get(f"{self.system.poyo_url}/control/tasks", timeout=10).json()["tasks"]
        return any(task_id in str(each["callback_url"]) for each in found)


@pytest.fixture(scope="module")
def caller(stack: System, receiver: NotificationReceiver) -> Caller:
    """Everything that a caller can do has been done, and much of it has gone wrong."""
    caller = Caller(stack, receiver)
    path = f"/taken/{uuid.uuid4()}?token={CANARY}-query"
    plain = caller.order("A boat")
    edited = caller.order(
        "[[fault:callback-forged]] A hat", input={"image_urls": [caller.upload()]}
    )
    like_poyo = caller.order_as_at_poyo("A cup", receiver.url + path)
    for task_id in (plain, edited, like_poyo):
        task = caller.ended(task_id)
        assert task["status"] == "finished", task
        caller.opened(task["files"][0]["file_url"])
    caller.rung_by_strangers(plain)
    until(lambda: len(receiver.notifications[path]), lambda count: count > 0)
    assert CANARY in caller.ask("GET", "/v1/tasks?limit=5&status=finished").text
    _provoke(caller)
    assert caller.ask("DELETE", f"/v1/tasks/{edited}").status_code == 204
    caller.remember_what_only_the_inside_knows()
    swept = stack.client("lambda").invoke(FunctionName=stack.outputs["SweepFunctionName"])
    assert "FunctionError" not in swept
    return caller


def _provoke(caller: Caller) -> None:
    """Every kind of trouble that a caller, PoYo or a file host can make."""
    for fault in (
        "submit-401", "submit-402", "submit-moderated", "submit-200-code-400", "submit-garbage",
        "submit-429=1", "fail-server-exception", "fail-moderation", "file-404", "file-html",
        "file-redirect-private", "callback-truncated",
    ):  # fmt: skip
        caller.order(f"[[fault:{fault}]]")
    reused = {"model": "gpt-image-2", "input": {"prompt": CANARY}}
    assert caller.ask("POST", "/v1/tasks", reused, Idempotency_Key=CANARY).status_code == 202
    reused["input"] = {"prompt": f"{CANARY} again"}
    wrong = {"model": CANARY, "input": {"prompt": [CANARY], CANARY: CANARY}}
    statuses = [
        caller.ask("POST", "/v1/tasks", reused, Idempotency_Key=CANARY).status_code,
        caller.ask("POST", "/v1/tasks", wrong, Idempotency_Key=CANARY + "2").status_code,
        caller.ask("POST", "/v1/tasks", wrong).status_code,
        caller.ask("GET", f"/v1/tasks/{CANARY}?wait={CANARY}").status_code,
        caller.ask("GET", f"/v1/tasks?cursor={CANARY}").status_code,
        caller.ask("GET", f"/files/{caller.tasks[0]}/0/{CANARY}").status_code,
        caller.ask("GET", f"/v1/{CANARY}").status_code,
        caller.ask("GET", "/v1/tasks", Authorization=f"Bearer {CANARY}").status_code,
        caller.ask("GET", "/v1/tasks", X_Owner=f"{CANARY} {CANARY}").status_code,
        caller.ask("POST", "/v1/quotes", wrong).status_code,
        caller.ask("POST", "/v1/uploads", {"content_type": CANARY}).status_code,
    ]
    assert statuses == [422, 422, 400, 400, 400, 404, 404, 401, 400, 422, 422]


@pytest.fixture(scope="module")
def said(stack: System, caller: Caller) -> dict[str, str]:
    """Every log of the stack, by its group's name in the template, once all that was provoked has
    been said."""
    groups = {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in stack.client("cloudformation").describe_stack_resources(StackName="imagetasks")[
            "StackResources"
        ]
        if each["ResourceType"] == "AWS::Logs::LogGroup"
    }
    assert set(groups) == set(GROUPS)

    def all_of_it() -> dict[str, str]:
        return {name: "\n".join(_lines(stack, group)) for name, group in groups.items()}

    def silent(logs: dict[str, str]) -> list[tuple[str, str]]:
        first = [(name, caller.tasks[0]) for name in ("WebhookLogs", "WorkerLogs")]
        return [(name, words) for name, words in (*PROVOKED, *first) if words not in logs[name]]

    return until(all_of_it, lambda logs: not silent(logs))


def _lines(stack: System, group: str) -> Iterator[str]:
    pages = stack.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    for page in pages:
        yield from (event["message"] for event in page["events"])


def test_nothing_that_opens_a_door_and_nothing_a_caller_wrote_is_in_any_log(
    caller: Caller, said: dict[str, str]
) -> None:
    secrets = {secret for secret in caller.told if len(secret) >= SHORTEST}
    assert len(secrets) > 30

    found = [
        (name, secret[:24]) for name, text in said.items() for secret in secrets if secret in text
    ]
    assert found == []


def test_no_log_holds_an_address_with_a_query_a_bearer_or_a_capability(
    said: dict[str, str],
) -> None:
    text = "\n".join(said.values())

    assert not re.search(r"https?://|X-Amz-|Bearer |upload://|/callbacks/|/files/", text)


def test_a_task_can_be_followed_by_its_id_from_the_order_to_the_image(
    caller: Caller, said: dict[str, str]
) -> None:
    task_id = caller.tasks[0]
    lines = {
        name: [json.loads(line) for line in text.splitlines() if task_id in line]
        for name, text in said.items()
    }

    steps = [line["transition"] for line in lines["ApiLogs"]]
    assert steps[:2] == ["submit", "bind"]
    assert [line["message"] for line in lines["WebhookLogs"]][:1] == ["callback_received"]
    assert all(line["request_id"] for line in lines["WebhookLogs"])
    ends = [line for line in lines["WorkerLogs"] if line.get("transition") == "finish"]
    [end] = [line for line in ends if line["applied"]]
    assert (end["task_id"], end["state"]) == (task_id, "finished")
    assert end["image_bytes"] > 1000
    assert end["age_ms"] > 0
    assert end["poyo_id"] == caller.poyo(task_id)["task_id"]


def test_every_change_of_every_task_is_one_line_with_its_id(said: dict[str, str]) -> None:
    lines = [
        json.loads(line)
        for text in said.values()
        for line in text.splitlines()
        if line.startswith("{") and '"message":"transition"' in line
    ]

    assert len(lines) > 40
    for line in lines:
        assert {"task_id", "transition", "applied", "state", "attempt", "age_ms"} <= line.keys()
        assert isinstance(line["age_ms"], int)


def test_the_access_log_knows_routes_and_no_paths() -> None:
    named = template()["Resources"]["HttpApi"]["Properties"]["AccessLogSettings"]["Format"]

    assert set(re.findall(r"\$context\.([\w.]+)", named)) == SHOWN_IN_ACCESS_LOG
    assert set(re.findall(r"\$(\w+)", named)) == {"context"}
