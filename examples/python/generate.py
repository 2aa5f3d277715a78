"""Orders an image, waits until it is finished and saves it.

IMAGETASKS_URL=… IMAGETASKS_KEY=… python generate.py A paper boat on a calm lake

A run that was killed is repeated with the same prompt: it finds the same task and pays nothing. With
IDEMPOTENCY_KEY=…, a name of your own for this image, every further run finds the same image.
"""

from __future__ import annotations

import os
import sys
import uuid
from hashlib import sha256
from pathlib import Path

import imagetasks_client
from imagetasks_client import ApiError, ImageTasksError, Task, TaskFailedError


def main() -> None:
    """Order one image with the prompt of the command line and save it under its task id."""
    prompt = " ".join(sys.argv[1:]) or "A paper boat on a calm lake"
    note = Path(f"{sha256(prompt.encode()).hexdigest()[:16]}.key")
    key = os.environ.get("IDEMPOTENCY_KEY") or stored_key(note)
    try:
        with imagetasks_client.Client() as client:
            task = client.subscribe(
                "gpt-image-2",
                {"prompt": prompt, "quality": "low", "size": "1:1", "resolution": "1K"},
                idempotency_key=key,
                on_enqueue=lambda task_id, _: print(f"{task_id} ordered", flush=True),
                on_update=show,
            )
            print("saved", *client.save(task))
    except ImageTasksError as error:
        if is_final(error):
            note.unlink(missing_ok=True)
        sys.exit(str(error))
    note.unlink(missing_ok=True)


def stored_key(note: Path) -> str:
    """The order's key, on disk before the order is sent."""
    key = note.read_text() if note.exists() else ""
    if not key:
        key = str(uuid.uuid4())
        note.write_text(key)
    return key


def is_final(error: ImageTasksError) -> bool:
    """Whether there is no image under this key; else the next run may find it, with the right server key."""
    if isinstance(error, ApiError):
        return error.retry != "same_key" and error.status not in (401, 403)
    return isinstance(error, TaskFailedError)


def show(task: Task) -> None:
    """Print the state, with PoYo's percentage once there is one."""
    percent = "" if task.progress is None else f" {task.progress:.0f} %"
    print(f"{task.status}{percent}", flush=True)


if __name__ == "__main__":
    main()
