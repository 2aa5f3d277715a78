"""Faults of status responses."""

# ruff: noqa: ARG001  # all effects in a table have the same signature

from collections.abc import Callable
from dataclasses import dataclass

from local.poyo_simulator.account import invalid_key_error, rate_limit_error
from local.poyo_simulator.fault_rules import InjectedFault
from local.poyo_simulator.responses import HttpResponse, PoyoError, invalid, success


@dataclass
class StatusResponse:
    """A status response before it is sent; faults change it. ``override`` replaces it."""

    task: dict[str, object]
    wrapped: bool = True
    override: HttpResponse | None = None

    def http_response(self) -> HttpResponse:
        normal = success(self.task) if self.wrapped else HttpResponse(200, self.task)
        return self.override or normal


def task_not_found() -> PoyoError:
    return PoyoError(404, "resource_not_found_error", "Task not found")


def _not_found(status: StatusResponse, fault: InjectedFault) -> None:
    status.override = task_not_found().response()


def _server_error(status: StatusResponse, fault: InjectedFault) -> None:
    status.override = PoyoError(500, "internal_server_error", "Internal server error").response()


def _rate_limited(status: StatusResponse, fault: InjectedFault) -> None:
    status.override = rate_limit_error(5).response()


def _invalid_key(status: StatusResponse, fault: InjectedFault) -> None:
    status.override = invalid_key_error().response()


def _code_400(status: StatusResponse, fault: InjectedFault) -> None:
    status.override = HttpResponse(200, invalid("Invalid request").response().body)


def _no_files(status: StatusResponse, fault: InjectedFault) -> None:
    status.task["files"] = []


def _missing_keys(status: StatusResponse, fault: InjectedFault) -> None:
    kept = ("task_id", "status", "files") if status.task["files"] else ("task_id", "status")
    status.task = {key: status.task[key] for key in kept}


def _unknown_word(status: StatusResponse, fault: InjectedFault) -> None:
    status.task["status"] = fault.text("word")


def _unwrapped(status: StatusResponse, fault: InjectedFault) -> None:
    status.wrapped = False


STATUS_FAULTS: dict[str, Callable[[StatusResponse, InjectedFault], None]] = {
    "status-404-first": _not_found,
    "status-500": _server_error,
    "status-429": _rate_limited,
    "status-401": _invalid_key,
    "status-200-code-400": _code_400,
    "status-no-files": _no_files,
    "status-missing-keys": _missing_keys,
    "status-unknown-word": _unknown_word,
    "status-unwrapped": _unwrapped,
}
