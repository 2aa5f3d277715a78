"""What can be wrong with a callback."""

# ruff: noqa: ARG001  # the effects of one table are all called alike

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from local.poyo_simulator.fault_rules import Use
from local.poyo_simulator.tasks import FAILED, FINISHED, new_id


@dataclass
class Letter:
    """One callback before it is posted; faults write on it."""

    told: dict[str, object]
    wrapped: bool
    kind: str = "true"
    signed: str = "well"
    signed_ago_s: float = 0.0
    delay_s: float = 0.0
    copies: int = 0
    unsent: bool = False
    torn: bool = False
    before: list["Letter"] = field(default_factory=list)

    def body(self) -> bytes:
        whole = json.dumps({"code": 200, "data": self.told} if self.wrapped else self.told)
        return whole[: len(whole) // 2 if self.torn else None].encode()


def _none(letter: Letter, use: Use) -> None:
    letter.unsent = True


def _double(letter: Letter, use: Use) -> None:
    letter.copies = int(use.number("copies"))


def _late(letter: Letter, use: Use) -> None:
    letter.delay_s = use.number("seconds")


def _wrapped(letter: Letter, use: Use) -> None:
    letter.wrapped = True


def _bad_signature(letter: Letter, use: Use) -> None:
    letter.signed = "badly"


def _stale_signature(letter: Letter, use: Use) -> None:
    letter.signed = "once"
    letter.signed_ago_s = use.number("seconds")


def _no_signature(letter: Letter, use: Use) -> None:
    letter.signed = "not"


def _forged(letter: Letter, use: Use) -> None:
    """The forger knows the URL but no key, and no task id of ours."""
    claims = FAILED if letter.told["status"] == FINISHED else FINISHED
    stranger = new_id("forged", letter.told["task_id"])
    told = {**letter.told, "task_id": stranger, "status": claims, "files": []}
    letter.before.append(Letter(told, letter.wrapped, kind="forged", signed="badly"))


def _says_failed(letter: Letter, use: Use) -> None:
    letter.told = {**letter.told, "status": FAILED, "files": [], "credits_amount": 0.0}
    letter.told["error_message"] = "Server exception"


def _truncated(letter: Letter, use: Use) -> None:
    letter.torn = True


CALLBACK_FAULTS: dict[str, Callable[[Letter, Use], None]] = {
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
