"""Stops new orders of a deployed stack at once, and accepts them again.

imagetasks stack pause [--reason TEXT]   new orders are refused: 503, `orders_paused`
imagetasks stack resume                  new orders are accepted
imagetasks stack status                  says which of the two, since when and why

A pause works from the next request on, because the API reads it with each order. Tasks that were
accepted go on, including those that wait for their submit. Replays and quotes are answered. Only the
operator reads the reason.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime

from cli.stack import CommandError, Stack, argument_parser, command_line, run_command
from imagetasks.aws.budget_repository import BudgetRepository, Pause
from imagetasks.clock import wall_clock_ms

MAX_REASON_CHARS = 200


def pause(stack: Stack, reason: str) -> str:
    """Refuse new orders from now on. Raises CommandError for a reason that is too long."""
    if len(reason) > MAX_REASON_CHARS:
        raise CommandError(f"a reason has at most {MAX_REASON_CHARS} characters")
    _parameter_pauses(stack)  # raises for a stack whose functions do not know a pause
    BudgetRepository(stack.table()).pause(paused=True, now=wall_clock_ms(), reason=reason)
    return (
        "new orders are refused from now on: 503, orders_paused\n"
        "Accepted tasks go on, also those that wait for their submit: they are paid and delivered.\n"
        f"undo: {command_line('resume', stack.name)}"
    )


def resume(stack: Stack) -> str:
    """Accept new orders again. Raises CommandError if the parameter OrdersPaused still refuses them."""
    by_parameter = _parameter_pauses(stack)
    BudgetRepository(stack.table()).pause(paused=False, now=wall_clock_ms())
    if by_parameter:
        raise CommandError(
            "the pause is over, but the parameter OrdersPaused is true and still refuses new orders:"
            " deploy with OrdersPaused=false"
        )
    return "new orders are accepted from now on"


def status(stack: Stack) -> str:
    """Whether new orders are accepted, and what refuses them."""
    state, by_parameter = BudgetRepository(stack.table()).pause_state(), _parameter_pauses(stack)
    lines = [
        "new orders are refused" if state.paused or by_parameter else "new orders are accepted"
    ]
    if state.paused:
        lines.append(f"paused{described(state)}; undo: {command_line('resume', stack.name)}")
    elif state.since is not None:
        lines.append(f"resumed{described(state)}")
    if by_parameter:
        lines.append("the parameter OrdersPaused is true; undo: deploy with OrdersPaused=false")
    return "\n".join(lines)


def described(state: Pause) -> str:
    """Since when and why, with a space before it."""
    since = datetime.fromtimestamp((state.since or 0) / 1000, UTC).isoformat(" ", "seconds")
    return f" since {since}" + (f" ({state.reason})" if state.reason else "")


def _parameter_pauses(stack: Stack) -> bool:
    return stack.parameter("OrdersPaused") == "true"


def _run(options: argparse.Namespace) -> str:
    stack = Stack(options.stack, options.region)
    if options.command == "pause":
        return pause(stack, options.reason)
    return resume(stack) if options.command == "resume" else status(stack)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 on success, 1 with the reason on stderr, 130 after Ctrl-C."""
    parser = argument_parser("", __doc__)
    parser.add_argument("command", choices=("pause", "resume", "status"))
    parser.add_argument(
        "--reason", default="", help="of a pause, for `status`; callers never see it"
    )
    options = parser.parse_args(arguments)
    return run_command(lambda: _run(options), "`status` says whether orders are accepted")
