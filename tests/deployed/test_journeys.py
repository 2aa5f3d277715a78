"""Tasks in the deployed stack, from the order to the image in the bucket."""

import hashlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from local.chaos.system_under_test import temporary_state
from local.ports import free_ports
from local.processes import ROOT
from local.settings import from_environment
from local.system import System, running
from tests.conftest import environment
from tests.support.waiting import until

ENDED = ("finished", "failed")


@dataclass(frozen=True)
class Journey:
    """A user of one system, with access to its bucket, its queues and the simulated PoYo."""

    system: System

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.system.api_key}"}

    def submit(self, prompt: str) -> str:
        body = {"model": "gpt-image-2", "input": {"prompt": prompt, "size": "1:1"}}
        response = requests.post(
            f"{self.system.url}/v1/tasks",
            json=body,
            headers={**self.headers, "Idempotency-Key": f"journey-{uuid.uuid4()}"},
            timeout=30,
        )
        assert response.status_code == 202, response.text
        return str(response.json()["task_id"])

    def task(self, task_id: str) -> dict[str, Any]:
        response = requests.get(
            f"{self.system.url}/v1/tasks/{task_id}", headers=self.headers, timeout=30
        )
        assert response.status_code == 200, response.text
        task: dict[str, Any] = response.json()
        return task

    def ended(self, task_id: str) -> dict[str, Any]:
        return until(lambda: self.task(task_id), lambda task: task["status"] in ENDED)

    def image(self, task_id: str) -> bytes:
        url = f"{self.system.url}/v1/tasks/{task_id}/files/0"
        response = requests.get(url, headers=self.headers, timeout=30)
        assert response.status_code == 200, response.text
        return response.content

    def objects(self, task_id: str) -> list[dict[str, Any]]:
        bucket = self.system.outputs["ImagesBucketName"]
        listed = self.system.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
        return [item for item in listed if task_id in item["Key"]]

    def poyo(self, path: str) -> requests.Response:
        response = requests.get(f"{self.system.poyo_url}/control/{path}", timeout=10)
        assert response.status_code == 200, response.text
        return response

    def poyo_task(self, task_id: str) -> dict[str, Any]:
        """PoYo's task whose callback URL contains our id."""
        [found] = [
            t for t in self.poyo("tasks").json()["tasks"] if task_id in (t["callback_url"] or "")
        ]
        return dict(found)

    def accepted_callbacks(self, task_id: str) -> int:
        """The number of callbacks that we responded to with 200."""
        return sum(each["http"] == 200 for each in self.poyo_task(task_id)["callbacks"])

    def submits(self, task_id: str) -> int:
        """The number of submits for the task that PoYo received, whatever its response."""
        events = self.poyo("log?kind=submit").json()["events"]
        return sum(task_id in (event["callback_url"] or "") for event in events)

    def messages(self, output: str) -> int:
        """The number of messages in a queue, including those in flight, but not the delayed retries."""
        sqs, url = self.system.client("sqs"), self.system.outputs[output]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(counts[name]) for name in names)

    def assert_stored_once(self, task_id: str) -> None:
        """Assert that the task is finished and paid once, and that we store and serve PoYo's bytes."""
        task, poyo_task = self.task(task_id), self.poyo_task(task_id)
        original = self.poyo(f"tasks/{poyo_task['task_id']}/image").content
        [file] = task["files"]
        assert task["status"] == "finished", task
        assert self.image(task_id) == original
        assert file["sha256"] == hashlib.sha256(original).hexdigest()
        assert file["bytes"] == len(original)
        assert [item["Size"] for item in self.objects(task_id)] == [len(original)]
        assert [line["event"] for line in task["history"]].count("finished") == 1
        assert self.submits(task_id) == 1


@pytest.fixture
def journey(stack: System) -> Journey:
    return Journey(stack)


def test_an_order_ends_with_the_image_of_poyo(journey: Journey) -> None:
    task_id = journey.submit("A lighthouse at dusk")

    journey.ended(task_id)

    journey.assert_stored_once(task_id)
    assert journey.poyo_task(task_id)["callbacks"], "PoYo sent a callback"


def test_sweep_finishes_a_task_without_a_callback(journey: Journey) -> None:
    task_id = journey.submit("[[fault:callback-none]] A lighthouse without a callback")

    def sweep() -> dict[str, Any]:
        function = journey.system.outputs["SweepFunctionName"]
        response = journey.system.client("lambda").invoke(FunctionName=function)
        assert "FunctionError" not in response, response["Payload"].read()
        return journey.task(task_id)

    until(sweep, lambda task: task["status"] in ENDED)

    journey.assert_stored_once(task_id)
    assert journey.poyo_task(task_id)["callbacks"] == []


def test_schedule_invokes_the_sweep_every_minute(journey: Journey) -> None:
    scheduler = journey.system.client("scheduler")

    schedules = [
        scheduler.get_schedule(Name=each["Name"], GroupName=each["GroupName"])
        for each in scheduler.list_schedules()["Schedules"]
    ]
    name = journey.system.outputs["SweepFunctionName"]
    [schedule] = [each for each in schedules if each["Target"]["Arn"].endswith(f":{name}:live")]

    assert schedule["State"] == "ENABLED"
    assert schedule["ScheduleExpression"] == "rate(1 minute)"


def test_duplicated_callbacks_change_nothing(journey: Journey) -> None:
    task_id = journey.submit("[[fault:callback-double=3]] A lighthouse with four callbacks")

    journey.ended(task_id)
    until(lambda: journey.accepted_callbacks(task_id), lambda count: count >= 4)
    until(lambda: journey.messages("TaskQueueUrl"), lambda count: count == 0)

    journey.assert_stored_once(task_id)


@pytest.fixture
def short_visibility_timeout(stack: System) -> Iterator[None]:
    """The message of a killed worker is redelivered after ten seconds, not after six minutes."""
    sqs, url = stack.client("sqs"), stack.outputs["TaskQueueUrl"]
    name = "VisibilityTimeout"
    original = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={name: "10"})
    yield
    sqs.set_queue_attributes(QueueUrl=url, Attributes=original)


def kill_workers(system: System, function: str = "WorkerFunction") -> int:
    """Kill the processes in which the emulator runs the function; returns their number."""
    mark = f"ministack-lambda-{system.outputs[f'{function}Name']}-"
    killed = 0
    for commandline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark in commandline.read_text():
                os.kill(int(commandline.parent.name), signal.SIGKILL)
                killed += 1
        except (FileNotFoundError, ProcessLookupError):
            continue
    return killed


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker's processes in /proc")
@pytest.mark.usefixtures("short_visibility_timeout")
def test_task_finishes_although_its_worker_is_killed_twice(journey: Journey) -> None:
    task_id = journey.submit("[[fault:file-trickle n=2]] A lighthouse in a storm")
    for attempt in (1, 2):
        until(lambda: journey.poyo_task(task_id)["file_reads"], attempt.__le__)
        assert kill_workers(journey.system) >= 1

    journey.ended(task_id)

    journey.assert_stored_once(task_id)
    assert journey.messages("TaskDeadLetterQueueUrl") == 0


@pytest.fixture
def other_poyo() -> Iterator[dict[str, str]]:
    """A PoYo that the system does not start; yields the settings for it."""
    [port] = free_ports(1)
    key = "sk-of-another-poyo"
    command = [sys.executable, "-m", "local.poyo_simulator", "--port", str(port), "--key", key]
    with subprocess.Popen(
        [*command, "--seconds", "0.2", "0.5"], cwd=ROOT, stdout=subprocess.DEVNULL
    ) as process:
        yield {"POYO_BASE_URL": f"http://127.0.0.1:{port}", "POYO_API_KEY": key}
        process.terminate()


def test_settings_select_another_poyo(other_poyo: dict[str, str], tmp_path: Path) -> None:
    settings = from_environment(environment(**other_poyo))
    with temporary_state(tmp_path / "logs") as state, running(settings, state) as system:
        journey = Journey(system)
        task_id = journey.submit("A lighthouse by another PoYo")

        journey.ended(task_id)

        journey.assert_stored_once(task_id)
        assert {process.name for process in system.processes.started} == {"ministack", "gateway"}


@pytest.mark.parametrize(
    ("method", "path", "key", "status", "code"),
    [
        ("GET", "/v1/tasks/x5syhv2d4ewo3t3kliialymxrs", "wrong-key", 401, "unauthorized"),
        ("GET", "/v1/tasks/aaaaaaaaaaaaaaaaaaaaaaaaaa", None, 404, "no_such_task"),
        ("POST", "/v1/tasks", None, 400, None),
        ("POST", "/callbacks/poyo/k1/x5syhv2d4ewo3t3kliialymxrs/forged", None, 404, None),
        ("GET", "/v1/nothing", None, 404, None),
    ],
)
def test_invalid_request_gets_a_problem_response(
    journey: Journey, method: str, path: str, key: str | None, status: int, code: str | None
) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else journey.headers
    response = requests.request(method, f"{journey.system.url}{path}", headers=headers, timeout=30)

    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert code in (None, response.json()["code"])
