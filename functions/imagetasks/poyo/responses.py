"""Reading what PoYo sends. Every function is pure: bytes go in, one value or exactly one exception
comes out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from imagetasks.errors import (
    PoyoRejected,
    PoyoTaskNotFound,
    PoyoUnavailable,
    SubmitOutcomeUnknown,
)
from imagetasks.tasks.task import MAX_FILES

if TYPE_CHECKING:
    from imagetasks.poyo.transport import HttpResponse

POYO_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
FAILED_STATUSES = frozenset({"failed", "failure", "error", "cancelled", "canceled"})
FINISHED_STATUSES = frozenset({"finished", "completed", "success", "succeeded"})
WAITING_STATUSES = frozenset({"not_started", "pending", "queued"})
MODERATION = re.compile(
    r"moderation|content.?policy|safety|sensitive|prohibited|nsfw|违规|审核|敏感", re.IGNORECASE
)
RETRY_AFTER_TEXT = re.compile(r"again in (\d{1,4}) ?s", re.IGNORECASE)
MAX_DETAIL_CHARS = 200  # of PoYo's raw error text, kept for the operator
MAX_CALLBACK_BYTES = 64 * 1024  # the id of a longer callback body is not read


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """PoYo's status of a task: `status` is one of its four documented words."""

    status: str
    progress: Decimal | None = None
    file_urls: tuple[str, ...] = ()
    credits: Decimal | None = None
    error: str = ""

    @property
    def moderated(self) -> bool:
        """Whether the error text reads like a refusal by content policy."""
        return is_moderation_error(self.error)


def is_unauthorized(response: HttpResponse) -> bool:
    """Whether PoYo rejects the API key; it created nothing then."""
    return _effective_code(response.status, _json(response.body)) == 401


def parse_submit(response: HttpResponse) -> str:
    """PoYo's id of the task that `response` accepts.

    Raises PoyoRejected or PoyoUnavailable (nothing was created), or SubmitOutcomeUnknown.
    """
    body = _json(response.body)
    code = _effective_code(response.status, body)
    detail = f"{code} {_message(body)}".strip()[:MAX_DETAIL_CHARS]
    if code == 200:
        poyo_id = _text(_data(body).get("task_id"))
        if POYO_ID.fullmatch(poyo_id):
            return poyo_id
        raise SubmitOutcomeUnknown("accepted without a usable id")
    if code == 429:
        wait = RETRY_AFTER_TEXT.search(_message(body))
        raise PoyoUnavailable(detail, wait_s=float(wait[1]) if wait else None)
    if code in (401, 403):
        raise PoyoRejected("unavailable", detail)
    if code == 402:
        raise PoyoRejected("insufficient_credits", detail)
    if code in (400, 404, 413, 422):
        moderated = _type(body) == "content_moderation_error" or is_moderation_error(_message(body))
        raise PoyoRejected("moderated" if moderated else "rejected", detail)
    raise SubmitOutcomeUnknown(detail)


def parse_status(response: HttpResponse) -> TaskStatus:
    """The status in `response`. Raises PoyoTaskNotFound, or PoyoUnavailable if it holds no status."""
    body = _json(response.body)
    code = _effective_code(response.status, body)
    if code == 404:
        raise PoyoTaskNotFound(f"404 {_message(body)}"[:MAX_DETAIL_CHARS])
    data = _data(body)
    word = _text(data.get("status")).lower()
    if code != 200 or not word:
        detail = f"{code} {_message(body)}".strip()[:MAX_DETAIL_CHARS]
        raise PoyoUnavailable(detail, ours=code in (401, 402, 403))
    return TaskStatus(
        status=_documented_status(word),
        progress=_number(data.get("progress")),
        file_urls=_file_urls(data.get("files")),
        credits=_number(data.get("credits_amount")),
        error=_text(data.get("error_message"))[:MAX_DETAIL_CHARS],
    )


def parse_balance(response: HttpResponse) -> Decimal:
    """The credits in `response`, a number or a text. Raises PoyoUnavailable without them."""
    body = _json(response.body)
    left = _number(_data(body).get("credits_amount"))
    code = _effective_code(response.status, body)
    if code != 200 or left is None:
        raise PoyoUnavailable(f"{code} {_message(body)}".strip()[:MAX_DETAIL_CHARS])
    return left


def parse_callback_id(body: bytes) -> str | None:
    """The PoYo id in a callback's body, wrapped or not; None if there is no usable one.

    Nothing else of the body is read, because PoYo's signature does not cover it.
    """
    if len(body) > MAX_CALLBACK_BYTES:
        return None
    poyo_id = _text(_data(_json(body)).get("task_id"))
    return poyo_id if POYO_ID.fullmatch(poyo_id) else None


def is_moderation_error(text: str) -> bool:
    """Whether an error text reads like a refusal by content policy, JSON inside JSON included."""
    nested = _json(text.encode(errors="replace"))
    unescaped = json.dumps(nested, ensure_ascii=False) if isinstance(nested, dict) else ""
    return bool(MODERATION.search(text) or MODERATION.search(unescaped))


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None


def _effective_code(status: int, body: Any) -> int:
    """The worse of HTTP status and body code: failures arrive on HTTP 200 too."""
    if not 200 <= status < 300:
        return status
    if not isinstance(body, dict):
        return 0
    code = body.get("code", 200)
    if isinstance(code, bool) or not isinstance(code, int):
        return 0
    return 200 if code in (0, 200) else code


def _data(body: Any) -> Mapping[str, Any]:
    """The task object, whether it is the whole body or its `data`."""
    if not isinstance(body, dict):
        return {}
    data = body.get("data", body)
    return data if isinstance(data, dict) else {}


def _error(body: Any) -> Any:
    return body.get("error") if isinstance(body, dict) else None


def _message(body: Any) -> str:
    error = _error(body)
    if isinstance(error, dict):
        return _text(error.get("message"))
    named = (error, body.get("message"), body.get("detail")) if isinstance(body, dict) else ()
    return next(filter(None, map(_text, named)), "")


def _type(body: Any) -> str:
    error = _error(body)
    return _text(error.get("type")) if isinstance(error, dict) else ""


def _text(value: Any) -> str:
    """`value` if it is a string. Half of a surrogate pair, which DynamoDB refuses, becomes `?`."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _documented_status(word: str) -> str:
    """One of the four documented statuses; an unknown word means that PoYo is still working."""
    if word in FAILED_STATUSES:
        return "failed"
    if word in FINISHED_STATUSES:
        return "finished"
    return "not_started" if word in WAITING_STATUSES else "running"


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return round(number, 4) if number.is_finite() and 0 <= number < 1_000_000 else None


def _file_urls(files: Any) -> tuple[str, ...]:
    if not isinstance(files, list):
        return ()
    urls = (_text(each.get("file_url")) for each in files if isinstance(each, dict))
    return tuple(url for url in urls if url)[:MAX_FILES]
