"""Events of orders and of task messages for the measured api and worker."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from benchmarks.measured import Calls
from benchmarks.server import SERVER_KEY
from local.processes import ROOT


def order_events(number: int, *, route: str = "api-create") -> list[dict[str, Any]]:
    """So many orders like events/api-create.json (or another POST), each with its own key."""
    sample = json.loads((ROOT / "events" / f"{route}.json").read_text())
    sample["headers"]["authorization"] = f"Bearer {SERVER_KEY}"
    found = []
    for n in range(number):
        event = copy.deepcopy(sample)
        event["headers"]["idempotency-key"] = f"benchmark-{n}"
        found.append(event)
    return found


def ordered_ids(calls: Calls) -> list[str]:
    """The ids of the tasks that the api has created. Raises RuntimeError if it refused one, or if one
    waits for its submit."""
    tasks = []
    for result in calls.results:
        body = json.loads(result["body"])
        if result["statusCode"] != 202 or body["status"] != "running":
            raise RuntimeError(f"the order was not submitted: {result}")
        tasks.append(body["task_id"])
    return tasks


def message_events(task_ids: Sequence[str]) -> list[dict[str, Any]]:
    """A task message of the sweep for each task, as SQS hands it to the worker."""
    sample = json.loads((ROOT / "events" / "worker-sweep.json").read_text())
    found = []
    for task_id in task_ids:
        event = copy.deepcopy(sample)
        record = event["Records"][0]
        record["body"] = json.dumps({"task_id": task_id, "source": "sweep"})
        found.append(event)
    return found
