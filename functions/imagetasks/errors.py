"""Errors, named by what whoever catches one should do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class ImageTasksError(Exception):
    """Anything this package raises on purpose."""


class PoyoUnavailable(ImageTasksError):
    """PoYo created nothing and may answer later: try again after `wait_s`, if it said so."""

    def __init__(self, detail: str, *, wait_s: float | None = None, ours: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.wait_s = wait_s
        self.ours = ours  # True: our key or account is at fault, only the operator can mend it


class PoyoRejected(ImageTasksError):
    """PoYo created nothing and never will: end the task with `reason`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class SubmitOutcomeUnknown(ImageTasksError):
    """The submit may have been accepted and charged: never send it again, wait for a sign."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class PoyoTaskNotFound(ImageTasksError):
    """PoYo does not know this id, or not yet: look again later."""


class RequestNotSent(ImageTasksError):
    """No byte of the request left this machine."""


class ResponseLost(ImageTasksError):
    """The request may have arrived; its answer did not."""


class TaskNotFound(ImageTasksError):
    """No such task, or somebody else's: the two are told apart nowhere."""


class InvalidOrder(ImageTasksError):
    """The order is wrong in these fields: `problems` are `{pointer, detail}`."""

    def __init__(self, problems: Sequence[Mapping[str, str]]) -> None:
        super().__init__("invalid order")
        self.problems = problems


class InvalidUpload(ImageTasksError):
    """The upload is not there, not the owner's or no image: refuse the order, `detail` says why."""

    def __init__(self, upload_id: str, detail: str) -> None:
        super().__init__(detail)
        self.upload_id = upload_id
        self.detail = detail


class InvalidParameter(ImageTasksError):
    """A query parameter is wrong: `problems` are `{parameter, detail}`."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(parameter)
        self.problems = [{"parameter": parameter, "detail": detail}]


class IdempotencyKeyReused(ImageTasksError):
    """This idempotency key already stands for another body."""


class PoyoIdConflict(ImageTasksError):
    """Another task already owns this PoYo id: page the operator, bind nothing."""


class DatabaseUnavailable(ImageTasksError):
    """The table did not answer or refused to: the write may or may not have happened."""


class QueueUnavailable(ImageTasksError):
    """The bell could not be rung: the sweep will find the task."""


class DownloadFailed(ImageTasksError):
    """The file could not be fetched: try again later; `gone` when its host says it is no more."""

    def __init__(self, code: str, detail: str = "", *, gone: bool = False) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.gone = gone


class NotAnImage(DownloadFailed):
    """The host answered, but not with a picture: a few more tries, then give up."""


class DownloadForbidden(DownloadFailed):
    """The address is not one we may connect to: nothing was sent, the operator decides."""


class HostUnreachable(ImageTasksError):
    """Somebody's server could not be talked to: the edge that went there says what is to be done."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class AddressForbidden(HostUnreachable):
    """The address is not one we may connect to: nothing was sent."""


class NotificationFailed(ImageTasksError):
    """The client's server did not take it: try again later."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class NotificationForbidden(NotificationFailed):
    """The client's address is not one we may connect to: nothing was sent, nor will it ever be."""


class SecretInvalid(ImageTasksError):
    """The secret is missing something: the message says what, and how to put it there."""


class SecretUnavailable(ImageTasksError):
    """The secret could not be read, and no earlier reading is at hand: try again."""
