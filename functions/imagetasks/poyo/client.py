"""PoYo, and everything we know of it: the only file that names its paths and its JSON keys.

Reading is pure: a reply goes in, one value or exactly one exception comes out.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from imagetasks.errors import (
    PoyoRejected,
    PoyoTaskNotFound,
    PoyoUnavailable,
    RequestNotSent,
    ResponseLost,
    SubmitOutcomeUnknown,
)
from imagetasks.poyo.reply import HttpResponse
from imagetasks.poyo.signature import compute
from imagetasks.tasks.task import MAX_FILES

POYO_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
FAILED_STATUSES = frozenset({"failed", "failure", "error", "cancelled", "canceled"})
FINISHED_STATUSES = frozenset({"finished", "completed", "success", "succeeded"})
WAITING_STATUSES = frozenset({"not_started", "pending", "queued"})
MODERATION = re.compile(
    r"moderation|content.?policy|safety|sensitive|prohibited|nsfw|违规|审核|敏感", re.IGNORECASE
)
RETRY_AFTER_TEXT = re.compile(r"again in (\d{1,4}) ?s", re.IGNORECASE)
MAX_DETAIL_CHARS = 200  # of PoYo's raw error text, kept for the operator
MAX_CALLBACK_BYTES = 64 * 1024  # a callback's body beyond this is not read for its id


class Transport(Protocol):
    """Sends one request once. Raises NotSent or AnswerLost; never retries."""

    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        read_s: float,
    ) -> HttpResponse: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """What PoYo says of a task now: `status` is one of its four documented words."""

    status: str
    progress: Decimal | None = None
    file_urls: tuple[str, ...] = ()
    credits: Decimal | None = None
    error: str = ""

    @property
    def moderated(self) -> bool:
        """Whether the error text reads like a refusal by content policy."""
        return is_moderation_error(self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoyoClient:
    """The upstream account. `key` is asked for at each call; `renewed` says of one that PoYo has
    called wrong whether there is another by now."""

    send: Transport
    base_url: str
    key: Callable[[], str]
    refresh_key: Callable[[str], bool]
    submit_read_s: float = 12.0
    status_read_s: float = 8.0

    def submit(
        self, *, model: str, order: Mapping[str, Any], callback_url: str, idempotency_key: str
    ) -> str:
        """Buy one image and return PoYo's id of it. One POST, never repeated here.

        Raises PoyoUnavailable or PoyoRefused when provably nothing was created, SubmitUnknown
        whenever something may have been. https://docs.poyo.ai (submit); the key is what the
        vendor's own command-line client has sent since August 2026: sent, never relied on.
        """
        content = {"model": model, "callback_url": callback_url, "input": dict(order)}
        key = self.key()
        headers = _headers(key) | {
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key,
        }
        url = f"{self.base_url}/api/generate/submit"
        body = json.dumps(content).encode()
        try:
            reply = self.send("POST", url, headers=headers, body=body, read_s=self.submit_read_s)
        except RequestNotSent as error:
            raise PoyoUnavailable(f"not sent: {error}") from error
        except ResponseLost as error:
            raise SubmitOutcomeUnknown(f"answer lost: {error}") from error
        if is_unauthorized(reply) and self.refresh_key(key):
            raise PoyoUnavailable("the key was rotated")
        return parse_submit(reply)

    def status(self, poyo_id: str) -> TaskStatus:
        """Ask for the truth about a task.

        Raises PoyoMissing when PoYo does not know the id (yet), PoyoUnavailable on any trouble.
        """
        return parse_status(self._got(f"/api/generate/status/{poyo_id}"))

    def balance(self) -> Decimal:
        """Credits left on the account. Raises PoyoUnavailable on any trouble."""
        return parse_balance(self._got("/api/user/balance"))

    def _got(self, path: str) -> HttpResponse:
        """PoYo's answer to a GET. Raises PoyoUnavailable when there is none, or with an old key."""
        key, url = self.key(), self.base_url + path
        try:
            reply = self.send(
                "GET", url, headers=_headers(key), body=None, read_s=self.status_read_s
            )
        except (RequestNotSent, ResponseLost) as error:
            raise PoyoUnavailable(f"no answer: {error}") from error
        if is_unauthorized(reply) and self.refresh_key(key):
            raise PoyoUnavailable("the key was rotated")
        return reply


def is_unauthorized(reply: HttpResponse) -> bool:
    """Whether PoYo says that the key is wrong; nothing was created then."""
    return _effective_code(reply.status, _json(reply.body)) == 401


def parse_submit(reply: HttpResponse) -> str:
    """PoYo's id of the task that `reply` accepts.

    Raises PoyoRefused, PoyoUnavailable (both: nothing was created) or SubmitUnknown.
    """
    body = _json(reply.body)
    code = _effective_code(reply.status, body)
    detail = f"{code} {_message(body)}".strip()[:MAX_DETAIL_CHARS]
    if code == 200:
        found = _text(_data(body).get("task_id"))
        if POYO_ID.fullmatch(found):
            return found
        raise SubmitOutcomeUnknown("accepted without a usable id")
    if code == 429:
        said = RETRY_AFTER_TEXT.search(_message(body))
        raise PoyoUnavailable(detail, wait_s=float(said[1]) if said else None)
    if code in (401, 403):
        raise PoyoRejected("unavailable", detail)
    if code == 402:
        raise PoyoRejected("insufficient_credits", detail)
    if code in (400, 404, 413, 422):
        refused = _type(body) == "content_moderation_error" or is_moderation_error(_message(body))
        raise PoyoRejected("moderated" if refused else "rejected", detail)
    raise SubmitOutcomeUnknown(detail)


def parse_status(reply: HttpResponse) -> TaskStatus:
    """What `reply` reports. Raises PoyoMissing or PoyoUnavailable when it reports nothing."""
    body = _json(reply.body)
    code = _effective_code(reply.status, body)
    if code == 404:
        raise PoyoTaskNotFound(f"404 {_message(body)}"[:MAX_DETAIL_CHARS])
    data = _data(body)
    word = _text(data.get("status")).lower()
    if code != 200 or not word:
        detail = f"{code} {_message(body)}".strip()[:MAX_DETAIL_CHARS]
        raise PoyoUnavailable(detail, ours=code in (401, 402, 403))
    return TaskStatus(
        status=_status(word),
        progress=_number(data.get("progress")),
        file_urls=_file_urls(data.get("files")),
        credits=_number(data.get("credits_amount")),
        error=_text(data.get("error_message"))[:MAX_DETAIL_CHARS],
    )


def parse_balance(reply: HttpResponse) -> Decimal:
    """The credits that `reply` speaks of, a number or a text. Raises PoyoUnavailable without one."""
    body = _json(reply.body)
    left = _number(_data(body).get("credits_amount"))
    code = _effective_code(reply.status, body)
    if code != 200 or left is None:
        raise PoyoUnavailable(f"{code} {_message(body)}".strip()[:MAX_DETAIL_CHARS])
    return left


def parse_callback_id(body: bytes) -> str | None:
    """The id a callback's body speaks of, wrapped or not; None when there is none to be read.

    Nothing else of the body is ever looked at: its signature does not cover it.
    """
    if len(body) > MAX_CALLBACK_BYTES:
        return None
    found = _text(_data(_json(body)).get("task_id"))
    return found if POYO_ID.fullmatch(found) else None


def is_moderation_error(text: str) -> bool:
    """Whether an error text reads like a refusal by content policy, JSON inside JSON included."""
    nested = _json(text.encode(errors="replace"))
    unescaped = json.dumps(nested, ensure_ascii=False) if isinstance(nested, dict) else ""
    return bool(MODERATION.search(text) or MODERATION.search(unescaped))


def verify(key: str, poyo_id: str, headers: Mapping[str, str]) -> bool:
    """Whether PoYo signed a callback for `poyo_id`; its age does not matter, header names are lower-case.

    A late retry may carry its first timestamp.
    """
    expected = compute(key, poyo_id, headers.get("x-webhook-timestamp", ""))
    presented = headers.get("x-webhook-signature", "")
    return hmac.compare_digest(expected.encode(), presented.encode(errors="replace"))


def _headers(key: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {key}",
        "Accept": "application/json",
        "User-Agent": "imagetasks/1",
    }


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
    """The task object, whether it came as `data` or bare."""
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
    """`value` if it is a text; half a surrogate pair, which nobody can store, becomes `?`."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _status(word: str) -> str:
    """One of the four documented words; an unknown one means that PoYo is still at it."""
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
    found = (_text(each.get("file_url")) for each in files if isinstance(each, dict))
    return tuple(url for url in found if url)[:MAX_FILES]
