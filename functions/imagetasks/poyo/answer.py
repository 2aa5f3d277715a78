"""What a body of PoYo says, in whatever wrapping it comes: codes, message, ids. Nothing here raises."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from imagetasks.poyo.task_ids import broken_id, named_ids, poyo_id, unnamed_ids

ERROR_STATUSES = frozenset({"error", "err", "fail", "failed", "failure"})
SUCCESS_WORDS = frozenset({"success", "succeeded", "successful", "ok", "accepted", "created"})
NO = frozenset({"False", "false", "0"})
SUCCESS = 200
# A longer callback, which Lambda's 6 MB bound, is searched for its id without building its values.
MAX_CALLBACK_BYTES = 1024 * 1024

# PoYo's `type` of an error, and the code of its documentation.
CODE_BY_TYPE: Mapping[str, int] = {
    "validation_error": 400,
    "content_moderation_error": 400,
    "content_too_long_error": 400,
    "file_format_error": 400,
    "authentication_error": 401,
    "insufficient_credits_error": 402,
    "permission_denied_error": 403,
    "resource_not_found_error": 404,
    "rate_limit_error": 429,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response's HTTP status and its body as JSON: an empty one is `{}`, None if it is not JSON, and
    then `broken_id` is the id in what looks like JSON."""

    http: int
    body: Any
    broken_id: str | None = None

    @property
    def error(self) -> Any:
        """The error in the envelope: PoYo's object, another API's, or a text."""
        return self.body.get("error") if isinstance(self.body, dict) else None

    @property
    def error_type(self) -> str:
        """PoYo's type of the error."""
        return text(self.error.get("type")) if isinstance(self.error, dict) else ""

    @property
    def message(self) -> str:
        """What PoYo says about the error."""
        body, error = self.body, self.error
        named: tuple[Any, ...] = (error.get("message"),) if isinstance(error, dict) else (error,)
        if isinstance(body, dict):
            named += (body.get("message"), body.get("msg"), body.get("detail"))
        return next(filter(None, map(text, named)), "")

    @property
    def is_poyos(self) -> bool:
        """Whether the body has one of PoYo's shapes or is empty. A proxy or firewall in between
        answers with HTML or with JSON of its own (`{"message": "Forbidden"}`)."""
        if not isinstance(self.body, dict):
            return False
        if not self.body or self.body_code is not None or self.error_type:
            return True
        # FastAPI's shape, but not that of problem details (RFC 9457), which proxies send.
        return "detail" in self.body and not self.body.keys() & {"title", "type"}

    @property
    def names_nothing_known(self) -> bool:
        """Whether PoYo says that it does not know an id or a model. A route that is missing, at PoYo or
        in a proxy (Envoy sends no body), answers 404 as well."""
        return (
            self.code == 404 and self.is_poyos and (self.body_code == 404 or bool(self.error_type))
        )

    @property
    def body_code(self) -> int | None:
        """The envelope's `code` as a whole number, however it is spelled; None if it is none."""
        code = self.body.get("code") if isinstance(self.body, dict) else None
        return _whole_number(code)

    @property
    def code(self) -> int:
        """What the answer amounts to, as one code: 200 is a success, 0 says nothing.

        PoYo's own type and code of an error outrank a refusing HTTP status; 408 and 5xx, wherever
        they stand, outrank both, because they do not say that nothing was created.
        """
        body_code = self.body_code or 0
        for each in (self.http, body_code):
            if 500 <= each < 600 or each == 408:
                return each
        refused = 400 <= self.http < 500
        if not refused and not 200 <= self.http < 300:
            return self.http
        if self.error_type in CODE_BY_TYPE:
            return CODE_BY_TYPE[self.error_type]
        if 400 <= body_code < 500:
            return body_code
        return self.http if refused else self._success_code()

    @property
    def says_error(self) -> bool:
        """Whether an error stands in the answer, whatever its code is."""
        return any(
            bool(each.get("error"))
            or bool(each.get("errors"))
            or {str(each.get("success")), str(each.get("ok"))} & NO
            or text(each.get("status")).lower() in ERROR_STATUSES
            for each in (self.body, self.task)
            if isinstance(each, dict)
        )

    @property
    def task(self) -> Mapping[str, Any]:
        """The task object: the whole body, its `data`, the only entry of that, or its `data` again;
        empty if none of them names a task."""
        found: Any = self.body
        for _ in range(3):
            if isinstance(found, list) and len(found) == 1:
                found = found[0]
            if not isinstance(found, dict):
                return {}
            if found.get("task_id"):
                return found
            found = found.get("data")
        return {}

    @property
    def accepted_id(self) -> str | None:
        """The id of the one task that the answer says was accepted, where PoYo documents it."""
        documented = self.task.get("task_id")
        sure = self.code == SUCCESS and not self.says_error and self.ids == [documented]
        return documented if sure else None

    @property
    def data(self) -> Mapping[str, Any]:
        """The body without its envelope, or empty."""
        if not isinstance(self.body, dict):
            return {}
        data = self.body.get("data", self.body)
        return data if isinstance(data, dict) else {}

    @property
    def detail(self) -> str:
        """Code and message for the operator."""
        return f"{self.code or self.http} {self.message}".strip()

    @property
    def ids(self) -> list[str]:
        """Every usable task id, the outermost first, wherever it stands outside an echo of our
        request; without one, the `id` of the data or of its `task`, or a text in their place."""
        if self.body is None:
            return [self.broken_id] if self.broken_id else []
        refused = 400 <= self.code < 500
        return named_ids(self.body) or unnamed_ids(self.body, refused=refused)

    def _success_code(self) -> int:
        """200 if the body of a 2xx says so or says nothing else, 0 if it says something unknown."""
        if not isinstance(self.body, dict):
            return 0
        code, number = self.body.get("code"), self.body_code
        if number is not None:
            return SUCCESS if number == 0 or 200 <= number < 300 else number
        return SUCCESS if code is None or text(code).strip().lower() in SUCCESS_WORDS else 0


def read(http: int, body: bytes) -> Answer:
    """The answer with these bytes."""
    content = parse_json(body) if body.strip() else {}
    return Answer(http, content, broken_id(body) if content is None else None)


def parse_json(body: bytes) -> Any:
    """The JSON in `body`, or None."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None


def text(value: Any) -> str:
    """`value` if it is a string. Half of a surrogate pair, which DynamoDB refuses, becomes `?`."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def parse_callback_id(body: bytes) -> str | None:
    """The PoYo id in a callback's body, wrapped or not; None if there is no usable one.

    Nothing else of the body is read, because PoYo's signature does not cover it.
    """
    content = parse_json(body) if len(body) <= MAX_CALLBACK_BYTES else None
    if content is None:
        return broken_id(body)
    return poyo_id(Answer(SUCCESS, content).task.get("task_id")) or None


def _whole_number(value: Any) -> int | None:
    """A number or a text of one as an int: 200, 200.0, "200"; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value)[:40].strip())
    except (InvalidOperation, ValueError):  # ValueError: an int of more than 4,300 digits
        return None
    whole = number.is_finite() and abs(number) < 1_000_000 and number == int(number)
    return int(number) if whole else None
