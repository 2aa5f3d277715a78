"""Order an image, wait until it is finished, save it.

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
# The key is not for whoever keeps the files; some file hosts turn a library's own name away.
BROWSER = {"User-Agent": "Mozilla/5.0 (compatible; imagetasks-example)", "Accept": "image/*"}
PATIENCE_S = 30 * 60  # usually a minute or two, sometimes many
POLL_S = 3
AGAIN = (429, 500, 502, 503, 504)  # when only asking, it costs nothing to ask again


def main() -> None:
    """One image from the command line's prompt, saved here under its task's id."""
    task_id = submit(" ".join(sys.argv[1:]) or "A paper boat on a calm lake")
    print(f"{task_id} is ordered", flush=True)
    task = ended(task_id)
    if task["status"] == "failed":
        sys.exit(f"{task_id} failed: {task.get('error_message')}")
    print(f"saved {save(task_id, task['files'][0]['file_url'])}")


def submit(prompt: str) -> str:
    """The id of a new task. Sent once: a second submit would be a second, paid task."""
    wish = {"prompt": prompt, "quality": "low", "size": "1:1", "resolution": "1K"}
    order = {"model": "gpt-image-2", "input": wish}
    url = f"{BASE_URL}/api/generate/submit"
    return str(data_of(requests.post(url, json=order, headers=KEY, timeout=30))["task_id"])


def ended(task_id: str) -> Any:
    """The task once it is finished or failed."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        task = status(task_id)
        if task and task["status"] in ("finished", "failed"):
            return task
        time.sleep(POLL_S)
    sys.exit(f"{task_id} is still not finished; ask for it again later")


def status(task_id: str) -> Any:
    """The task as it stands, None when that could not be learned just now."""
    try:
        answer = requests.get(f"{BASE_URL}/api/generate/status/{task_id}", headers=KEY, timeout=30)
    except (requests.ConnectionError, requests.Timeout):
        return None
    return None if answer.status_code in AGAIN else data_of(answer)


def save(task_id: str, url: str) -> Path:
    """The file, in the current folder."""
    answer = requests.get(url, headers=BROWSER, timeout=120)
    answer.raise_for_status()
    path = Path(f"{task_id}.png")
    path.write_bytes(answer.content)
    return path


def data_of(answer: requests.Response) -> Any:
    """`data` of a success; the end with what was said otherwise."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not answer.ok or body.get("code") not in (0, 200):
        sys.exit(f"HTTP {answer.status_code}: {answer.text[:500]}")
    return body["data"]


if __name__ == "__main__":
    main()
