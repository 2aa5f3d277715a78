"""Collects what a run left behind: PoYo's event log, the bucket, the queues, and every log."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.chaos.run import PlacedOrder, Run


@dataclass(frozen=True)
class Observations:
    """`submits` and `poyo_tasks` are by our task id; `stored_images` is key → SHA-256 in hex."""

    submits: dict[str, list[dict[str, Any]]]
    poyo_tasks: dict[str, list[dict[str, Any]]]
    stored_images: dict[str, str]
    dead_letters: int
    leaks: list[str]
    logs_searched: int
    alarms: dict[str, int]
    unhandled_errors: list[str]

    def created(self, placed: PlacedOrder) -> int:
        """Return how often PoYo created and charged a task for this order."""
        return sum(event["created"] for event in self.submits.get(placed.task_id, []))


def collect(run: Run) -> Observations:
    """Collect the observations once, after the run."""
    submits = _by_our_id(run.poyo("GET", "log?kind=submit")["events"])
    poyo_tasks = _by_our_id(run.poyo("GET", "tasks")["tasks"])
    macs = {_mac(event) for events in submits.values() for event in events}
    logs = dict(_logs(run))
    return Observations(
        submits=submits,
        poyo_tasks=poyo_tasks,
        stored_images=_stored_images(run),
        dead_letters=_messages(run, "TaskDeadLetterQueueUrl"),
        leaks=find_leaks(logs, _secrets(run, macs)),
        logs_searched=len(logs),
        alarms=Counter(line["message"] for line in _lines(logs) if line["level"] == "ERROR"),
        unhandled_errors=[
            f"{line.get('task_id')}: {line.get('error')}"
            for line in _lines(logs)
            if line["message"] == "reconcile_failed"
        ],
    )


def find_leaks(logs: dict[str, str], secrets: dict[str, str]) -> list[str]:
    """Return which log contains which kind of secret, without the secret itself."""
    found = Counter(
        (name, what) for secret, what in secrets.items() for name in logs if secret in logs[name]
    )
    return [f"{name} has {what} ({times} of them)" for (name, what), times in found.items()]


def _secrets(run: Run, macs: set[str]) -> dict[str, str]:
    keys = {run.system.api_key, run.other_key, run.system.settings.poyo_api_key}
    return {run.canary: "a prompt"} | dict.fromkeys(keys, "a key") | dict.fromkeys(macs, "a mac")


def _by_our_id(records: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Group by the task id in the callback URL: /callbacks/poyo/{kid}/{task_id}/{mac}."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        found.setdefault(record["callback_url"].split("/")[-2], []).append(record)
    return found


def _mac(event: dict[str, Any]) -> str:
    return str(event["callback_url"]).rsplit("/", 1)[1]


def _stored_images(run: Run) -> dict[str, str]:
    s3, bucket = run.system.client("s3"), run.system.outputs["ImagesBucketName"]
    stored = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            stored[item["Key"]] = hashlib.sha256(body).hexdigest()
    return stored


def _messages(run: Run, output: str) -> int:
    sqs, url = run.system.client("sqs"), run.system.outputs[output]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return sum(int(n) for name, n in attributes.items() if name.startswith("ApproximateNumber"))


def _lines(logs: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the functions' own lines in the log groups, one JSON object per line."""
    for name, text in logs.items():
        for line in text.splitlines() if not name.endswith(".log") else []:
            if line.startswith('{"level"'):
                yield json.loads(line)


def _logs(run: Run) -> Iterator[tuple[str, str]]:
    """Yield every log of the run with its name: the programs' files, the functions' log groups."""
    folder = Path(run.system.processes.logs)
    for path in sorted(folder.glob("*.log")):
        yield path.name, path.read_text(errors="replace")
    logs = run.system.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"].rsplit("/", 1)[-1]
            text = "\n".join(_group(logs, group["logGroupName"]))
            (folder / f"{name}.txt").write_text(text)  # the emulator loses it when it stops
            yield name, text


def _group(logs: Any, name: str) -> Iterator[str]:
    """Yield a whole log group; one request to the emulator returns at most 10,000 events."""
    since, at_once = 0, 10_000
    while len(events := _events(logs, name, since)) == at_once:
        since = events[-1]["timestamp"]  # the events of the last millisecond are returned twice
        yield from (event["message"] for event in events)
    yield from (event["message"] for event in events)


def _events(logs: Any, name: str, since: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = logs.filter_log_events(logGroupName=name, startTime=since)[
        "events"
    ]
    return found
