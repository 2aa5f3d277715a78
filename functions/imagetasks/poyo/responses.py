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
from imagetasks.poyo.answer import ERROR_STATUSES, SUCCESS, Answer, read, text
from imagetasks.poyo.result_files import image_urls
from imagetasks.poyo.retry_after import number_wait_s, text_wait_s
from imagetasks.poyo.task_ids import poyo_id

if TYPE_CHECKING:
    from types import ModuleType

    from imagetasks.poyo.transport import HttpResponse

FAILED_STATUSES = ERROR_STATUSES | {"cancelled", "canceled", "aborted", "rejected"}
FINISHED_STATUSES = frozenset(
    {"finished", "finish", "completed", "complete", "success", "succeeded", "succeed", "done"}
)
WAITING_STATUSES = frozenset({"not_started", "pending", "queued"})
MAX_DETAIL_CHARS = 200  # of PoYo's raw error text, kept for the operator
MAX_CREDITS = 1_000_000
# Where a failed task says why.
ERROR_KEYS = re.compile(
    r"(?:error|fail(?:ure|ed)?)_?(?:message|msg|code|type|reason)|error|message|msg|reason"
)
REFUSALS: Mapping[int, str] = {
    400: "rejected",
    401: "unavailable",
    402: "insufficient_credits",
    403: "unavailable",
    404: "rejected",
    413: "rejected",
    422: "rejected",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """PoYo's status of a task: `status` is one of its four documented words, `moderated` whether it
    failed because of content policy, `other_files` how many files it has beside the images."""

    status: str
    progress: Decimal | None = None
    file_urls: tuple[str, ...] = ()
    other_files: int = 0
    credits: Decimal | None = None
    error: str = ""
    moderated: bool = False


def is_unauthorized(response: HttpResponse) -> bool:
    """Whether PoYo rejects the API key; it created nothing then."""
    answer = read(response.status, response.body)
    return answer.is_poyos and answer.code == 401 and not answer.ids


def parse_submit(response: HttpResponse, *, prompt: str = "") -> str:
    """PoYo's id of the task that `response` accepts; `prompt` is what was sent.

    Raises PoyoRejected or PoyoUnavailable (nothing was created), or SubmitOutcomeUnknown, with the
    id that a doubtful answer names: an id says that something may have been created.
    """
    answer = read(response.status, response.body)
    accepted = answer.accepted_id
    if accepted:
        return accepted
    detail = answer.detail[:MAX_DETAIL_CHARS]
    if answer.ids:
        raise SubmitOutcomeUnknown(detail, poyo_id=answer.ids[0])
    if (
        answer.is_poyos
        and answer.code != SUCCESS
        and _moderation().has_policy_code(answer.error, prompt=prompt)
    ):
        raise PoyoRejected("moderated", detail)
    if answer.code == 429:
        raise PoyoUnavailable(detail, wait_s=_wait_s(response, answer))
    if answer.code not in REFUSALS:
        raise SubmitOutcomeUnknown(detail)
    if not answer.is_poyos or (answer.code == 404 and not answer.names_nothing_known):
        wait_s = _wait_s(response, answer)
        raise PoyoUnavailable(f"{detail} (not PoYo's)", wait_s=wait_s, unreached=True)
    raise PoyoRejected(_refusal(answer, prompt), detail)


def parse_status(response: HttpResponse, asked_id: str, *, prompt: str = "") -> TaskStatus:
    """The status of the task `asked_id` in `response`; `prompt` is what was sent to order it.

    Raises PoyoTaskNotFound if PoYo says that it does not know the id, PoyoUnavailable if the
    response holds no status of this task: only a task object with the id that was asked for does.
    """
    answer = read(response.status, response.body)
    detail = answer.detail[:MAX_DETAIL_CHARS]
    if answer.names_nothing_known:
        raise PoyoTaskNotFound(detail)
    task = answer.task
    word = text(task.get("status")).strip().lower()
    if answer.code != SUCCESS or not word:
        ours = answer.is_poyos and answer.code in (401, 402, 403)
        raise PoyoUnavailable(detail, wait_s=_wait_s(response, answer), ours=ours)
    if poyo_id(task["task_id"]) != asked_id:
        raise PoyoUnavailable("the status of another task", mismatched=True)
    file_urls, other_files = image_urls(task)
    errors = {key: value for key, value in task.items() if value and ERROR_KEYS.fullmatch(key)}
    status, progress = _documented_status(word), _number(task.get("progress"))
    return TaskStatus(
        status=status,
        progress=None if progress is None else min(progress, Decimal(100)),
        file_urls=file_urls,
        other_files=other_files,
        credits=_number(task.get("credits_amount")),
        error=_error_text(errors)[:MAX_DETAIL_CHARS],
        moderated=status == "failed" and _moderation().is_moderation_error(errors, prompt=prompt),
    )


def parse_balance(response: HttpResponse) -> Decimal:
    """The credits in `response`, a number or a text, below zero too. Raises PoyoUnavailable without
    them."""
    answer = read(response.status, response.body)
    left = _number(answer.data.get("credits_amount"), least=-MAX_CREDITS)
    if answer.code != SUCCESS or left is None:
        raise PoyoUnavailable(answer.detail[:MAX_DETAIL_CHARS])
    return left


def _refusal(answer: Answer, prompt: str) -> str:
    """Why PoYo refused an order for good. A text may name content policy beside a 400 or 403; one
    about our key or account is about those."""
    sentences = (answer.error, answer.message)
    may_be_moderated = answer.code not in (401, 402) and answer.error_type not in (
        "permission_denied_error",
        "authentication_error",
    )
    if may_be_moderated and any(
        _moderation().is_moderation_error(each, prompt=prompt) for each in sentences
    ):
        return "moderated"
    return REFUSALS[answer.code]


def _wait_s(response: HttpResponse, answer: Answer) -> float | None:
    """The seconds that PoYo asks to wait: in the header, in its JSON, or in words."""
    if response.retry_after_s is not None:
        return response.retry_after_s
    for each in (answer.error, answer.body):
        if isinstance(each, dict):
            wait_s = number_wait_s(each.get("retry_after"))
            if wait_s is not None:
                return wait_s
    return text_wait_s(answer.message)


def _error_text(errors: Mapping[str, Any]) -> str:
    """What a failed task says, for the operator: its message, or everything as JSON."""
    message = errors.get("error_message")
    if not errors or isinstance(message, str):
        return text(message)
    said = message if message is not None else errors
    return text(json.dumps(said, ensure_ascii=False))


def _documented_status(word: str) -> str:
    """One of the four documented statuses; an unknown word means that PoYo is still working."""
    if word in FAILED_STATUSES:
        return "failed"
    if word in FINISHED_STATUSES:
        return "finished"
    return "not_started" if word in WAITING_STATUSES else "running"


def _number(value: Any, *, least: int = 0) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value)[:100].strip().removesuffix("%"))
    except (InvalidOperation, ValueError):  # ValueError: an int of more than 4,300 digits
        return None
    return round(number, 4) if number.is_finite() and least <= number < MAX_CREDITS else None


def _moderation() -> ModuleType:
    """The module, imported by the first error: compiling its patterns takes a tenth of a cold start."""
    from imagetasks.poyo import moderation  # noqa: PLC0415

    return moderation
