"""What is left to be seen after a run: PoYo's journal, the bucket, the queues, every log."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.chaos.run import Placed, Run


@dataclass(frozen=True)
class Evidence:
    """`submits` and `theirs` (PoYo's tasks) by our task id, `kept` is key → SHA-256 in hex."""

    submits: dict[str, list[dict[str, Any]]]
    theirs: dict[str, list[dict[str, Any]]]
    kept: dict[str, str]
    dead_letters: int
    leaks: list[str]
    searched: int
    pages: dict[str, int]
    unhandled: list[str]

    def created(self, placed: Placed) -> int:
        """How often PoYo made and charged a task of this order."""
        return sum(event["created"] for event in self.submits.get(placed.task_id, []))


def gather(run: Run) -> Evidence:
    """Look everywhere once."""
    submits = _by_our_id(run.poyo("GET", "log?kind=submit")["events"])
    theirs = _by_our_id(run.poyo("GET", "tasks")["tasks"])
    macs = {_mac(event) for events in submits.values() for event in events}
    logs = dict(_logs(run))
    return Evidence(
        submits=submits,
        theirs=theirs,
        kept=_kept(run),
        dead_letters=_messages(run, "TaskDeadLetterQueueUrl"),
        leaks=leaks(logs, _secrets(run, macs)),
        searched=len(logs),
        pages=Counter(line["message"] for line in _lines(logs) if line["level"] == "ERROR"),
        unhandled=[
            f"{line.get('task_id')}: {line.get('error')}"
            for line in _lines(logs)
            if line["message"] == "reconcile_failed"
        ],
    )


def leaks(logs: dict[str, str], secrets: dict[str, str]) -> list[str]:
    """Which log says which secret; the secret itself is not repeated."""
    found = Counter(
        (name, what) for secret, what in secrets.items() for name in logs if secret in logs[name]
    )
    return [f"{name} has {what} ({times} of them)" for (name, what), times in found.items()]


def _secrets(run: Run, macs: set[str]) -> dict[str, str]:
    keys = {run.system.api_key, run.other_key, run.system.settings.poyo_api_key}
    return {run.canary: "a prompt"} | dict.fromkeys(keys, "a key") | dict.fromkeys(macs, "a mac")


def _by_our_id(things: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Sorted by the task id in the callback URL: /callbacks/poyo/{kid}/{task_id}/{mac}."""
    found: dict[str, list[dict[str, Any]]] = {}
    for thing in things:
        found.setdefault(thing["callback_url"].split("/")[-2], []).append(thing)
    return found


def _mac(event: dict[str, Any]) -> str:
    return str(event["callback_url"]).rsplit("/", 1)[1]


def _kept(run: Run) -> dict[str, str]:
    s3, bucket = run.system.client("s3"), run.system.outputs["ImagesBucketName"]
    kept = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            kept[item["Key"]] = hashlib.sha256(body).hexdigest()
    return kept


def _messages(run: Run, output: str) -> int:
    sqs, url = run.system.client("sqs"), run.system.outputs[output]
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return sum(int(n) for name, n in told.items() if name.startswith("ApproximateNumber"))


def _lines(logs: dict[str, str]) -> Iterator[dict[str, Any]]:
    """What our functions said in the log groups, one JSON object a line."""
    for name, text in logs.items():
        for line in text.splitlines() if not name.endswith(".log") else []:
            if line.startswith('{"level"'):
                yield json.loads(line)


def _logs(run: Run) -> Iterator[tuple[str, str]]:
    """Every log of the run by its name: the programs' files, the functions' groups."""
    folder = Path(run.system.processes.logs)
    for path in sorted(folder.glob("*.log")):
        yield path.name, path.read_text(errors="replace")
    logs = run.system.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"].rsplit("/", 1)[-1]
            text = "\n".join(_group(logs, group["logGroupName"]))
            (folder / f"{name}.txt").write_text(text)  # outlives the emulator
            yield name, text


def _group(logs: Any, name: str) -> Iterator[str]:
    """A whole log group, however long: the emulator gives the first ten thousand of what it has."""
    since, at_once = 0, 10_000
    while len(events := _events(logs, name, since)) == at_once:
        since = events[-1]["timestamp"]  # the last millisecond comes twice
        yield from (event["message"] for event in events)
    yield from (event["message"] for event in events)


def _events(logs: Any, name: str, since: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = logs.filter_log_events(logGroupName=name, startTime=since)[
        "events"
    ]
    return found
