"""The events in the order in which they tell a task's life, once to each set of functions."""

import json
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests

from local.processes import ROOT
from local.progress import StepFailed
from local.system import System

FIRST_POLL_SECONDS = 5  # so that the sweep soon finds the task due
EVENTS = ROOT / "events"
FUNCTIONS = {
    "api": "ApiFunction",
    "webhook": "WebhookFunction",
    "worker": "WorkerFunction",
    "sweep": "SweepFunction",
}
# What is in one row does not depend on each other and may happen at the same time. Nobody but these
# events moves the task: the worker's queue and the sweep's schedule are switched off.
ROWS = (
    ("api-create", "api-health"),
    ("api-read", "api-create-invalid"),
    ("webhook-finished", "webhook-forged"),
    ("webhook-base64-body", "webhook-truncated-body"),
    ("sweep-schedule", "api-unknown-route"),  # the task is due: the sweep finds it
    ("worker-callback", "api-read-unauthorized"),  # PoYo has finished: the worker keeps the image
    ("worker-sweep", "api-file", "api-read"),  # and there it is
    ("api-poyo-submit", "api-poyo-status"),  # PoYo's words for it: a replay, and the result
    ("api-poyo-balance", "api-upload", "api-read-wait"),  # before api-delete, which sorts first
)
PATIENCE_S = 3 * FIRST_POLL_SECONDS
POLL_S = 0.2


def rows(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The rows, and after them every event that none of them names."""
    known = {name for row in ROWS for name in row}
    return [*ROWS, *((name,) for name in sorted(set(names) - known))]


def events() -> list[str]:
    """The names of the events there are."""
    return [path.stem for path in EVENTS.glob("*.json") if path.stem != "env"]


def function_of(event: str) -> str:
    """Which function of the template an event is for; raises KeyError if its name does not say."""
    return FUNCTIONS[event.partition("-")[0]]


def task_id() -> str:
    """The task that the events speak of."""
    read: dict[str, Any] = json.loads((EVENTS / "api-read.json").read_text())
    found = re.fullmatch(r"/v1/tasks/(\w+)", read["rawPath"])
    if not found:
        raise StepFailed(f"no task in {read['rawPath']}")
    return found[1]


def hold_still(system: System) -> None:
    """Leave everything to the events: no queue feeds the worker, no schedule wakes the sweep."""
    functions = system.client("lambda")
    worker = system.outputs["WorkerFunctionName"]
    for mapping in functions.list_event_source_mappings(FunctionName=worker)["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    schedules = system.client("scheduler")
    for listed in schedules.list_schedules()["Schedules"]:
        schedule = schedules.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])
        kept = ("Name", "GroupName", "ScheduleExpression", "Target", "FlexibleTimeWindow")
        schedules.update_schedule(State="DISABLED", **{name: schedule[name] for name in kept})


def from_the_start(system: System) -> None:
    """Forget the task: its rows and its images."""
    table, bucket = system.outputs["TasksTableName"], system.outputs["ImagesBucketName"]
    dynamodb, s3 = system.client("dynamodb"), system.client("s3")
    for row in _rows(system):
        dynamodb.delete_item(TableName=table, Key={"pk": row["pk"]})
    for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=entry["Key"])


def before(row: tuple[str, ...], system: System) -> None:
    """Wait for what a row tells of."""
    if "sweep-schedule" in row:
        _until_due(system)
    if "worker-callback" in row:
        _finish_upstream(system)


def path_of(event: str) -> Path:
    """Its file."""
    return EVENTS / f"{event}.json"


def _until_due(system: System) -> None:
    """Wait, but not for ever: if the task is not there, the answers will tell."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if any(int(row["due_at"]["N"]) < time.time() * 1000 for row in _due(system)):
            return
        time.sleep(POLL_S)


def _finish_upstream(system: System) -> None:
    """Have the simulated PoYo finish everything it works on."""
    control = f"{system.poyo_url}/control/tasks"
    with requests.Session() as session:
        session.trust_env = False  # a proxy has no business between two programs here
        for task in session.get(control, timeout=10).json()["tasks"]:
            session.post(f"{control}/{task['task_id']}/finish", timeout=10)


def _due(system: System) -> list[dict[str, Any]]:
    return [row for row in _rows(system) if "due_at" in row]


def _rows(system: System) -> list[dict[str, Any]]:
    table = system.outputs["TasksTableName"]
    found = system.client("dynamodb").scan(TableName=table, ConsistentRead=True)["Items"]
    return [row for row in found if task_id() in json.dumps(row)]
