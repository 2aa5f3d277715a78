"""Faults of callbacks."""

# ruff: noqa: ARG001  # all effects in a table have the same signature

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from local.poyo_simulator.fault_rules import InjectedFault
from local.poyo_simulator.tasks import FAILED, FINISHED, derive_id

Signature = Literal["valid", "stale", "wrong_key", "none"]


@dataclass
class Callback:
    """One callback before it is sent; faults change it. ``forgeries`` are sent with it."""

    task: dict[str, object]
    wrapped: bool
    variant: str = "original"
    signature: Signature = "valid"
    signature_age_s: float = 0.0
    delay_s: float = 0.0
    copies: int = 0
    suppressed: bool = False
    truncated: bool = False
    forgeries: list["Callback"] = field(default_factory=list)

    def body(self) -> bytes:
        whole = json.dumps({"code": 200, "data": self.task} if self.wrapped else self.task)
        return whole[: len(whole) // 2 if self.truncated else None].encode()


def _none(callback: Callback, fault: InjectedFault) -> None:
    callback.suppressed = True


def _double(callback: Callback, fault: InjectedFault) -> None:
    callback.copies = int(fault.number("copies"))


def _late(callback: Callback, fault: InjectedFault) -> None:
    callback.delay_s = fault.number("seconds")


def _wrapped(callback: Callback, fault: InjectedFault) -> None:
    callback.wrapped = True


def _bad_signature(callback: Callback, fault: InjectedFault) -> None:
    callback.signature = "wrong_key"


def _stale_signature(callback: Callback, fault: InjectedFault) -> None:
    callback.signature = "stale"
    callback.signature_age_s = fault.number("seconds")


def _no_signature(callback: Callback, fault: InjectedFault) -> None:
    callback.signature = "none"


def _forged(callback: Callback, fault: InjectedFault) -> None:
    """The forger has the callback URL, but neither the signing key nor an id of a task."""
    status = FAILED if callback.task["status"] == FINISHED else FINISHED
    forged_id = derive_id("forged", callback.task["task_id"])
    task = {**callback.task, "task_id": forged_id, "status": status, "files": []}
    forged = Callback(task, callback.wrapped, variant="forged", signature="wrong_key")
    callback.forgeries.append(forged)


def _says_failed(callback: Callback, fault: InjectedFault) -> None:
    callback.task = {**callback.task, "status": FAILED, "files": [], "credits_amount": 0.0}
    callback.task["error_message"] = "Server exception"


def _truncated(callback: Callback, fault: InjectedFault) -> None:
    callback.truncated = True


CALLBACK_FAULTS: dict[str, Callable[[Callback, InjectedFault], None]] = {
    "callback-none": _none,
    "callback-double": _double,
    "callback-late": _late,
    "callback-wrapped": _wrapped,
    "callback-bad-signature": _bad_signature,
    "callback-stale-signature": _stale_signature,
    "callback-no-signature": _no_signature,
    "callback-forged": _forged,
    "callback-says-failed": _says_failed,
    "callback-truncated": _truncated,
}
