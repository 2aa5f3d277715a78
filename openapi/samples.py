"""Examples of all bodies, built by the same code that builds them in production."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from imagetasks.api import error_mapping, order_request, pagination, problems, schemas
from imagetasks.api.problem_details import Problem
from imagetasks.errors import BudgetExhausted, InvalidOrder, InvalidParameter
from imagetasks.poyo import catalog, compat
from imagetasks.poyo.models import estimate_credits
from imagetasks.tasks.image_format import EXTENSIONS, MAX_PIXELS
from imagetasks.tasks.list_position import ListPosition
from imagetasks.tasks.task import State, StoredImage, Task, derive_task_id
from openapi.operations import NO_SUCH_MODEL, Operation

ORIGIN = "https://img.example"
REQUEST_ID = "WKYkBhbFjoEEPJg="
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
    write_token="",  # nosec B106  # identifies a write; not a credential
    history=({"at": START, "event": "accepted"}, {"at": START + 800, "event": "submitted"}),
    file_url_key="example",
)
STORED = StoredImage(
    key="", content_type="image/png", bytes=1_482_113, width=1536, height=1024, sha256="5f" * 32
)
FINISHED = replace(
    RUNNING,
    state=State.FINISHED,
    progress=Decimal(100),
    charged_credits=Decimal(2),
    files=(STORED,),
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
    "max_pixels": MAX_PIXELS,
    "content_types": list(EXTENSIONS),
    "expires_at": schemas.rfc3339(START + 600_000),
}
PAGE: schemas.TaskListBody = {
    "tasks": [schemas.task_body(FINISHED, public_base_url=ORIGIN)],
    "next_cursor": pagination.encode_cursor(ListPosition(START, FINISHED.task_id)),
}


def request_bodies(operation: Operation) -> Mapping[str, Any]:
    """Valid request bodies of an operation, by example name."""
    return {"png": {"content_type": "image/png"}} if operation.id == "createUpload" else ORDERS


def response_bodies(operation: Operation, status: int) -> Mapping[str, Any]:
    """Response bodies of an operation for a successful status, by example name."""
    accepted = {"accepted": schemas.task_body(RUNNING, public_base_url=ORIGIN)}
    tasks = {name: schemas.task_body(task, public_base_url=ORIGIN) for name, task in TASKS.items()}
    poyo = {name: compat.task_body(task, public_base_url=ORIGIN) for name, task in TASKS.items()}
    bodies: Mapping[str, Mapping[str, Any]] = {
        "createTask": accepted if status == 202 else {"replayed": tasks["finished"]},
        "readTask": tasks,
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
    return bodies.get(operation.id, {})


def notifications() -> Mapping[str, Any]:
    """Bodies that are sent to a `callback_url`, by the final status of the task."""
    return {
        name: compat.task_body(TASKS[name], public_base_url=ORIGIN)
        for name in ("finished", "failed")
    }


def with_example(problem: Problem, operation: Operation) -> Problem:
    """The problem as the operation returns it, with invalid fields or the task id filled in."""
    if problem.code == problems.INVALID_ORDER.code and problem is not NO_SUCH_MODEL:
        return _invalid_order(operation)
    if problem.code == problems.INVALID_PARAMETER.code:
        return _invalid_parameter()
    if problem.code == problems.BUDGET_EXHAUSTED.code:
        return error_mapping.problem_for(BudgetExhausted("owner", Decimal("1.5"), START))
    of_a_task = (*error_mapping.SUBMISSION_PROBLEMS, problems.IDEMPOTENCY_KEY_REUSED)
    has_task = problem in of_a_task
    return replace(problem, task_id=RUNNING.task_id) if has_task else problem


def _invalid_parameter() -> Problem:
    """The problem that the parser itself raises for an unknown query parameter."""
    try:
        pagination.query_parameters(APIGatewayProxyEventV2({"queryStringParameters": {"sort": ""}}))
    except InvalidParameter as error:
        return error_mapping.problem_for(error)
    raise AssertionError("the parser accepted an unknown parameter")


def _invalid_order(operation: Operation) -> Problem:
    """The problem that the validation itself raises for an invalid body."""
    order = {"model": "gpt-image-2", "input": {"prompt": PROMPT, "aspect_ratio": "3:2"}}
    is_upload = operation.request_model is order_request.CreateUploadRequest
    try:
        if is_upload:
            order_request.parse_upload(b'{"content_type": "image/gif"}')
        order_request.parse(json.dumps(order).encode())
    except InvalidOrder as error:
        return error_mapping.problem_for(error)
    raise AssertionError("the validation accepted an invalid body")
