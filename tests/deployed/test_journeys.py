"""Tasks on their way through the deployed stack, from the order to the image in the bucket."""

import hashlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from local.processes import ROOT
from local.settings import from_environment
from local.system import System, running
from tests.conftest import environment, free_ports

PATIENCE_S = 120
ENDED = ("finished", "failed")


def until[T](ask: Callable[[], T], happy: Callable[[T], bool], patience_s: float = PATIENCE_S) -> T:
    """What `ask` gives once it is as wanted."""
    deadline = time.monotonic() + patience_s
    while not happy(answer := ask()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)
    return answer


@dataclass(frozen=True)
class Journey:
    """A user of one system, who can also look behind its scenes."""

    system: System

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.system.api_key}"}

    def submit(self, prompt: str) -> str:
        body = {"model": "gpt-image-2", "input": {"prompt": prompt, "size": "1:1"}}
        answer = requests.post(
            f"{self.system.url}/v1/tasks",
            json=body,
            headers={**self.headers, "Idempotency-Key": f"journey-{uuid.uuid4()}"},
            timeout=30,
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["task_id"])

    def task(self, task_id: str) -> dict[str, Any]:
        answer = requests.get(
            f"{self.system.url}/v1/tasks/{task_id}", headers=self.headers, timeout=30
        )
        assert answer.status_code == 200, answer.text
        task: dict[str, Any] = answer.json()
        return task

    def ended(self, task_id: str) -> dict[str, Any]:
        return until(lambda: self.task(task_id), lambda task: task["status"] in ENDED)

    def image(self, task_id: str) -> bytes:
        url = f"{self.system.url}/v1/tasks/{task_id}/files/0"
        answer = requests.get(url, headers=self.headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.content

    def objects(self, task_id: str) -> list[dict[str, Any]]:
        bucket = self.system.outputs["ImagesBucketName"]
        listed = self.system.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
        return [item for item in listed if task_id in item["Key"]]

    def poyo(self, path: str) -> requests.Response:
        answer = requests.get(f"{self.system.poyo_url}/control/{path}", timeout=10)
        assert answer.status_code == 200, answer.text
        return answer

    def poyo_task(self, task_id: str) -> dict[str, Any]:
        """The task that carries our id in its callback URL."""
        [found] = [
            t for t in self.poyo("tasks").json()["tasks"] if task_id in (t["callback_url"] or "")
        ]
        return dict(found)

    def heard(self, task_id: str) -> int:
        """How many callbacks PoYo got thanked for."""
        return sum(ring["http"] == 200 for ring in self.poyo_task(task_id)["callbacks"])

    def submits(self, task_id: str) -> int:
        """How many submits for the task PoYo has seen, whatever it answered."""
        events = self.poyo("log?kind=submit").json()["events"]
        return sum(task_id in (event["callback_url"] or "") for event in events)

    def messages(self, output: str) -> int:
        """Messages in a queue, those being worked on included."""
        sqs, names = self.system.client("sqs"), ["All"]
        url = self.system.outputs[output]
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(n) for name, n in counts.items() if name.startswith("ApproximateNumber"))

    def assert_kept_once(self, task_id: str) -> None:
        """Finished, paid once, and exactly what PoYo drew is what we keep and hand out."""
        task, theirs = self.task(task_id), self.poyo_task(task_id)
        drawn = self.poyo(f"tasks/{theirs['task_id']}/image").content
        [file] = task["files"]
        assert task["status"] == "finished", task
        assert self.image(task_id) == drawn
        assert file["sha256"] == hashlib.sha256(drawn).hexdigest()
        assert file["bytes"] == len(drawn)
        assert [item["Size"] for item in self.objects(task_id)] == [len(drawn)]
        assert [line["event"] for line in task["history"]].count("finished") == 1
        assert self.submits(task_id) == 1


@pytest.fixture
def journey(stack: System) -> Journey:
    return Journey(stack)


def test_a_prompt_becomes_the_image_that_poyo_drew(journey: Journey) -> None:
    task_id = journey.submit("A lighthouse at dusk")

    journey.ended(task_id)

    journey.assert_kept_once(task_id)
    assert journey.poyo_task(task_id)["callbacks"], "PoYo rang"


def test_without_any_callback_the_sweep_finishes_the_task(journey: Journey) -> None:
    task_id = journey.submit("[[fault:callback-none]] A lighthouse nobody rings for")

    def swept() -> dict[str, Any]:
        function = journey.system.outputs["SweepFunctionName"]
        answer = journey.system.client("lambda").invoke(FunctionName=function)
        assert "FunctionError" not in answer, answer["Payload"].read()
        return journey.task(task_id)

    until(swept, lambda task: task["status"] in ENDED)

    journey.assert_kept_once(task_id)
    assert journey.poyo_task(task_id)["callbacks"] == []


def test_the_sweep_is_rung_by_a_schedule_every_minute(journey: Journey) -> None:
    scheduler = journey.system.client("scheduler")

    [listed] = scheduler.list_schedules()["Schedules"]
    schedule = scheduler.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])

    assert schedule["State"] == "ENABLED"
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    name = journey.system.outputs["SweepFunctionName"]
    assert schedule["Target"]["Arn"].endswith(f":{name}:live")


def test_doubled_callbacks_change_nothing(journey: Journey) -> None:
    task_id = journey.submit("[[fault:callback-double=3]] A lighthouse that rings four times")

    journey.ended(task_id)
    until(lambda: journey.heard(task_id), lambda count: count >= 4)
    until(lambda: journey.messages("TaskQueueUrl"), lambda count: count == 0)

    journey.assert_kept_once(task_id)


@pytest.fixture
def impatient_queue(stack: System) -> Iterator[None]:
    """A bell whose worker died comes back after ten seconds, not after six minutes."""
    sqs, url = stack.client("sqs"), stack.outputs["TaskQueueUrl"]
    name = "VisibilityTimeout"
    usual = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={name: "10"})
    yield
    sqs.set_queue_attributes(QueueUrl=url, Attributes=usual)


def kill_workers(system: System) -> int:
    """Kill the processes the emulator runs the worker in; says how many there were."""
    mark = f"ministack-lambda-{system.outputs['WorkerFunctionName']}-"
    killed = 0
    for commandline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark in commandline.read_text():
                os.kill(int(commandline.parent.name), signal.SIGKILL)
                killed += 1
        except (FileNotFoundError, ProcessLookupError):
            continue
    return killed


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in Linux's process table")
@pytest.mark.usefixtures("impatient_queue")
def test_a_worker_killed_twice_at_its_work_finishes_the_task_in_the_end(journey: Journey) -> None:
    task_id = journey.submit("[[fault:file-trickle n=2]] A lighthouse in a storm")
    for attempt in (1, 2):
        until(lambda: journey.poyo_task(task_id)["file_reads"], attempt.__le__)
        assert kill_workers(journey.system) >= 1

    journey.ended(task_id)

    journey.assert_kept_once(task_id)
    assert journey.messages("TaskDeadLetterQueueUrl") == 0


@pytest.fixture
def other_poyo() -> Iterator[dict[str, str]]:
    """A PoYo that somebody else started; gives the settings that point at it."""
    [port] = free_ports(1)
    key = "sk-somebody-elses"
    command = [sys.executable, "-m", "local.poyo_simulator", "--port", str(port), "--key", key]
    with subprocess.Popen(
        [*command, "--seconds", "0.2", "0.5"], cwd=ROOT, stdout=subprocess.DEVNULL
    ) as process:
        yield {"POYO_BASE_URL": f"http://127.0.0.1:{port}", "POYO_API_KEY": key}
        process.terminate()


def test_another_poyo_is_used_by_setting_its_address_and_key(
    other_poyo: dict[str, str], tmp_path: Path
) -> None:
    settings = from_environment(environment(**other_poyo))
    with running(settings, tmp_path) as system:
        journey = Journey(system)
        task_id = journey.submit("A lighthouse for somebody else")

        journey.ended(task_id)

        journey.assert_kept_once(task_id)
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
def test_what_is_wrong_gets_a_problem_as_answer(
    journey: Journey, method: str, path: str, key: str | None, status: int, code: str | None
) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else journey.headers
    answer = requests.request(method, f"{journey.system.url}{path}", headers=headers, timeout=30)

    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert code in (None, answer.json()["code"])
