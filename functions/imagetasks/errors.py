"""Errors, named by what the code that catches them does next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal


class ImageTasksError(Exception):
    """Anything this package raises on purpose."""


# PoYo


class PoyoUnavailable(ImageTasksError):
    """PoYo created nothing and may answer later: retry after `wait_s` if PoYo named a delay."""

    def __init__(
        self,
        detail: str,
        *,
        wait_s: float | None = None,
        ours: bool = False,
        mismatched: bool = False,
        unreached: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.wait_s = wait_s
        self.ours = ours  # True: our key or account is at fault and only the operator can fix it
        self.mismatched = mismatched  # True: the status is another task's, which raises an alarm
        # True: a submit did not reach PoYo; the circuit breaker counts it
        self.unreached = unreached


class PoyoRejected(ImageTasksError):
    """PoYo created nothing and never will: fail the task with `reason`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class SubmitOutcomeUnknown(ImageTasksError):
    """PoYo may have accepted and charged the submit: never send it again. `poyo_id` is an id that the
    doubtful answer named, which PoYo's status must confirm; None: wait for another sign of it."""

    def __init__(self, detail: str, *, poyo_id: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.poyo_id = poyo_id


class PoyoTaskNotFound(ImageTasksError):
    """PoYo does not know this id, or does not know it yet: poll again later."""


class PoyoIdConflict(ImageTasksError):
    """Another task already owns this PoYo id: raise an alarm and confirm nothing."""


class RequestNotSent(ImageTasksError):
    """No byte of the request left this machine."""


class ResponseLost(ImageTasksError):
    """The request may have arrived; its response did not, or only `partial` of its body."""

    def __init__(self, detail: str, *, partial: bytes = b"") -> None:
        super().__init__(detail)
        self.partial = partial


# Requests of callers


class TaskNotFound(ImageTasksError):
    """There is no such task, or it belongs to another owner; callers cannot tell the two apart."""


class FileNotFound(ImageTasksError):
    """The task has no file of this number, or does not have it yet."""


class FileExpired(ImageTasksError):
    """The bucket has deleted the image, as this deployment wants it after some days."""


class TaskDeleted(ImageTasksError):
    """This idempotency key stands for a task that its owner deleted."""


class IdempotencyKeyReused(ImageTasksError):
    """This idempotency key already stands for another body."""


class InvalidOrder(ImageTasksError):
    """Fields of the order are wrong: `problems` are `{pointer, detail}`."""

    def __init__(self, problems: Sequence[Mapping[str, str]]) -> None:
        super().__init__("invalid order")
        self.problems = problems


class InvalidParameter(ImageTasksError):
    """A query parameter is wrong: `problems` are `{parameter, detail}`."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(parameter)
        self.problems = [{"parameter": parameter, "detail": detail}]


class InvalidUpload(ImageTasksError):
    """The upload is missing, another owner's or no image: reject the order; `detail` says why."""

    def __init__(self, upload_id: str, detail: str) -> None:
        super().__init__(detail)
        self.upload_id = upload_id
        self.detail = detail


class TooManyOrders(ImageTasksError):
    """As many orders wait for their submit as PoYo accepts in half an hour: refuse this one before
    anything is written; there is room in `wait_s` seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("too many orders")
        self.wait_s = wait_s


class OrdersPaused(ImageTasksError):
    """The operator has paused new orders: refuse this one before anything is written."""


class BudgetExhausted(ImageTasksError):
    """The budget of `scope` has no room for the order, only `left` credits until `resets_at`
    (milliseconds; None: it never resets): refuse it before anything is written. After `wait_s` seconds
    the same order may be accepted (None: not before somebody changes the budget)."""

    def __init__(
        self, scope: str, left: Decimal, resets_at: int | None, *, wait_s: float | None = None
    ) -> None:
        super().__init__(f"{scope}: {left} credits left")
        self.scope = scope
        self.left = left
        self.resets_at = resets_at
        self.wait_s = wait_s


class TokenRevoked(ImageTasksError):
    """The browser token was revoked, or removed, after the request had begun: refuse the request."""


# AWS


class AwsError(ImageTasksError):
    """An AWS service refused a call or did not answer; `code` is its name for the reason. If `passing`,
    the same call may succeed in a moment; otherwise only the operator can help, and has an alarm."""

    def __init__(self, code: str, *, passing: bool = True) -> None:
        super().__init__(code)
        self.code = code
        self.passing = passing


class DatabaseUnavailable(AwsError):
    """DynamoDB did not answer or answered with an error: the write may or may not have happened."""


class QueueUnavailable(AwsError):
    """SQS did not take the message: the sweep finds the task later."""


class StorageUnavailable(AwsError):
    """S3 did not answer or answered with an error: the same call may be repeated."""


class SecretInvalid(ImageTasksError):
    """The secret lacks something: the message says what, and how to put it there."""


class SecretUnavailable(AwsError):
    """The secret could not be read and the last value is too old to be used: try again."""


# Other people's servers


class DownloadFailed(ImageTasksError):
    """The file could not be fetched: retry later; `gone` when its host says that it no longer exists."""

    def __init__(self, code: str, detail: str = "", *, gone: bool = False) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.gone = gone


class NotAnImage(DownloadFailed):
    """The host answered with something that is not an image: retry while PoYo may still have the file."""


class DownloadForbidden(DownloadFailed):
    """The URL is not one we may connect to: nothing was sent and the operator decides."""


class HostUnreachable(ImageTasksError):
    """The exchange with another server failed; the client that made it says what to do next."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class AddressForbidden(HostUnreachable):
    """The URL or its address is not one we may connect to: nothing was sent."""


class NotificationFailed(ImageTasksError):
    """The caller's server did not accept the notification: retry later."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class NotificationForbidden(NotificationFailed):
    """The caller's URL is not one we may connect to: nothing was sent, and nothing ever will be."""
