"""`sam deploy` over a stack that is there: what runs afterwards, and a hundred tasks on their way meanwhile.

Three things the emulated cloud does otherwise, so that nothing here speaks of them: it has no CodeDeploy, so
every switch is at once (that canaries are asked for, and what takes them back, is read from the
template by test_template_versions.py); it gives SAM the defaults of the template's parameters, so a release is
named by the default of `ReleaseSha` in a copy of what was built; and it does not roll back by alarms.
"""

from __future__ import annotations

import base64
import re
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from local import build, stack
from local.settings import from_environment
from local.system import System, running
from tests.conftest import environment

pytestmark = pytest.mark.xdist_group("stack")  # not while another stack is being deployed

NAMES = ("ApiFunction", "WebhookFunction", "WorkerFunction", "SweepFunction")
# Bells that are not answered come again late: a busy machine is not to be rung to a standstill.
SLOW = ("--seconds", "4", "40", "--callback-first-wait", "20", "--rate", "0")
CUSTOMERS = 3
PATIENCE_S = 600  # usually a minute; patience is for a machine that is busy
# What a hundred orders are, by the mark in their prompt: how many, and how each ends.
KINDS = {
    "": (30, "finished"),
    "[[fault:callback-none]]": (40, "finished"),  # only the sweep finds it
    "[[fault:callback-double]]": (4, "finished"),
    "[[fault:submit-429]]": (8, "finished"),  # waits in `pending`
    "[[fault:submit-drop]]": (8, "finished"),  # `unknown`, until its callback comes
    "[[fault:submit-timeout seconds=8]]": (4, "finished"),  # `submitting` meanwhile
    "[[fault:fail-moderation]]": (6, "failed"),
}


@dataclass
class Order:
    """One order: its key, its prompt, how it should end, and what it was answered."""

    prompt: str
    ends: str
    key: str = field(default_factory=lambda: f"deploy-{uuid.uuid4()}")
    answers: list[int] = field(default_factory=list)
    task_id: str = ""


def orders() -> list[Order]:
    """All kinds evenly mixed, always in the same order."""
    every = [
        (n / many, Order(f"{mark} A lighthouse, the {n + 1}.", ends))
        for mark, (many, ends) in KINDS.items()
        for n in range(many)
    ]
    return [order for _, order in sorted(every, key=lambda each: each[0])]


@dataclass
class Deployed:
    """A stack of its own, made from a copy of what was built that the test may change."""

    system: System
    built: Path

    def deploy(self, layer: str, release: str = "") -> None:
        """An update with another layer, which says its name whenever a function starts with it."""
        package = self.built / "DependenciesLayer" / "python" / "aws_lambda_powertools"
        with package.joinpath("__init__.py").open("a") as module:
            module.write(f"\nprint('layer {layer}')\n")
        shutil.rmtree(
            package / "__pycache__", ignore_errors=True
        )  # taken unchecked, it would hide the change
        template = self.built / "template.yaml"
        text, found = re.subn(
            r"(  ReleaseSha:\n    Type: String\n    Default: ).*",
            rf"\g<1>'{release}'",
            template.read_text(),
        )
        assert found == 1
        template.write_text(text)
        system = self.system
        stack.deploy(system.processes, system.cloud, system.settings, template)
        stack.restore_concurrency(system.cloud)

    def versions(self) -> dict[str, str]:
        """Which version of each function its alias stands for."""
        functions = self.system.client("lambda")
        return {
            name: functions.get_alias(FunctionName=self._physical(name), Name="live")[
                "FunctionVersion"
            ]
            for name in NAMES
        }

    def layers(self, qualifier: str) -> set[str]:
        functions = self.system.client("lambda")
        configured = [
            functions.get_function_configuration(
                FunctionName=self._physical(name), Qualifier=qualifier
            )
            for name in NAMES
        ]
        return {layer["Arn"] for each in configured for layer in each["Layers"]}

    def sweep(self) -> str | None:
        """Do what the schedule does each minute; what the function printed, None when it failed."""
        answer = self.system.client("lambda").invoke(
            FunctionName=self._physical("SweepFunction"), Qualifier="live", LogType="Tail"
        )
        return None if "FunctionError" in answer else base64.b64decode(answer["LogResult"]).decode()

    def said(self, name: str, version: str) -> str:
        """All that one version of a function has printed."""
        group = self._physical(name.replace("Function", "Logs"))
        paginator = self.system.client("logs").get_paginator("filter_log_events")
        events = [
            each for page in paginator.paginate(logGroupName=group) for each in page["events"]
        ]
        return "\n".join(
            each["message"] for each in events if f"[{version}]" in each["logStreamName"]
        )

    def states(self) -> Counter[str]:
        """How many tasks there are in each state."""
        table = self.system.outputs["TasksTableName"]
        pages = self.system.client("dynamodb").get_paginator("scan").paginate(TableName=table)
        rows = [row for page in pages for row in page["Items"]]
        return Counter(row["state"]["S"] for row in rows if "state" in row)

    def messages(self, output: str) -> int:
        url = self.system.outputs[output]
        told = self.system.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        counts = told["Attributes"].items()
        return sum(int(n) for name, n in counts if name.startswith("ApproximateNumber"))

    def order(self, order: Order) -> None:
        """Place it, and again with the same key while nobody says that it was taken."""
        for _ in range(8):
            answer = self._call("POST", "/v1/tasks", order)
            order.answers.append(answer.status_code)
            if answer.ok:
                order.task_id = str(answer.json()["task_id"])
                return
            time.sleep(0.5)

    def task(self, order: Order) -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", f"/v1/tasks/{order.task_id}", order).json()
        return found

    def call_doors(self, order: Order) -> None:
        """Something for the API and for the webhook to do: a read, and a stranger's ring."""
        assert self.task(order)["task_id"] == order.task_id
        ring = f"{self.system.url}/callbacks/poyo/k1/{order.task_id}/forged"
        assert requests.post(ring, timeout=60).status_code == 404

    def poyo(self, path: str) -> Any:
        return requests.get(f"{self.system.poyo_url}/control/{path}", timeout=30).json()

    def _call(self, method: str, path: str, order: Order) -> requests.Response:
        wish = {"prompt": order.prompt, "quality": "low", "size": "1:1"}
        return requests.request(
            method,
            f"{self.system.url}{path}",
            headers={
                "Authorization": f"Bearer {self.system.api_key}",
                "Idempotency-Key": order.key,
            },
            json={"model": "gpt-image-2", "input": wish} if method == "POST" else None,
            timeout=60,
        )

    def _physical(self, logical_id: str) -> str:
        told = self.system.client("cloudformation").describe_stack_resource(
            StackName=stack.NAME, LogicalResourceId=logical_id
        )
        return str(told["StackResourceDetail"]["PhysicalResourceId"])


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Deployed from nothing, with a PoYo that takes its time."""
    state = tmp_path_factory.mktemp("deploys")
    with running(from_environment(environment()), state, simulator=SLOW) as system:
        with build.read_lock():
            shutil.copytree(build.ARTEFACT, state / "built")
        yield Deployed(system, state / "built")


def test_from_nothing_every_function_is_published_under_its_alias(deployed: Deployed) -> None:
    formation = deployed.system.client("cloudformation")
    [told] = formation.describe_stacks(StackName=stack.NAME)["Stacks"]
    gateway = deployed.system.client("apigatewayv2")
    integrations = gateway.get_integrations(ApiId=deployed.system.stack.api_id)["Items"]

    assert told["StackStatus"] == "CREATE_COMPLETE"
    assert deployed.versions() == dict.fromkeys(NAMES, "1")
    assert {each["IntegrationUri"].rpartition(":")[2] for each in integrations} == {"live"}


@dataclass
class Story:
    """What was seen of the stack before, between and after its two updates."""

    orders: list[Order]
    layers: dict[str, set[str]]
    versions: dict[str, dict[str, str]]
    printed: dict[str, str]
    on_the_way: Counter[str]


@pytest.fixture(scope="module")
def story(deployed: Deployed) -> Story:
    """Another layer without a release; then one with, while a hundred tasks are on their way."""
    layers, versions, printed = {}, {}, {}

    def look(when: str) -> None:
        layers[when], versions[when] = deployed.layers("live"), deployed.versions()
        printed[when] = next(filter(None, (deployed.sweep() for _ in range(5))))

    look("before")
    deployed.deploy("two")
    look("without a release")
    layers["latest"] = deployed.layers("$LATEST")
    placed, on_the_way = orders(), Counter[str]()
    with ThreadPoolExecutor(CUSTOMERS) as customers, ThreadPoolExecutor(1) as operator:
        first = [customers.submit(deployed.order, order) for order in placed[:70]]
        for each in first:
            each.result()
        wait_for_ends(deployed)
        update = operator.submit(deployed.deploy, "three", "a" * 64)
        for order in placed[70:]:
            customers.submit(deployed.order, order)
            time.sleep(0.3)
        while not update.done():
            on_the_way |= deployed.states()
            time.sleep(0.5)
        update.result()
    look("released")
    deployed.call_doors(placed[0])
    settle(deployed, placed)
    return Story(placed, layers, versions, printed, on_the_way)


def wait_for_ends(deployed: Deployed) -> None:
    """Come back when the first tasks have ended, well and badly; most are still on their way."""
    deadline = time.monotonic() + PATIENCE_S
    while not {"finished", "failed"} <= set(deployed.states()):
        assert time.monotonic() < deadline
        time.sleep(0.5)


def settle(deployed: Deployed, placed: list[Order]) -> None:
    """Come back when every task has ended, or with the ones that have not."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        deployed.sweep()
        if not {"submitting", "pending", "unknown", "running"} & set(deployed.states()):
            return
        time.sleep(4)


def test_another_layer_without_a_release_does_not_run(story: Story) -> None:
    """The trap: the deployment succeeds, and changes nothing for anybody."""
    assert story.layers["latest"] != story.layers["before"]
    assert story.layers["without a release"] == story.layers["before"]
    assert story.versions["without a release"] == story.versions["before"]
    assert "layer two" not in story.printed["without a release"]


def test_another_layer_with_a_release_runs_behind_every_alias(
    deployed: Deployed, story: Story
) -> None:
    assert story.versions["released"] == dict.fromkeys(NAMES, "2")
    assert story.layers["released"] not in (story.layers["before"], story.layers["latest"])
    assert "layer three" in story.printed["released"]
    for name in NAMES:
        assert "layer three" in deployed.said(name, "2"), name
        assert "layer t" not in deployed.said(name, "1"), name


def test_while_it_was_deployed_tasks_were_in_every_state_that_lasts(story: Story) -> None:
    """But for `failed` softly, which takes an hour; `submitting` is over in seconds, seen or not."""
    assert set(story.on_the_way) >= {"pending", "unknown", "running", "finished", "failed"}
    assert story.on_the_way.total() >= 50


def test_no_caller_noticed_the_deployment(story: Story) -> None:
    assert [order.answers for order in story.orders if order.answers != [202]] == []


def test_no_task_is_lost_and_every_one_ends_as_it_should(deployed: Deployed, story: Story) -> None:
    ended = {order.task_id: deployed.task(order)["status"] for order in story.orders}

    assert len(ended) == len(story.orders) == 100
    assert ended == {order.task_id: order.ends for order in story.orders}
    assert deployed.messages("TaskDeadLetterQueueUrl") == 0


def test_no_task_is_paid_twice(deployed: Deployed, story: Story) -> None:
    """By PoYo's own books: one task there for each of ours, and one submit that made it."""
    made = Counter(_ours(each["callback_url"]) for each in deployed.poyo("tasks")["tasks"])
    submits = deployed.poyo("log?kind=submit")["events"]
    taken = Counter(_ours(each["callback_url"]) for each in submits if each["created"])

    assert made == taken == Counter({order.task_id: 1 for order in story.orders})


def test_every_image_is_kept_as_poyo_drew_it(deployed: Deployed, story: Story) -> None:
    theirs = {
        _ours(each["callback_url"]): each["sha256"] for each in deployed.poyo("tasks")["tasks"]
    }
    finished = [order for order in story.orders if order.ends == "finished"]
    kept = {order.task_id: deployed.task(order)["files"] for order in finished}

    assert {task_id: [file["sha256"] for file in files] for task_id, files in kept.items()} == {
        order.task_id: [theirs[order.task_id]] for order in finished
    }


def test_the_versions_handed_tasks_on_to_one_another(deployed: Deployed, story: Story) -> None:
    """Some were accepted by the one and finished by the other."""
    before = deployed.said("ApiFunction", "1")
    after = deployed.said("WorkerFunction", "2")
    handed_on = [
        order.task_id
        for order in story.orders
        if order.task_id in before and order.task_id in after and order.ends == "finished"
    ]

    assert len(handed_on) >= 10


def _ours(callback_url: str) -> str:
    return callback_url.rsplit("/", 2)[1]
