"""The bytes of PoYo's responses, in every form that was observed."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.image_format import PNG_HEAD, PNG_TAIL

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
FINISHED = ("finished", "finished", "finished", "completed", "success")
FAILED = ("failed", "failed", "error", "cancelled")
RUNNING = ("running", "processing", "not_started", "queued", "pending", "rendering")
ERRORS = {
    "busy_429": (429, "rate_limit_error", "Too many requests"),
    "busy_429_with_wait": (429, "rate_limit_error", "Rate limited, try again in 37 seconds"),
    "invalid_400": (400, "validation_error", "size is not supported"),
    "moderated_400": (400, "content_moderation_error", "Your prompt was flagged: {prompt}"),
    "unauthorized_401": (401, "authentication_error", "Invalid API key {key}"),
    "no_credits_402": (402, "insufficient_credits_error", "Not enough credits for {prompt}"),
    "forbidden_403": (403, "permission_denied_error", "{key} may not call {url}"),
    "model_not_found_404": (404, "resource_not_found_error", "Unknown model"),
    "not_found_404": (404, "resource_not_found_error", "Task not found"),
    "unprocessable_422": (422, "validation_error", "callback_url {url} is not usable"),
    "timeout_408": (408, "timeout", "Request timeout"),
    "error_500": (500, "server_error", "Server exception while posting to {url}"),
}
"""Status, type and message; some messages repeat secrets of the request."""


def error_response(kind: str, echo: dict[str, str]) -> HttpResponse:
    """An error response; `..._in_200` arrives with HTTP 200, `html_502` comes from a proxy."""
    if kind == "html_502":
        return HttpResponse(502, HTML)
    status, name, message = ERRORS[kind.removesuffix("_in_200")]
    error = {"message": message.format(**echo), "type": name}
    body = json.dumps({"code": status, "error": error}).encode()
    return HttpResponse(200 if kind.endswith("_in_200") else status, body)


def unusable_response(kind: str) -> HttpResponse:
    """A response with HTTP 200 and an unusable body."""
    bodies = {
        "garbage_200": b'{"code":200,"data":{"task_i',
        "no_id_200": b'{"code":200,"data":{"status":"not_started"}}',
        "empty_200": b"",
    }
    return HttpResponse(200, bodies[kind])


def submit_response(poyo_id: str, rng: random.Random) -> HttpResponse:
    """The response to an accepted submit."""
    data = {"task_id": poyo_id, "status": "not_started", "created_time": "2026-08-07T07:41:33"}
    return HttpResponse(200, json.dumps({"code": rng.choice((200, 200, 0)), "data": data}).encode())


def task_body(data: dict[str, Any], *, wrapped: bool) -> bytes:
    """A task object, wrapped in `data` or bare."""
    return json.dumps({"code": 200, "data": data} if wrapped else data).encode()


def running_task(poyo_id: str, progress: float, rng: random.Random) -> dict[str, Any]:
    """A task object that is still running."""
    data: dict[str, Any] = {"task_id": poyo_id, "status": rng.choice(RUNNING), "files": []}
    if rng.random() < 0.7:
        data["progress"] = rng.choice((progress, round(progress), None))
        data["credits_amount"] = rng.choice((None, None, 0))
    return data


def failed_task(poyo_id: str, message: str, rng: random.Random) -> dict[str, Any]:
    """A task object that failed; PoYo sends it with HTTP 200 and code 200."""
    status = rng.choice(FAILED)
    named = {"credits_amount": rng.choice((0, "0.4"))} if rng.random() < 0.3 else {}
    return {"task_id": poyo_id, "status": status, "files": [], "error_message": message} | named


def finished_task(poyo_id: str, urls: tuple[str, ...], rng: random.Random) -> dict[str, Any]:
    """A finished task object; optional keys are sometimes missing."""
    files = [{"file_url": url, "file_type": "image"} for url in urls]
    data: dict[str, Any] = {
        "task_id": poyo_id,
        "status": rng.choice(FINISHED),
        "files": files,
        "error_message": None,
    }
    if rng.random() < 0.7:
        data |= {"progress": 100.0, "credits_amount": rng.choice((2.0, "2", None, 2.5))}
    return data


def png(name: str) -> bytes:
    """The bytes of a PNG that is unique to `name`."""
    header = struct.pack(">II", 1024, 1024) + bytes(9)  # and a checksum that nobody compares
    content = name.encode()
    return (
        PNG_HEAD
        + header
        + struct.pack(">I", len(content))
        + b"IDAT"
        + content
        + bytes(4)
        + PNG_TAIL
    )
