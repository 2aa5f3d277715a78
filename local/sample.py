"""Submits one sample task and polls it as a caller would; lists commands to try next."""

import time
import uuid
from pathlib import Path
from typing import Any

import requests

from local.cloud import REGION
from local.progress import StepFailed, say
from local.stack import NAME
from local.system import System

TIMEOUT_S = 900  # PoYo takes minutes when it is congested
POLL_S = 0.25
PROMPT = "A lighthouse at dusk, its lamp just lit, gulls asleep on the rail"
BODY = {
    "model": "gpt-image-2",
    "input": {
        "prompt": PROMPT,
        "quality": "low",
        "size": "1:1",
        "resolution": "1K",
    },
}


def run(system: System, image: Path) -> None:
    """Submit the sample, print each status with its time, save the file; raises StepFailed."""
    with requests.Session() as session:
        session.trust_env = False  # both programs run on this machine: use no proxy
        session.headers["Authorization"] = f"Bearer {system.api_key}"
        task = _poll(session, system, _submit(session, system))
        if task["status"] != "finished":
            raise StepFailed(f"the sample task ended as {task['status']}: {task['error']}")
        response = session.get(f"{system.url}/v1/tasks/{task['task_id']}/files/0", timeout=30)
        _expect(response, requests.codes.ok)
    image.write_bytes(response.content)
    say(f"    in S3        s3://{system.outputs['ImagesBucketName']}/{_key(system, task)}")
    say(f"    downloaded   {image}  ({len(response.content):,} bytes)")


def next_commands(system: System) -> str:
    """Return example commands for the running system."""
    task = (
        '{"model":"gpt-image-2","input":{"prompt":"A paper boat","size":"1:1","resolution":"1K"}}'
    )
    auth = f"-H 'Authorization: Bearer {system.api_key}'"
    aws = f"AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test aws --region {REGION}"
    aws = f"{aws} --endpoint-url {system.cloud_url}"
    return f"""
  try next
    curl -i {auth} -H 'Idempotency-Key: try-1' \\
      -H 'Content-Type: application/json' -d '{task}' {system.url}/v1/tasks
    curl {auth} {system.url}/v1/tasks/TASK_ID
    curl -L -o image.png {auth} {system.url}/v1/tasks/TASK_ID/files/0

  inspect the stack {NAME} (with any AWS tool, keys test/test)
    {aws} s3 ls --recursive s3://{system.outputs["ImagesBucketName"]}
    {aws} dynamodb scan --table-name {system.outputs["TasksTableName"]}
    {aws} logs tail {_logs(system, "WorkerFunctionName")}
    logs of the programs on this machine: {system.processes.logs}
"""


def _submit(session: requests.Session, system: System) -> dict[str, Any]:
    say(f"\n  a sample task: {PROMPT!r}")
    headers = {"Idempotency-Key": f"sample-{uuid.uuid4()}"}
    response = session.post(f"{system.url}/v1/tasks", json=BODY, headers=headers, timeout=30)
    return _expect(response, requests.codes.accepted)


def _poll(session: requests.Session, system: System, task: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    shown = None
    while True:
        elapsed = time.monotonic() - began
        if task["status"] != shown:
            shown = task["status"]
            say(f"    {elapsed:5.1f} s      {task['task_id']}  {shown}")
        if shown in ("finished", "failed"):
            return task
        if elapsed > TIMEOUT_S:
            raise StepFailed(f"the sample task is still {shown} after {elapsed:.0f} s")
        time.sleep(POLL_S)
        response = session.get(f"{system.url}/v1/tasks/{task['task_id']}", timeout=30)
        task = _expect(response, requests.codes.ok)


def _expect(response: requests.Response, status: int) -> dict[str, Any]:
    if response.status_code != status:
        request = f"{response.request.method} {response.url}"
        raise StepFailed(f"{request} returned {response.status_code}: {response.text[:500]}")
    is_json = "json" in response.headers.get("Content-Type", "")
    body: dict[str, Any] = response.json() if is_json else {}
    return body


def _key(system: System, task: dict[str, Any]) -> str:
    listed = system.client("s3").list_objects_v2(Bucket=system.outputs["ImagesBucketName"])
    keys = [item["Key"] for item in listed.get("Contents", []) if task["task_id"] in item["Key"]]
    if not keys:
        raise StepFailed(f"the task is finished, but S3 has no object for {task['task_id']}")
    return str(keys[0])


def _logs(system: System, output: str) -> str:
    function = system.client("lambda").get_function(FunctionName=system.outputs[output])
    return str(function["Configuration"]["LoggingConfig"]["LogGroup"])
