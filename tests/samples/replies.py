"""PoYo's answers as they were seen on the wire or documented, one row a shape."""

from __future__ import annotations

import json
from decimal import Decimal

ID = "BFJI1885TB0ROHQM"

_TASK = {"task_id": ID, "status": "not_started", "created_time": "2026-08-07T07:41:33"}
CHINESE = json.dumps(
    {"code": 1301, "error": {"message": "输入内容包含敏感信息，审核不通过"}}, ensure_ascii=True
)

# How a submit was accepted: bodies that name the id, on HTTP 200.
ACCEPTED: dict[str, bytes] = {
    "documented": json.dumps({"code": 200, "data": _TASK}).encode(),
    "code zero": json.dumps({"code": 0, "data": _TASK}).encode(),
    "no code": json.dumps({"data": _TASK}).encode(),
    "unwrapped": json.dumps(_TASK).encode(),
    "with a byte order mark": b"\xef\xbb\xbf" + json.dumps({"code": 200, "data": _TASK}).encode(),
}


def _error(code: int, message: str = "no", kind: str = "") -> bytes:
    return json.dumps({"code": code, "error": {"message": message, "type": kind}}).encode()


# Nothing was created and never will be: HTTP status, body, our reason.
REFUSED: dict[str, tuple[int, bytes, str]] = {
    "A 400 validation": (400, _error(400, "bad size", "validation_error"), "rejected"),
    "A 400 too long": (400, _error(400, "too long", "content_too_long_error"), "rejected"),
    "A 400 file format": (400, _error(400, "gif", "file_format_error"), "rejected"),
    "A 400 moderation by type": (400, _error(400, "no", "content_moderation_error"), "moderated"),
    "A 400 moderation by words": (
        400,
        _error(400, "The prompt violates our content policy"),
        "moderated",
    ),
    "A 400 moderation in Chinese": (400, _error(400, CHINESE), "moderated"),
    "A 401": (401, _error(401, "Invalid API key"), "unavailable"),
    "A 402": (402, _error(402, "empty", "insufficient_credits_error"), "insufficient_credits"),
    "A 403": (403, _error(403, "no", "permission_denied_error"), "unavailable"),
    "A 404": (404, _error(404, "no model", "resource_not_found_error"), "rejected"),
    "A 413": (413, b"<html>Request Entity Too Large</html>", "rejected"),
    "B 400": (400, b'{"detail":"bad request"}', "rejected"),
    "B 401": (401, b'{"detail":"Invalid API key"}', "unavailable"),
    "C 422": (
        422,
        b'{"detail":[{"loc":["body","input"],"msg":"field required","type":"missing"}]}',
        "rejected",
    ),
    "E 400 on 200": (200, _error(400, "bad size", "validation_error"), "rejected"),
    "E 401 on 200": (200, _error(401, "Invalid API key"), "unavailable"),
    "E 402 on 200": (200, _error(402, "empty"), "insufficient_credits"),
    "E 404 on 200": (200, _error(404, "no model"), "rejected"),
    "400 without a body": (400, b"", "rejected"),
    "400 message at the top": (400, b'{"code":400,"message":"sensitive words"}', "moderated"),
    "400 error as text": (400, b'{"code":400,"error":"bad"}', "rejected"),
}

# Nothing was created, and PoYo may take it later: HTTP status, body, the wait it asks for.
LATER: dict[str, tuple[int, bytes, float | None]] = {
    "429": (429, _error(429, "slow down", "rate_limit_error"), None),
    "429 with a wait": (429, _error(429, "Please try again in 17 seconds."), 17.0),
    "429 with a short wait": (429, _error(429, "Try Again In 3s"), 3.0),
    "429 on 200": (200, _error(429, "try again in 20 seconds"), 20.0),
    "429 without a body": (429, b"", None),
    "429 in html": (429, b"<html>try again in 5 seconds</html>", None),
}

# Perhaps created and charged: HTTP status and body.
AMBIGUOUS: dict[str, tuple[int, bytes]] = {
    "408": (408, b""),
    "500": (500, _error(500, "Server exception")),
    "502 in html": (502, b"<html><h1>502 Bad Gateway</h1></html>"),
    "503 empty": (503, b""),
    "504": (504, b"upstream request timeout"),
    "500 on 200": (200, _error(500, "Server exception")),
    "409": (409, _error(409, "again?")),
    "302": (302, b""),
    "100 as an answer": (199, b""),
    "418": (418, b"{}"),
    "empty 200": (200, b""),
    "204": (204, b""),
    "html on 200": (200, b"<!doctype html><title>Cloud</title>"),
    "truncated": (200, b'{"code":200,"data":{"task_id":"BFJI18'),
    "not UTF-8": (200, b'{"code":200,"data":{"task_id":"\xff\xfe"}}'),
    "deep": (200, b"[" * 100_000),
    "a list": (200, b"[]"),
    "a number": (200, b"7"),
    "null": (200, b"null"),
    "data null": (200, b'{"code":200,"data":null}'),
    "data a list": (200, b'{"code":200,"data":[]}'),
    "no id": (200, b'{"code":200,"data":{"status":"not_started"}}'),
    "id null": (200, b'{"code":200,"data":{"task_id":null}}'),
    "id a number": (200, b'{"code":200,"data":{"task_id":7}}'),
    "id empty": (200, b'{"code":200,"data":{"task_id":""}}'),
    "id a path": (200, b'{"code":200,"data":{"task_id":"../user/balance"}}'),
    "id with a newline": (200, b'{"code":200,"data":{"task_id":"ABC\\n"}}'),
    "id too long": (200, b'{"code":200,"data":{"task_id":"' + b"A" * 129 + b'"}}'),
    "code a text": (200, b'{"code":"200","data":{"task_id":"ABC"}}'),
    "code true": (200, b'{"code":true,"data":{"task_id":"ABC"}}'),
    "code null": (200, b'{"code":null,"data":{"task_id":"ABC"}}'),
    "code a fraction": (200, b'{"code":200.5,"data":{"task_id":"ABC"}}'),
    "code not a number": (200, b'{"code":NaN,"data":{"task_id":"ABC"}}'),
    "code of 5000 digits": (200, b'{"code":' + b"2" * 5000 + b"}"),
    "code unknown": (200, b'{"code":777,"data":{"task_id":"ABC"}}'),
}

_FILE = {"file_url": "https://cdn.doculator.org/images/x/x.png", "file_type": "image"}
_DONE = {
    "task_id": ID,
    "status": "finished",
    "progress": 100.0,
    "files": [_FILE],
    "created_time": "2026-07-09T08:58:27",
    "credits_amount": 5.0,
}


def _wrapped(**data: object) -> bytes:
    return json.dumps({"code": 200, "data": data}).encode()


# What PoYo says of a task: body, then status, progress, files, credits, error, moderated.
Told = tuple[bytes, str, Decimal | None, tuple[str, ...], Decimal | None, str, bool]
_URLS = (_FILE["file_url"],)
TOLD: dict[str, Told] = {
    "documented": (_wrapped(**_DONE), "finished", Decimal(100), _URLS, Decimal(5), "", False),
    "unwrapped": (
        json.dumps(_DONE).encode(),
        "finished",
        Decimal(100),
        _URLS,
        Decimal(5),
        "",
        False,
    ),
    "keys missing": (_wrapped(status="running"), "running", None, (), None, "", False),
    "nulls": (
        _wrapped(status="running", progress=None, files=None, credits_amount=None),
        "running",
        None,
        (),
        None,
        "",
        False,
    ),
    "floats": (
        _wrapped(status="running", progress=33.333333, credits_amount=8.48),
        "running",
        Decimal("33.3333"),
        (),
        Decimal("8.48"),
        "",
        False,
    ),
    "numbers as text": (
        _wrapped(status="running", progress="40", credits_amount="2.0"),
        "running",
        Decimal(40),
        (),
        Decimal(2),
        "",
        False,
    ),
    "numbers that are none": (
        b'{"code":200,"data":{"status":"running","progress":NaN,"credits_amount":-1}}',
        "running",
        None,
        (),
        None,
        "",
        False,
    ),
    "numbers out of all bounds": (
        b'{"code":200,"data":{"status":"running","progress":1e300,"credits_amount":true}}',
        "running",
        None,
        (),
        None,
        "",
        False,
    ),
    "finished without files": (_wrapped(status="finished"), "finished", None, (), None, "", False),
    "files of odd kinds": (
        _wrapped(status="finished", files=[None, 7, {}, {"file_url": None}, _FILE, "x"]),
        "finished",
        None,
        _URLS,
        None,
        "",
        False,
    ),
    "failed": (
        _wrapped(status="failed", files=[], error_message="Server exception"),
        "failed",
        None,
        (),
        None,
        "Server exception",
        False,
    ),
    "failed by policy": (
        _wrapped(status="failed", error_message="The prompt violates our content policy"),
        "failed",
        None,
        (),
        None,
        "The prompt violates our content policy",
        True,
    ),
    "failed by policy, in Chinese": (
        _wrapped(status="failed", error_message="内容违规"),
        "failed",
        None,
        (),
        None,
        "内容违规",
        True,
    ),
    "failed by policy, nested": (
        _wrapped(status="failed", error_message=CHINESE),
        "failed",
        None,
        (),
        None,
        CHINESE,
        True,
    ),
    "failed, message an object": (
        _wrapped(status="failed", error_message={"a": 1}),
        "failed",
        None,
        (),
        None,
        "",
        False,
    ),
}

WORDS = {
    "not_started": "not_started",
    "pending": "not_started",
    "queued": "not_started",
    "running": "running",
    "processing": "running",
    "a word of next year": "running",
    "finished": "finished",
    "FINISHED": "finished",
    "completed": "finished",
    "success": "finished",
    "succeeded": "finished",
    "failed": "failed",
    "failure": "failed",
    "error": "failed",
    "cancelled": "failed",
    "canceled": "failed",
}

# Says nothing of the task: HTTP status, body, whether our key or account is to blame.
SILENT: dict[str, tuple[int, bytes, bool]] = {
    "401": (401, _error(401), True),
    "402": (402, _error(402), True),
    "403": (403, _error(403), True),
    "401 on 200": (200, _error(401), True),
    "429": (429, _error(429), False),
    "500": (500, _error(500), False),
    "502 in html": (502, b"<html>", False),
    "500 on 200": (200, _error(500), False),
    "empty": (200, b"", False),
    "no status": (200, b'{"code":200,"data":{}}', False),
    "status null": (200, b'{"code":200,"data":{"status":null}}', False),
    "status a number": (200, b'{"code":200,"data":{"status":1}}', False),
    "a list": (200, b"[]", False),
    "deep": (200, b'{"a":' * 50_000, False),
    "302": (302, b"", False),
}
MISSING: dict[str, tuple[int, bytes]] = {
    "404": (404, _error(404, "task not found")),
    "404 on 200": (200, _error(404)),
    "404 in html": (404, b"<html>"),
}
