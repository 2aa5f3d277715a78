"""A stack that tests update, the orders placed at it, and what can be observed of both."""

from __future__ import annotations

import re
import shutil
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from local import build, stack, warm_up
from local.system import System

NAMES = (
    "ApiFunction",
    "WebhookFunction",
    "WorkerFunction",
    "NotifyFunction",
    "SweepFunction",
    "DriftFunction",
)
# The emulator kills the processes of the old version during their work, which AWS does not. Their messages
# are redelivered after this time, and not after the six minutes of the template.
VISIBILITY_TIMEOUT_S = 30


@dataclass
class Order:
    """One order: its key, its prompt, its expected end, and the statuses of the responses to it."""

    prompt: str
    ends: str
    key: str = field(default_factory=lambda: f"deploy-{uuid.uuid4()}")
    responses: list[int] = field(default_factory=list)
    task_id: str = ""


@dataclass
class UpdatedStack:
    """A separate stack, updated from a copy of the artefact that the test changes."""

    system: System
    built: Path

    def deploy(self, layer: str, release: str = "") -> None:
        """Update the stack to another layer, which prints its name when a function starts with it."""
        package = (
            self.built / build.LAYERS[build.architecture()] / "python" / "aws_lambda_powertools"
        )
        with package.joinpath("__init__.py").open("a") as module:
            module.write(f"\nprint('layer {layer}')\n")
        # Python does not check the layer's bytecode against its source and would ignore the change.
        shutil.rmtree(package / "__pycache__", ignore_errors=True)
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
        self.shorten_visibility_timeout()

    def shorten_visibility_timeout(self) -> None:
        attributes = {"VisibilityTimeout": str(VISIBILITY_TIMEOUT_S)}
        url = self.system.outputs["TaskQueueUrl"]
        self.system.client("sqs").set_queue_attributes(QueueUrl=url, Attributes=attributes)

    def versions(self) -> dict[str, str]:
        """The version that the alias of each function points to."""
        functions = self.system.client("lambda")
        return {
            name: functions.get_alias(FunctionName=self._physical(name), Name="live")[
                "FunctionVersion"
            ]
            for name in NAMES
        }

    def layers(self, qualifier: str) -> set[str]:
        """The layers of all functions under that alias or version."""
        functions = self.system.client("lambda")
        configured = [
            functions.get_function_configuration(
                FunctionName=self._physical(name), Qualifier=qualifier
            )
            for name in NAMES
        ]
        return {layer["Arn"] for each in configured for layer in each["Layers"]}

    def sweep(self) -> bool:
        """Invoke the sweep as the schedule does; returns whether it succeeded."""
        return self.invoke("SweepFunction")

    def invoke(self, name: str) -> bool:
        """Invoke a scheduled function as its schedule does; returns whether it succeeded."""
        response = self.system.client("lambda").invoke(
            FunctionName=self._physical(name), Qualifier="live"
        )
        return "FunctionError" not in response

    def log(self, name: str, version: str) -> str:
        """Everything that one version of a function has logged."""
        group = self._physical(name.replace("Function", "Logs"))
        paginator = self.system.client("logs").get_paginator("filter_log_events")
        events = [
            each for page in paginator.paginate(logGroupName=group) for each in page["events"]
        ]
        return "\n".join(
            each["message"] for each in events if f"[{version}]" in each["logStreamName"]
        )

    def states(self) -> Counter[str]:
        """The number of tasks in each state."""
        table = self.system.outputs["TasksTableName"]
        pages = self.system.client("dynamodb").get_paginator("scan").paginate(TableName=table)
        items = [item for page in pages for item in page["Items"]]
        return Counter(item["state"]["S"] for item in items if "state" in item)

    def messages(self, output: str) -> int:
        """The number of messages in the queue whose URL is that output."""
        url = self.system.outputs[output]
        found = self.system.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        counts = found["Attributes"].items()
        return sum(int(n) for name, n in counts if name.startswith("ApproximateNumber"))

    def order(self, order: Order) -> None:
        """Place the order, and repeat it with the same key until it is accepted."""
        for _ in range(8):
            response = self._call("POST", "/v1/tasks", order)
            order.responses.append(response.status_code)
            if response.ok:
                order.task_id = str(response.json()["task_id"])
                return
            time.sleep(0.5)

    def task(self, order: Order) -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", f"/v1/tasks/{order.task_id}", order).json()
        return found

    def call_functions(self, order: Order) -> None:
        """Invoke the API with a read, the webhook with a forged callback, and the function that
        notifies callers, which no order of this test needs."""
        assert self.task(order)["task_id"] == order.task_id
        callback = f"{self.system.url}/callbacks/poyo/k1/{order.task_id}/forged"
        assert requests.post(callback, timeout=60).status_code == 404
        warm_up.invoke(self.system, function="NotifyFunction")

    def poyo(self, path: str) -> Any:
        return requests.get(f"{self.system.poyo_url}/control/{path}", timeout=30).json()

    def finish_at_poyo(self, task_ids: set[str]) -> None:
        """Have PoYo finish those of our tasks that are open there; it then sends their callbacks."""
        tasks = f"{self.system.poyo_url}/control/tasks"
        for task in self.poyo("tasks")["tasks"]:
            if task["ended"] is None and our_task_id(task["callback_url"]) in task_ids:
                requests.post(f"{tasks}/{task['task_id']}/finish", timeout=30).raise_for_status()

    def _call(self, method: str, path: str, order: Order) -> requests.Response:
        requested = {"prompt": order.prompt, "quality": "low", "size": "1:1"}
        return requests.request(
            method,
            f"{self.system.url}{path}",
            headers={
                "Authorization": f"Bearer {self.system.api_key}",
                "Idempotency-Key": order.key,
            },
            json={"model": "gpt-image-2", "input": requested} if method == "POST" else None,
            timeout=60,
        )

    def _physical(self, logical_id: str) -> str:
        found = self.system.client("cloudformation").describe_stack_resource(
            StackName=stack.NAME, LogicalResourceId=logical_id
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])


def our_task_id(callback_url: str) -> str:
    """The id of our task in the callback URL that PoYo got."""
    return callback_url.rsplit("/", 2)[1]
