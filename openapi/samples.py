"""Examples of all bodies, built by the same code that builds them in production."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from imagetasks.api import (
    budget_request,
    error_mapping,
    order_request,
    pagination,
    problems,
    schemas,
    token_bodies,
    token_request,
)
from imagetasks.api.api_gateway import HttpEvent
from imagetasks.api.problem_details import Problem
from imagetasks.errors import BudgetExhausted, InvalidOrder, InvalidParameter
from imagetasks.poyo import catalog, compat
from imagetasks.poyo.model_catalog import model
from imagetasks.tasks.caller import SCOPES, Token
from imagetasks.tasks.image_format import EXTENSIONS, MAX_PIXELS
from imagetasks.tasks.list_position import ListPosition
from imagetasks.tasks.task import State, StoredImage, Task, derive_task_id
from openapi import budget_samples
from openapi.offered import MODELS
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
    estimated_credits=model(ORDER["model"]).price(ORDER["input"]).credits,
    typical_seconds=model(ORDER["model"]).typical_seconds(ORDER["input"]),
    public_base_url=ORIGIN,
    created_at=START,
    updated_at=START + 800,
    attempted_at=START,
    write_token="",  # nosec B106  # identifies a write; not a credential
    history=({"at": START, "event": "accepted"}, {"at": START + 800, "event": "submitted"}),
    file_url_key="example",
)
STORED = StoredImage(
    key="images/sample/0",
    content_type="image/png",
    bytes=1_482_113,
    width=1536,
    height=1024,
    sha256="5f" * 32,
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
UPLOADS = {"png": {"content_type": "image/png"}}
PAGE: schemas.TaskListBody = {
    "tasks": [schemas.task_body(FINISHED, public_base_url=ORIGIN)],
    "next_cursor": pagination.encode_cursor(ListPosition(START, FINISHED.task_id)),
}
NAMED: schemas.TaskListBody = {
    "tasks": [schemas.task_body(RUNNING, public_base_url=ORIGIN)],
    "next_cursor": None,
    "not_found": [derive_task_id("owner", "deleted")],
    "remaining": [],
}
TOKEN_REQUESTS: Mapping[str, Any] = {
    "usual": {"owner": "ann", "max_credits": 50},
    "narrow": {
        "owner": "ann",
        "max_credits": 8.48,
        "ttl_s": 300,
        "scopes": ["tasks:write", "tasks:read"],
        "max_tasks": 1,
        "models": ["gpt-image-2"],
        "origin": "https://shop.example",
    },
}
TOKEN = Token(
    token_id="3f7c1a0b9d2e4856a1c0ffee12345678",  # noqa: S106  # nosec B106  # an id; not a credential
    key="website",
    key_id="5d1c0f2b7e9a4c3d8b6f0a1e2c3d4e5f",
    owner="website/ann",
    scopes=SCOPES,
    max_credits=Decimal(50),
    ends_at=START + 900_000,
    tasks=2,
    reserved=Decimal(2),
    charged=Decimal("8.48"),
)


def request_bodies(operation: Operation) -> Mapping[str, Any]:
    """Valid request bodies of an operation, by example name."""
    other = {
        "createUpload": UPLOADS,
        "createToken": TOKEN_REQUESTS,
        "setBudget": budget_samples.BUDGETS,
    }
    return other.get(operation.id, ORDERS)


def response_bodies(operation: Operation, status: int) -> Mapping[str, Any]:
    """Response bodies of an operation for a successful status, by example name."""
    accepted = {"accepted": schemas.task_body(RUNNING, public_base_url=ORIGIN)}
    tasks = {name: schemas.task_body(task, public_base_url=ORIGIN) for name, task in TASKS.items()}
    poyo = {name: compat.task_body(task, public_base_url=ORIGIN) for name, task in TASKS.items()}
    bodies: Mapping[str, Mapping[str, Any]] = {
        "createTask": accepted if status == 202 else {"replayed": tasks["finished"]},
        "readTask": tasks,
        "listTasks": {"page": PAGE, "named": NAMED},
        "createUpload": {"offer": UPLOAD},
        **budget_samples.response_bodies(),
        "createToken": {"issued": token_bodies.created_token_body(TOKEN, "eyJhbGciOiJIUzI1NiIs…")},
        "readToken": {"used": token_bodies.token_body(TOKEN)},
        "listModels": {"first": compat.envelope(catalog.list_models({"limit": "2"}, MODELS))},
        "readModel": {"model": compat.envelope(catalog.model_entry(MODELS["gpt-image-2"]))},
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
    if problem.code == problems.INVALID_REQUEST.code:
        return _invalid_request(operation)
    if problem.code == problems.INVALID_PARAMETER.code:
        return _invalid_parameter()
    if problem.code == problems.BUDGET_EXHAUSTED.code:
        return error_mapping.problem_for(
            BudgetExhausted("owner", Decimal("1.5"), START, wait_s=3600)
        )
    of_a_task = (*error_mapping.SUBMISSION_PROBLEMS, problems.IDEMPOTENCY_KEY_REUSED)
    has_task = problem in of_a_task
    return replace(problem, task_id=RUNNING.task_id) if has_task else problem


def _invalid_parameter() -> Problem:
    """The problem that the parser itself raises for an unknown query parameter."""
    try:
        pagination.query_parameters(
            HttpEvent("GET", "/", {}, {"sort": ""}, b"", domain_name="", request_id=REQUEST_ID)
        )
    except InvalidParameter as error:
        return error_mapping.problem_for(error)
    raise AssertionError("the parser accepted an unknown parameter")


def _invalid_request(operation: Operation) -> Problem:
    """The problem that the validation itself raises for an invalid token or budget."""
    try:
        if operation.request_model is budget_request.BudgetRequest:
            budget_request.parse(b'{"max_credits": -1}')
        token_request.parse_token_request(b'{"owner": "", "max_credits": 0}', MODELS)
    except InvalidOrder as error:
        return replace(problems.INVALID_REQUEST, errors=error.problems)
    raise AssertionError("the validation accepted an invalid body")


def _invalid_order(operation: Operation) -> Problem:
    """The problem that the validation itself raises for an invalid body."""
    order = {"model": "gpt-image-2", "input": {"prompt": PROMPT, "aspect_ratio": "3:2"}}
    try:
        if operation.request_model is order_request.CreateUploadRequest:
            order_request.parse_upload(b'{"content_type": "image/gif"}')
        order_request.parse(json.dumps(order).encode(), MODELS)
    except InvalidOrder as error:
        return error_mapping.problem_for(error)
    raise AssertionError("the validation accepted an invalid body")
