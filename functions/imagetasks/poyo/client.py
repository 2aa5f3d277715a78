"""PoYo's API: submit, status and balance. `responses` reads what it answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from imagetasks.errors import (
    PoyoUnavailable,
    RequestNotSent,
    ResponseLost,
    SubmitOutcomeUnknown,
)
from imagetasks.poyo.responses import (
    TaskStatus,
    is_unauthorized,
    parse_balance,
    parse_status,
    parse_submit,
)
from imagetasks.poyo.task_ids import broken_id

if TYPE_CHECKING:
    from imagetasks.poyo.transport import HttpResponse


class Transport(Protocol):
    """Sends one request once. Raises RequestNotSent or ResponseLost; never retries."""

    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        read_s: float,
    ) -> HttpResponse: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PoyoClient:
    """The account at PoYo. `key` returns its API key at each call; `refresh_key` takes a key that
    PoYo rejected and says whether there is another one by now."""

    send: Transport
    base_url: str
    key: Callable[[], str]
    refresh_key: Callable[[str], bool]
    submit_read_s: float = 12.0
    status_read_s: float = 8.0

    def submit(
        self, *, model: str, order: Mapping[str, object], callback_url: str, idempotency_key: str
    ) -> str:
        """Buy one image and return PoYo's id of it. One POST, never repeated here.

        Raises PoyoUnavailable or PoyoRejected when provably nothing was created,
        SubmitOutcomeUnknown whenever something may have been. Source: https://docs.poyo.ai (submit).
        PoYo's own command-line client has sent the idempotency key since August 2026; we send it
        too and never rely on it.
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
            response = self.send("POST", url, headers=headers, body=body, read_s=self.submit_read_s)
        except RequestNotSent as error:
            raise PoyoUnavailable(f"not sent: {error}", unreached=True) from error
        except ResponseLost as error:
            named = broken_id(error.partial)
            raise SubmitOutcomeUnknown(f"answer lost: {error}", poyo_id=named) from error
        if is_unauthorized(response) and self.refresh_key(key):
            raise PoyoUnavailable("the key was rotated")
        return parse_submit(response, prompt=str(order.get("prompt", "")))

    def status(self, poyo_id: str, *, prompt: str = "") -> TaskStatus:
        """PoYo's status of a task that was ordered with `prompt`, which an error may repeat.

        Raises PoyoTaskNotFound if PoYo does not know the id (yet), PoyoUnavailable on any trouble,
        also when the answer is about another task (`mismatched`).
        """
        response = self._get(f"/api/generate/status/{poyo_id}")
        return parse_status(response, poyo_id, prompt=prompt)

    def balance(self) -> Decimal:
        """Credits left on the account. Raises PoyoUnavailable on any trouble."""
        return parse_balance(self._get("/api/user/balance"))

    def _get(self, path: str) -> HttpResponse:
        """The response to a GET. Raises PoyoUnavailable if there is none, or for an outdated key."""
        key, url = self.key(), self.base_url + path
        try:
            response = self.send(
                "GET", url, headers=_headers(key), body=None, read_s=self.status_read_s
            )
        except (RequestNotSent, ResponseLost) as error:
            raise PoyoUnavailable(f"no answer: {error}") from error
        if is_unauthorized(response) and self.refresh_key(key):
            raise PoyoUnavailable("the key was rotated")
        return response


def _headers(key: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {key}",
        "Accept": "application/json",
        "User-Agent": "imagetasks/1",
    }
