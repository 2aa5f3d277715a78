"""The whole life of one image, run by the real handlers against an AWS and a PoYo in this process.

An order, two reads while it runs, PoYo's callback, the worker that copies the image, and a read of the
result: all that a client does who polls. The second life is counted, because the first one reads secrets and
puts an owner's usage into its lists.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, cast
from unittest.mock import patch

from benchmarks.metered_aws import Meter, Usage, metered
from imagetasks.aws.task_repository import TaskRepository, WriteResult
from imagetasks.limits import Limits
from imagetasks.tasks import signed_urls
from imagetasks.tasks.conditional_write import Condition, PutItem, absent
from imagetasks.tasks.task import Task
from imagetasks.tasks.task_item import to_item
from imagetasks.tasks.transition_write import TransitionWrite
from tests.fixtures.images import png
from tests.support.api import Api
from tests.support.aws_over_http import loaded_webhook
from tests.support.emulated_aws import CALLBACK_KEY, aws
from tests.support.lambdas import Context, captured_logs, http_event, invoke, load_handler
from tests.support.scripted_server import Behaviour, responding, scripted_server

PROMPT = ("A heron in the morning mist, seen from the reeds at the edge of the lake. " * 3)[:200]
ORDER = {
    "model": "gpt-image-2",
    "input": {"prompt": PROMPT, "size": "1:1", "resolution": "1K", "quality": "low"},
}
OWNER = "customer-12345"
STEPS = ("order", "read", "read", "callback", "worker", "read")
POYO_ID = re.compile(rb"[A-Z]{4}[0-9]{12}")


@dataclass(frozen=True, slots=True)
class Life:
    """What each step of `STEPS` used, how many task messages were sent, and the bytes that its
    functions logged."""

    steps: tuple[Usage, ...]
    messages: int
    log_bytes: int

    @property
    def total(self) -> Usage:
        """All steps together."""
        return sum(self.steps, Usage())


def poyo(file_url: str) -> Behaviour:
    """A PoYo that takes every order and has finished it when it is asked."""
    numbers = itertools.count()

    def behave(connection: socket.socket, request: bytes) -> None:
        data: dict[str, object] = {
            "task_id": f"POYO{next(numbers):012}",
            "status": "not_started",
        }
        if request.startswith(b"GET"):
            asked = POYO_ID.findall(request)[0].decode()
            files = [{"file_url": file_url, "file_type": "image"}]
            data = {"task_id": asked, "status": "finished", "files": files, "credits_amount": 2}
        body = json.dumps({"code": 200, "data": data}).encode()
        responding("200 OK", body)(connection, request)

    return behave


@dataclass(frozen=True, slots=True)
class Stack:
    """The loaded handlers, and the meter of what they use."""

    api: Api
    webhook: ModuleType
    worker: ModuleType
    meter: Meter

    def live(self, key: str) -> Life:
        """One life, of the order with this idempotency key."""
        self.meter.take()
        used: list[Usage] = []
        printed = io.StringIO()
        with captured_logs() as logged, contextlib.redirect_stdout(printed):
            created = self.api.create(ORDER, idempotency_key=key, x_owner=OWNER)
            task_id = created.json["task_id"]
            used.append(self.meter.take())
            for _ in range(2):
                self.api.get(f"/v1/tasks/{task_id}", x_owner=OWNER)
                used.append(self.meter.take())
            path = signed_urls.callback_path("k1", CALLBACK_KEY, task_id)
            body = json.dumps({"task_id": self._poyo_id(task_id), "status": "finished"})
            self.meter.take()
            invoke(self.webhook, http_event("POST", path, body=body))
            used.append(self.meter.take())
            [message] = self.api.cloud.messages()
            self.meter.take()
            record = {"messageId": "1", "eventSource": "aws:sqs", "body": json.dumps(message)}
            self.worker.handler({"Records": [record]}, Context())
            used.append(self.meter.take())
            read = self.api.get(f"/v1/tasks/{task_id}", x_owner=OWNER).json
            used.append(self.meter.take())
        further = len(self.api.cloud.messages())
        if read["status"] != "finished":
            raise RuntimeError(f"the image was not made: {read}")
        text = logged.getvalue() + printed.getvalue()
        return Life(tuple(used), 1 + further, len(text.encode()))

    def _poyo_id(self, task_id: str) -> str:
        cloud = self.api.cloud
        key = {"pk": {"S": f"task#{task_id}"}}
        item = cloud.client("dynamodb").get_item(TableName=cloud.table_name, Key=key)["Item"]
        return str(item["poyo_id"]["S"])


@contextmanager
def running_stack(**environment: str) -> Iterator[Stack]:
    """The handlers as after cold starts, with these variables beside the template's."""
    with (
        aws() as cloud,
        scripted_server(responding("200 OK", png())) as files,
        scripted_server(poyo(f"{files.url}/image.png")) as upstream,
        metered() as meter,
    ):
        further = {"POYO_BASE_URL": upstream.url, "DOWNLOAD_HOSTS": files.url} | environment
        with (
            load_handler("api", cloud, **further) as api,
            load_handler("worker", cloud, **further) as worker,
            loaded_webhook(cloud) as (webhook, _),
        ):
            yield Stack(Api(api, cloud, upstream), webhook, worker, meter)


@contextmanager
def without_credits() -> Iterator[None]:
    """Book no credits while the block runs: what an image costs by itself."""
    apply = TaskRepository.apply

    def create(repository: TaskRepository, task: Task, _: object = ()) -> WriteResult:
        put = PutItem(item=to_item(task), condition=Condition((absent("pk"),)))
        repository.table.put(put)
        return WriteResult(True, task)

    def apply_alone(repository: TaskRepository, write: TransitionWrite) -> WriteResult:
        return apply(repository, replace(write, bookings=()))

    with (
        patch.object(TaskRepository, "create", create),
        patch.object(TaskRepository, "apply", apply_alone),
    ):
        yield


def counted_life(**environment: str) -> Life:
    """The second life of a new stack. Its submit is in time: one that a slow machine sends late takes
    another start, which is a write more."""
    defaults: Any = cast(Any, Limits.__init__).__kwdefaults__
    with patch.dict(defaults, late_start_s=60), running_stack(**environment) as stack:
        stack.live("first")
        return stack.live("second")
