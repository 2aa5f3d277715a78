"""What a call raises. Every error says what to do next; none of them cancels a task."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagetasks_client.task import Task


class ImageTasksError(Exception):
    """Every error of this package. `idempotency_key` and `task_id` are set as far as they are known:
    repeat an order with its key, or go on waiting with `client.get_handle(task_id)`."""

    task_id: str | None = None
    idempotency_key: str | None = None


class ApiError(ImageTasksError):
    """The service refused the request, or a gateway before it did.

    `code` names the reason (docs/api.md, *Errors*), and is None if the body is not one of the service.
    `retry` is "same_key" (send the same order later, under its key), "new_key" or "never"; `charged` says
    whether the order was paid for, None if that is unknown; `retry_after_s` is the wait that the service
    asks for, in seconds; `problem` is the whole body."""

    def __init__(
        self, status: int, problem: Mapping[str, Any], retry_after_s: float | None
    ) -> None:
        self.status = status
        self.problem = problem
        self.retry_after_s = retry_after_s
        self.code: str | None = problem.get("code")
        self.retry: str = problem.get("retry", "same_key" if _passing(status) else "never")
        self.charged: bool | None = problem.get("charged")
        self.errors: list[dict[str, str]] = problem.get("errors", [])
        self.request_id: str | None = problem.get("request_id")
        self.task_id = problem.get("task_id")
        self.left: Decimal | None = (
            None if problem.get("left") is None else Decimal(problem["left"])
        )
        self.resets_at: str | None = problem.get("resets_at")
        super().__init__(self._sentence())

    @property
    def precedes_key(self) -> bool:
        """Whether the service refuses before it looks for an earlier order under the same key."""
        return self.retry == "same_key" or self.status in (401, 403)

    def _sentence(self) -> str:
        detail = self.problem.get("detail") or "the response is not one of the service"
        fields = "; ".join(f"{_place(each)}: {each.get('detail')}" for each in self.errors)
        return (
            f"{self.status} {self.code or ''}".rstrip()
            + f": {detail}"
            + (f" {fields}" if fields else "")
        )


class ValidationError(ApiError):
    """The order is invalid; nothing was ordered. `field_errors` has a sentence for each wrong field,
    by its JSON pointer (`/input/size`) or the name of a query parameter."""

    @property
    def field_errors(self) -> dict[str, str]:
        return {_place(each): each.get("detail", "") for each in self.errors}


class TaskFailedError(ImageTasksError):
    """The task ended without an image: `task.error` has the code, the reason and whether it was charged."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.task_id = task.task_id
        reason = task.error
        super().__init__(
            f"{task.task_id} failed: {reason.message} ({reason.code})"
            if reason
            else f"{task.task_id} failed"
        )


class ClientTimeoutError(ImageTasksError, TimeoutError):
    """`client_timeout_s` is over. The task goes on: `client.get_handle(error.task_id).get()` finds its
    image; an order without a `task_id` yet is found by the same order under `error.idempotency_key`."""

    def __str__(self) -> str:
        if self.task_id:
            return f"{self.task_id} has not ended yet; it goes on, and get_handle() waits for it"
        return f"no answer yet; send the order again with idempotency_key={self.idempotency_key!r}"


class ConnectionFailed(ImageTasksError):
    """The service was not reached, or its answers were lost, for as long as the client repeats requests.
    An order may have been accepted: the same order under `idempotency_key` finds it and pays nothing."""


def api_error(status: int, problem: Mapping[str, Any], retry_after_s: float | None) -> ApiError:
    """The error of a response: a ValidationError if single fields are wrong."""
    kind = ValidationError if problem.get("errors") else ApiError
    return kind(status, problem, retry_after_s)


def _place(error: Mapping[str, str]) -> str:
    return error.get("pointer") or error.get("parameter") or ""


def _passing(status: int) -> bool:
    return status == 429 or status >= 500
