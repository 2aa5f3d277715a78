"""Orders an image, waits until it is finished and saves it.

POYO_BASE_URL=… POYO_API_KEY=… python generate.py A paper boat on a calm lake
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import requests

BASE_URL = os.environ["POYO_BASE_URL"].rstrip("/")
KEY = {"Authorization": f"Bearer {os.environ['POYO_API_KEY']}"}
# File requests carry no key, which the file host must not see. Some file hosts reject a library's User-Agent.
FILE_HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; imagetasks-example)", "Accept": "image/*"}
TIMEOUT_S = 30 * 60  # an image usually takes one or two minutes, sometimes many more
POLL_S = 3
RETRYABLE = (429, 500, 502, 503, 504)  # reading the status again is free


def main() -> None:
    """Order one image with the prompt of the command line and save it under its task id."""
    task_id = submit(" ".join(sys.argv[1:]) or "A paper boat on a calm lake")
    print(f"{task_id} ordered", flush=True)
    task = wait_until_ended(task_id)
    if task["status"] == "failed":
        sys.exit(f"{task_id} failed: {task.get('error_message')}")
    print(f"saved {save(task_id, task['files'][0]['file_url'])}")


def submit(prompt: str) -> str:
    """The id of a new task. Never retried: a second submit would create and charge a second task."""
    image = {"prompt": prompt, "quality": "low", "size": "1:1", "resolution": "1K"}
    order = {"model": "gpt-image-2", "input": image}
    url = f"{BASE_URL}/api/generate/submit"
    return str(data_of(requests.post(url, json=order, headers=KEY, timeout=30))["task_id"])


def wait_until_ended(task_id: str) -> Any:
    """The task once it is finished or failed."""
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        task = status(task_id)
        if task and task["status"] in ("finished", "failed"):
            return task
        time.sleep(POLL_S)
    sys.exit(f"{task_id} is not finished yet; read its status again later")


def status(task_id: str) -> Any:
    """The current task, or None if the request failed and can be retried."""
    try:
        response = requests.get(
            f"{BASE_URL}/api/generate/status/{task_id}", headers=KEY, timeout=30
        )
    except (requests.ConnectionError, requests.Timeout):
        return None
    return None if response.status_code in RETRYABLE else data_of(response)


def save(task_id: str, url: str) -> Path:
    """Save the file in the current directory."""
    response = requests.get(url, headers=FILE_HEADERS, timeout=120)
    response.raise_for_status()
    path = Path(f"{task_id}.png")
    path.write_bytes(response.content)
    return path


def data_of(response: requests.Response) -> Any:
    """The `data` of a successful response. Exits with the response of an error."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    if not response.ok or body.get("code") not in (0, 200):
        sys.exit(f"HTTP {response.status_code}: {response.text[:500]}")
    return body["data"]


if __name__ == "__main__":
    main()
