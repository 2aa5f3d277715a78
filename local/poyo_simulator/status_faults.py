"""What can be wrong with a status."""

# ruff: noqa: ARG001  # the effects of one table are all called alike

from collections.abc import Callable
from dataclasses import dataclass

from local.poyo_simulator.account import too_many, wrong_key
from local.poyo_simulator.fault_rules import Use
from local.poyo_simulator.responses import Answer, PoyoError, invalid, success


@dataclass
class Reading:
    """A status before it is sent; faults write on it."""

    told: dict[str, object]
    wrapped: bool = True
    instead: Answer | None = None

    def answer(self) -> Answer:
        return self.instead or (success(self.told) if self.wrapped else Answer(200, self.told))


def not_found() -> PoyoError:
    return PoyoError(404, "resource_not_found_error", "Task not found")


def _not_found(reading: Reading, use: Use) -> None:
    reading.instead = not_found().answer()


def _server_error(reading: Reading, use: Use) -> None:
    reading.instead = PoyoError(500, "internal_server_error", "Internal server error").answer()


def _rate_limited(reading: Reading, use: Use) -> None:
    reading.instead = too_many(5).answer()


def _wrong_key(reading: Reading, use: Use) -> None:
    reading.instead = wrong_key().answer()


def _code_400(reading: Reading, use: Use) -> None:
    reading.instead = Answer(200, invalid("Invalid request").answer().body)


def _no_files(reading: Reading, use: Use) -> None:
    reading.told["files"] = []


def _missing_keys(reading: Reading, use: Use) -> None:
    kept = ("task_id", "status", "files") if reading.told["files"] else ("task_id", "status")
    reading.told = {key: reading.told[key] for key in kept}


def _unknown_word(reading: Reading, use: Use) -> None:
    reading.told["status"] = use.text("word")


def _unwrapped(reading: Reading, use: Use) -> None:
    reading.wrapped = False


STATUS_FAULTS: dict[str, Callable[[Reading, Use], None]] = {
    "status-404-first": _not_found,
    "status-500": _server_error,
    "status-429": _rate_limited,
    "status-401": _wrong_key,
    "status-200-code-400": _code_400,
    "status-no-files": _no_files,
    "status-missing-keys": _missing_keys,
    "status-unknown-word": _unknown_word,
    "status-unwrapped": _unwrapped,
}
