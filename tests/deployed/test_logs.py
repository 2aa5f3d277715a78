"""The deployed stack logs every change of a task, and no secret, prompt or URL: a canary string is in all of a caller's data."""

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
from tests.deployed.test_journeys import ENDED
from tests.fixtures.images import png
from tests.support.notification_receiver import NotificationReceiver
from tests.support.template import template
from tests.support.waiting import until

CANARY = f"canary{uuid.uuid4().hex}"  # in all data of the caller
MIN_SECRET_CHARS = 12  # shorter strings occur by chance
GROUPS = (
    "ApiLogs", "WebhookLogs", "WorkerLogs", "NotifyLogs", "SweepLogs", "DriftLogs", "AccessLogs",
)  # fmt: skip
PROVOKED = (
    ("ApiLogs", '"poyo_account_rejected"'),
    ("ApiLogs", '"request_rejected"'),
    ("WebhookLogs", '"callback_received"'),
    ("WorkerLogs", '"image_copy_failed"'),
    ("WorkerLogs", '"download_host_not_allowed"'),
    ("WorkerLogs", '"transition":"fail"'),
    ("SweepLogs", '"sweep_completed"'),
)
SHOWN_IN_ACCESS_LOG = {
    "requestId", "routeKey", "status", "responseLatency", "responseLength", "identity.sourceIp",
    "integrationErrorMessage",
}  # fmt: skip


@dataclass
class Caller:
    """A caller whose data contains the canary, and who collects every secret that it sees."""

    system: System
    receiver: NotificationReceiver
    secrets: set[str] = field(default_factory=lambda: {CANARY})
    tasks: list[str] = field(default_factory=list)

    def request(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> requests.Response:
        default = {"Authorization": f"Bearer {self.system.api_key}"}
        return requests.request(
            method,
            self.system.url + path,
            json=body,
            headers=default | {name.replace("_", "-"): value for name, value in headers.items()},
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
        response = self.request("POST", "/v1/tasks", body | further, Idempotency_Key=key)
        assert response.status_code in (202, 402, 422, 503), response.text
        return self._add_task(str(response.json()["task_id"]))

    def order_in_poyos_format(self, prompt: str, callback_url: str) -> str:
        body = {
            "model": "gpt-image-2",
            "callback_url": callback_url,
            "input": {"prompt": f"{prompt} {CANARY}-prompt"},
        }
        response = self.request("POST", "/api/generate/submit", body)
        assert response.status_code == 200, response.text
        return self._add_task(str(response.json()["data"]["task_id"]))

    def _add_task(self, task_id: str) -> str:
        self.tasks.append(task_id)
        return task_id

    def upload(self) -> str:
        """Upload an image and collect the fields of the form."""
        created = self.request("POST", "/v1/uploads", {"content_type": "image/png"})
        assert created.status_code == 201, created.text
        form = created.json()["upload"]
        self.secrets |= {form["url"] + value for value in form["fields"].values()} | {
            form["fields"]["policy"],
            form["fields"]["x-amz-signature"],
        }
        files = {"file": (f"{CANARY}.png", png(), "image/png")}
        assert requests.post(form["url"], data=form["fields"], files=files, timeout=30).ok
        return str(created.json()["file_url"])

    def ended(self, task_id: str) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            return dict(self.request("GET", f"/v1/tasks/{task_id}").json())

        return until(read, lambda task: task["status"] in ENDED)

    def download(self, url: str) -> None:
        """Download a file from its signed URL, and collect the tokens and signatures."""
        response = requests.get(url, allow_redirects=False, timeout=30)
        assert response.status_code == 302, response.text
        self.secrets |= {urlsplit(url).path.rpartition("/")[2]}
        self._add_signature(response.headers["Location"])
        assert requests.get(response.headers["Location"], timeout=30).ok

    def _add_signature(self, url: str) -> None:
        query = urlsplit(url).query
        self.secrets |= {
            query,
            *(value for _, value in parse_qsl(query) if len(value) >= MIN_SECRET_CHARS),
        }

    def send_forged_callbacks(self, task_id: str) -> None:
        """Send callbacks for the task with a token that differs in one place, then with the right one."""
        right = urlsplit(self.poyo(task_id)["callback_url"]).path
        body = {"task_id": CANARY, "prompt": CANARY, "files": [{"file_url": f"https://{CANARY}"}]}
        other = "A" if right[-10] != "A" else "B"
        for path in (right[:-10] + other + right[-9:], right[:-1], right.replace("/k1/", "/k7/")):
            assert self.request("POST", path, body, X_Webhook_Signature=CANARY).status_code == 404
        assert self.request("POST", right, body).status_code == 200

    def poyo(self, task_id: str) -> dict[str, Any]:
        """PoYo's task whose callback URL contains our id."""
        found = requests.get(f"{self.system.poyo_url}/control/tasks", timeout=10).json()["tasks"]
        [one] = [each for each in found if task_id in str(each["callback_url"])]
        url = f"{self.system.poyo_url}/control/tasks/{one['task_id']}"
        return dict(requests.get(url, timeout=10).json())

    def collect_internal_secrets(self) -> None:
        """Collect callback tokens, URLs of uploads, the items' keys for file URLs, and all keys."""
        self.secrets |= {
            self.system.api_key,
            self.system.settings.poyo_api_key,
            CALLBACK_KEYS["k1"],
        }
        pages = self.system.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=self.system.outputs["TasksTableName"]):
            items = [
                each for each in page["Items"] if each.get("task_id", {}).get("S") in self.tasks
            ]
            self.secrets |= {each["file_url_key"]["S"] for each in items if "file_url_key" in each}
        for poyo_task in (self.poyo(each) for each in self.tasks if self._reached_poyo(each)):
            self.secrets |= {urlsplit(poyo_task["callback_url"]).path.rpartition("/")[2]}
            for url in poyo_task["input"].get("image_urls", []):
                self._add_signature(url)

    def _reached_poyo(self, task_id: str) -> bool:
        found = requests.get(f"{self.system.poyo_url}/control/tasks", timeout=10).json()["tasks"]
        return any(task_id in str(each["callback_url"]) for each in found)


@pytest.fixture(scope="module")
def caller(stack: System, receiver: NotificationReceiver) -> Caller:
    """A caller that has used every route, with and without errors."""
    caller = Caller(stack, receiver)
    path = f"/accepted/{uuid.uuid4()}?token={CANARY}-query"
    plain = caller.order("A boat")
    edited = caller.order(
        "[[fault:callback-forged]] A hat", input={"image_urls": [caller.upload()]}
    )
    like_poyo = caller.order_in_poyos_format("A cup", receiver.url + path)
    for task_id in (plain, edited, like_poyo):
        task = caller.ended(task_id)
        assert task["status"] == "finished", task
        caller.download(task["files"][0]["file_url"])
    caller.send_forged_callbacks(plain)
    until(lambda: len(receiver.notifications[path]), lambda count: count > 0)
    assert CANARY in caller.request("GET", "/v1/tasks?limit=5&status=finished").text
    _provoke(caller)
    assert caller.request("DELETE", f"/v1/tasks/{edited}").status_code == 204
    caller.collect_internal_secrets()
    swept = stack.client("lambda").invoke(FunctionName=stack.outputs["SweepFunctionName"])
    assert "FunctionError" not in swept
    return caller


def _provoke(caller: Caller) -> None:
    """Cause every kind of error of a caller, of PoYo and of a file host."""
    for fault in (
        "submit-401", "submit-402", "submit-moderated", "submit-200-code-400", "submit-garbage",
        "submit-429=1", "fail-server-exception", "fail-moderation", "file-404", "file-html",
        "file-redirect-private", "callback-truncated",
    ):  # fmt: skip
        caller.order(f"[[fault:{fault}]]")
    reused = {"model": "gpt-image-2", "input": {"prompt": CANARY}}
    assert caller.request("POST", "/v1/tasks", reused, Idempotency_Key=CANARY).status_code == 202
    reused["input"] = {"prompt": f"{CANARY} again"}
    wrong = {"model": CANARY, "input": {"prompt": [CANARY], CANARY: CANARY}}
    statuses = [
        caller.request("POST", "/v1/tasks", reused, Idempotency_Key=CANARY).status_code,
        caller.request("POST", "/v1/tasks", wrong, Idempotency_Key=CANARY + "2").status_code,
        caller.request("POST", "/v1/tasks", wrong).status_code,
        caller.request("GET", f"/v1/tasks/{CANARY}?wait={CANARY}").status_code,
        caller.request("GET", f"/v1/tasks?cursor={CANARY}").status_code,
        caller.request("GET", f"/files/{caller.tasks[0]}/0/{CANARY}").status_code,
        caller.request("GET", f"/v1/{CANARY}").status_code,
        caller.request("GET", "/v1/tasks", Authorization=f"Bearer {CANARY}").status_code,
        caller.request("GET", "/v1/tasks", X_Owner=f"{CANARY} {CANARY}").status_code,
        caller.request("POST", "/v1/quotes", wrong).status_code,
        caller.request("POST", "/v1/uploads", {"content_type": CANARY}).status_code,
    ]
    assert statuses == [422, 422, 400, 400, 400, 404, 404, 401, 400, 422, 422]


@pytest.fixture(scope="module")
def logs(stack: System, caller: Caller) -> dict[str, str]:
    """Every log of the stack, by the name of its group in the template, once it is complete."""
    groups = {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in stack.client("cloudformation").describe_stack_resources(StackName="imagetasks")[
            "StackResources"
        ]
        if each["ResourceType"] == "AWS::Logs::LogGroup"
    }
    assert set(groups) == set(GROUPS)

    def read() -> dict[str, str]:
        return {name: "\n".join(_lines(stack, group)) for name, group in groups.items()}

    def missing(found: dict[str, str]) -> list[tuple[str, str]]:
        first = [(name, caller.tasks[0]) for name in ("WebhookLogs", "WorkerLogs")]
        return [(name, words) for name, words in (*PROVOKED, *first) if words not in found[name]]

    return until(read, lambda found: not missing(found))


def _lines(stack: System, group: str) -> Iterator[str]:
    pages = stack.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    for page in pages:
        yield from (event["message"] for event in page["events"])


def test_no_log_contains_a_secret_or_data_of_the_caller(
    caller: Caller, logs: dict[str, str]
) -> None:
    secrets = {secret for secret in caller.secrets if len(secret) >= MIN_SECRET_CHARS}
    assert len(secrets) > 30

    found = [
        (name, secret[:24]) for name, text in logs.items() for secret in secrets if secret in text
    ]
    assert found == []


def test_no_log_contains_a_url_a_bearer_key_or_a_signed_path(
    logs: dict[str, str],
) -> None:
    text = "\n".join(logs.values())

    assert not re.search(r"https?://|X-Amz-|Bearer |upload://|/callbacks/|/files/", text)


def test_logs_show_a_task_by_its_id_from_the_order_to_the_image(
    caller: Caller, logs: dict[str, str]
) -> None:
    task_id = caller.tasks[0]
    lines = {
        name: [json.loads(line) for line in text.splitlines() if task_id in line]
        for name, text in logs.items()
    }

    steps = [line.get("transition", line["message"]) for line in lines["ApiLogs"]]
    assert steps[:3] == ["submit", "poyo_id_received", "confirm_submission"]
    assert [line["message"] for line in lines["WebhookLogs"]][:1] == ["callback_received"]
    assert all(line["request_id"] for line in lines["WebhookLogs"])
    ends = [line for line in lines["WorkerLogs"] if line.get("transition") == "finish"]
    [end] = [line for line in ends if line["applied"]]
    assert (end["task_id"], end["state"]) == (task_id, "finished")
    assert end["image_bytes"] > 1000
    assert end["age_ms"] > 0
    assert end["poyo_id"] == caller.poyo(task_id)["task_id"]


def test_every_change_of_a_task_is_one_line_with_its_id(logs: dict[str, str]) -> None:
    lines = [
        json.loads(line)
        for text in logs.values()
        for line in text.splitlines()
        if line.startswith("{") and '"message":"transition"' in line
    ]

    assert len(lines) > 40
    for line in lines:
        assert {"task_id", "transition", "applied", "state", "attempt", "age_ms"} <= line.keys()
        assert isinstance(line["age_ms"], int)


def test_access_log_contains_routes_but_no_paths() -> None:
    named = template()["Resources"]["HttpApi"]["Properties"]["AccessLogSettings"]["Format"]

    assert set(re.findall(r"\$context\.([\w.]+)", named)) == SHOWN_IN_ACCESS_LOG
    assert set(re.findall(r"\$(\w+)", named)) == {"context"}
