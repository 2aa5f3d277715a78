"""The order in which the events are sent, which is the life of one task, and what they need before."""

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

FIRST_POLL_SECONDS = 5  # after which the sweep finds the task due
EVENTS = ROOT / "events"
FUNCTIONS = {
    "api": "ApiFunction",
    "webhook": "WebhookFunction",
    "worker": "WorkerFunction",
    "notify": "NotifyFunction",
    "sweep": "SweepFunction",
    "drift": "DriftFunction",
}
# The events of one step do not depend on each other. `sam local invoke` runs them at the same time, as many
# as keep two cores busy. Only events change the task: the queues and the schedules are disabled.
STEPS = (
    ("api-create", "api-health", "api-openapi"),
    ("api-read", "api-create-invalid", "api-list-models"),
    ("webhook-finished", "webhook-forged", "api-read-model"),
    ("webhook-base64-body", "webhook-truncated-body", "api-quote"),
    ("sweep-schedule", "api-unknown-route", "api-poyo-status-unauthorized"),  # the task is due
    ("worker-callback", "api-read-unauthorized", "api-upload-invalid"),  # PoYo has finished it
    ("worker-sweep", "api-file", "api-read"),  # the image is stored
    ("api-poyo-submit", "api-poyo-status", "api-poyo-balance"),  # a replay and the result
    ("api-upload", "api-read-wait", "api-list", "notify-caller"),
    ("api-list-status", "api-list-named", "api-list-unknown-parameter", "api-signed-url-forged"),
    ("api-token-create", "api-token-read", "api-token-revoke", "api-create-with-token"),
    ("api-set-budget", "drift-schedule"),
    ("api-read-budget", "api-usage"),
    ("api-delete", "api-remove-budget"),
)
DUE_TIMEOUT_S = 3 * FIRST_POLL_SECONDS
POLL_S = 0.2


def steps(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return STEPS, followed by every other event as a step of its own."""
    known = {name for step in STEPS for name in step}
    return [*STEPS, *((name,) for name in sorted(set(names) - known))]


def events() -> list[str]:
    """Return the names of all events."""
    return [path.stem for path in EVENTS.glob("*.json") if path.stem != "env"]


def function_of(event: str) -> str:
    """Return the logical id of an event's function; raises KeyError for a name with another prefix."""
    return FUNCTIONS[event.partition("-")[0]]


def task_id() -> str:
    """Return the id of the task in the events."""
    read: dict[str, Any] = json.loads((EVENTS / "api-read.json").read_text())
    found = re.fullmatch(r"/v1/tasks/(\w+)", read["rawPath"])
    if not found:
        raise StepFailed(f"no task in {read['rawPath']}")
    return found[1]


def disable_triggers(system: System) -> None:
    """Disable both queues and the schedules."""
    functions = system.client("lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    schedules = system.client("scheduler")
    for listed in schedules.list_schedules()["Schedules"]:
        schedule = schedules.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])
        unchanged = ("Name", "GroupName", "ScheduleExpression", "Target", "FlexibleTimeWindow")
        schedules.update_schedule(State="DISABLED", **{name: schedule[name] for name in unchanged})


def delete_task(system: System) -> None:
    """Delete the task's items and all images."""
    table, bucket = system.outputs["TasksTableName"], system.outputs["ImagesBucketName"]
    dynamodb, s3 = system.client("dynamodb"), system.client("s3")
    for item in _items(system):
        dynamodb.delete_item(TableName=table, Key={"pk": item["pk"]})
    for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=entry["Key"])


def prepare(step: tuple[str, ...], system: System) -> None:
    """Bring about what a step's events need."""
    if "sweep-schedule" in step:
        _wait_until_due(system)
    if "worker-callback" in step:
        _finish_at_poyo(system)


def path_of(event: str) -> Path:
    """Return the path of an event's file."""
    return EVENTS / f"{event}.json"


def _wait_until_due(system: System) -> None:
    """Wait until the task is due. If there is no task, return after a while: the responses show that."""
    deadline = time.monotonic() + DUE_TIMEOUT_S
    while time.monotonic() < deadline:
        if any(int(item["due_at"]["N"]) < time.time() * 1000 for item in _due(system)):
            return
        time.sleep(POLL_S)


def _finish_at_poyo(system: System) -> None:
    """Make the simulated PoYo finish all its tasks."""
    control = f"{system.poyo_url}/control/tasks"
    with requests.Session() as session:
        session.trust_env = False  # both programs are on this machine: use no proxy
        for task in session.get(control, timeout=10).json()["tasks"]:
            session.post(f"{control}/{task['task_id']}/finish", timeout=10)


def _due(system: System) -> list[dict[str, Any]]:
    return [item for item in _items(system) if "due_at" in item]


def _items(system: System) -> list[dict[str, Any]]:
    table = system.outputs["TasksTableName"]
    found = system.client("dynamodb").scan(TableName=table, ConsistentRead=True)["Items"]
    return [item for item in found if task_id() in json.dumps(item)]
