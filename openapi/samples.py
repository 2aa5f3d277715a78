"""Examples of everything that goes in or out, answered by the code that answers callers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from imagetasks.api import order_request, pagination, problems, schemas
from imagetasks.api.pagination import ListPosition
from imagetasks.api.problem_details import Problem
from imagetasks.errors import InvalidOrder, InvalidParameter
from imagetasks.poyo import catalog, compat
from imagetasks.poyo.models import estimate_credits
from imagetasks.tasks.task import State, StoredImage, Task, derive_task_id
from openapi.operations import NO_SUCH_MODEL, Operation

ORIGIN = "https://img.example"
START = 1_790_000_000_000
PROMPT = "A paper boat on a calm lake"
EDIT = {
    "model": "gpt-image-2-edit",
    "input": {"prompt": "The same boat at night", "image_urls": ["https://example.com/boat.png"]},
}
ORDER: Mapping[str, Any] = {
    "model": "gpt-image-2",
    "input": {"prompt": PROMPT, "quality": "low", "size": "3:2", "resolution": "1K"},
    "metadata": {"album": "boats"},
    "max_credits": 10,
    "callback_url": "https://shop.example/images/done",
}
CUSTOM = {
    "model": "gpt-image-2",
    "input": {"prompt": PROMPT, "size": "2048x1152", "resolution": "2K"},
}
ORDERS = {"usual": ORDER, "edit": EDIT, "custom_size": CUSTOM}

RUNNING = Task(
    task_id=derive_task_id("owner", "key"),
    owner="owner",
    fingerprint="",
    model=ORDER["model"],
    input=ORDER["input"],
    metadata=ORDER["metadata"],
    state=State.RUNNING,
    attempt=1,
    estimated_credits=estimate_credits(ORDER["input"]),
    public_base_url=ORIGIN,
    created_at=START,
    updated_at=START + 800,
    attempted_at=START,
    write_token="",
    history=({"at": START, "event": "accepted"}, {"at": START + 800, "event": "submitted"}),
    file_url_key="example",
)
KEPT = StoredImage(
    key="", content_type="image/png", bytes=1_482_113, width=1536, height=1024, sha256="5f" * 32
)
FINISHED = replace(
    RUNNING,
    state=State.FINISHED,
    progress=Decimal(100),
    charged_credits=Decimal(2),
    files=(KEPT,),
    history=(*RUNNING.history, {"at": START + 42_000, "event": "finished"}),
    updated_at=START + 42_000,
    finished_at=START + 42_000,
)
FAILED = replace(
    FINISHED, state=State.FAILED, reason="moderated", files=(), charged_credits=Decimal(0)
)
TASKS = {"finished": FINISHED, "running": RUNNING, "failed": FAILED}
UPLOAD_ID = "k5f3mqx2z7n4bw6t2ahjeryvdc"
UPLOAD: schemas.UploadBody = {
    "file_url": f"upload://{UPLOAD_ID}",
    "upload": {
        "method": "POST",
        "url": "https://bucket.s3.example/",
        "fields": {"Content-Type": "image/png", "key": f"uploads/…/{UPLOAD_ID}", "policy": "…"},
    },
    "max_bytes": 10 * 1024 * 1024,
    "expires_at": schemas.rfc3339(START + 600_000),
}
PAGE: schemas.TaskPage = {
    "tasks": [schemas.task_body(FINISHED, origin=ORIGIN)],
    "next_cursor": pagination.encode_cursor(ListPosition(START, FINISHED.task_id)),
}


def requests(operation: Operation) -> Mapping[str, Any]:
    """Bodies that the operation takes, by what they show."""
    return {"png": {"content_type": "image/png"}} if operation.id == "createUpload" else ORDERS


def answers(operation: Operation, status: int) -> Mapping[str, Any]:
    """Bodies of a success, by what they show."""
    accepted = {"accepted": schemas.task_body(RUNNING, origin=ORIGIN)}
    shown = {name: schemas.task_body(task, origin=ORIGIN) for name, task in TASKS.items()}
    poyo = {name: compat.task_body(task, origin=ORIGIN) for name, task in TASKS.items()}
    said: Mapping[str, Mapping[str, Any]] = {
        "createTask": accepted if status == 202 else {"replayed": shown["finished"]},
        "readTask": shown,
        "listTasks": {"page": PAGE},
        "createUpload": {"offer": UPLOAD},
        "quote": {
            "billed_lower": schemas.quote("gpt-image-2", {"size": "1:1", "resolution": "4K"})
        },
        "listModels": {"all": compat.envelope(catalog.list_models({}))},
        "readModel": {"model": compat.envelope(catalog.model_entry("gpt-image-2"))},
        "submitPoyoTask": {"accepted": compat.submit_body(RUNNING)},
        "readPoyoTask": {name: compat.envelope(each) for name, each in poyo.items()},
        "readBalance": {"left": compat.balance_body(Decimal("9765.5"))},
        "health": {"alive": {"status": "ok"}},
    }
    return said.get(operation.id, {})


def notice() -> Mapping[str, Any]:
    """What the caller's own callback is told, by how the task ended."""
    return {name: compat.task_body(TASKS[name], origin=ORIGIN) for name in ("finished", "failed")}


def told(problem: Problem, operation: Operation) -> Problem:
    """The problem as a caller of the operation sees it, fields and task named."""
    if problem.code == problems.INVALID_ORDER.code and problem is not NO_SUCH_MODEL:
        return _wrong_order(operation)
    if problem.code == problems.INVALID_PARAMETER.code:
        wrong = InvalidParameter("sort", "not known here, allowed: none")
        return problems.problem_for(wrong)
    ours = problem in problems.SUBMISSION_PROBLEMS
    return replace(problem, task_id=RUNNING.task_id) if ours else problem


def _wrong_order(operation: Operation) -> Problem:
    """What the validation itself says of a body that is wrong."""
    wrong = {"model": "gpt-image-2", "input": {"prompt": PROMPT, "aspect_ratio": "3:2"}}
    upload = operation.takes is order_request.CreateUploadRequest
    try:
        if upload:
            order_request.parse_upload(b'{"content_type": "image/gif"}')
        order_request.parse(json.dumps(wrong).encode())
    except InvalidOrder as error:
        return problems.problem_for(error)
    raise AssertionError("the validation took what it must not take")
