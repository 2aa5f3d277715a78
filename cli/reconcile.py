"""Compares what tasks were charged with PoYo's balance, and decides charges that nobody knows.

imagetasks stack reconcile [--from DAY] [--to DAY]       reports and stores PoYo's balance for the next run
imagetasks stack reconcile charge TASK_ID [--credits N]  PoYo kept the credits (default: the estimate)
imagetasks stack reconcile release TASK_ID               PoYo kept nothing

The report has the usage of the days (UTC, the last seven by default), what of the change of PoYo's
balance since the last run no charge explains, and the failed tasks whose credits stay reserved because
nobody knows whether PoYo charged them. Look these up at PoYo, then decide. PoYo's later word wins over
a decision. After Ctrl-C the same command can be run again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation

from cli import snapshots, unresolved
from cli.charges import read_usage
from cli.poyo_account import read_balance
from cli.reconcile_report import Report
from cli.stack import CommandError, Stack, argument_parser, run_command
from imagetasks.aws.task_repository import TaskRepository
from imagetasks.aws.usage_repository import UsageRepository
from imagetasks.clock import system_clock, wall_clock_ms
from imagetasks.limits import Limits
from imagetasks.tasks.bookings import is_unresolved
from imagetasks.tasks.usage import day_of, day_start

PERIOD_DAYS = 7
MAX_CREDITS = Decimal(1_000_000)


def report(stack: Stack, *, first: str, last: str, further_keys: Iterable[str] = ()) -> Report:
    """Read everything, then store PoYo's balance as the last link of the chain."""
    table, now = stack.table(), wall_clock_ms()
    before = snapshots.latest(table)
    stored = stack.secret("ApiSecretArn").get("server_keys")
    named = stored if isinstance(stored, dict) else {}
    keys = tuple(sorted({*named, *further_keys, *(before.keys if before else ())}))
    balance = read_balance(stack)
    days = [first, snapshots.window_start(now), *([before.first_day] if before else [])]
    until = max(last, day_of(now))
    usage = read_usage(UsageRepository(table), keys, first=min(days), last=until)
    tasks = tuple(unresolved.unresolved_tasks(table))
    compared = snapshots.compare(before, usage, balance=balance) if before else None
    snapshot = snapshots.take(usage, keys, now=now, balance=balance, compared=compared)
    snapshots.store(table, snapshot)
    return Report(
        first=first,
        last=last,
        usage=usage.between(first, last),
        snapshot=snapshot,
        compared=compared,
        unresolved=tasks,
    )


def settle(stack: Stack, task_id: str, charged: Decimal | None, *, confirmed: bool) -> str:
    """Charge the task (None: its estimate) or, with 0, release it, if it is unresolved."""
    repository = TaskRepository(stack.table())
    task = unresolved.find(repository, task_id, charged)
    credits_ = unresolved.amount(task, charged)
    if is_unresolved(task) and not confirmed:
        _confirm(f"{unresolved.question(task, credits_)} [y/N] ")
    done = unresolved.decide(repository, system_clock(Limits()), task, credits_)
    if not done.changed:
        return f"{task_id} was decided so already: {unresolved.described(done.after)}"
    before, after = unresolved.described(done.before), unresolved.described(done.after)
    return f"{task_id}\nbefore: {before}\nnow:    {after}"


def _confirm(question: str) -> None:
    print(question, end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("nothing was decided: answer y, or give --yes")


def _credits(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise argparse.ArgumentTypeError(f"no number: {text}") from error
    if not (number.is_finite() and 0 < number <= MAX_CREDITS):
        raise argparse.ArgumentTypeError(f"not above 0 and at most {MAX_CREDITS}: {text}")
    return number


def _day(text: str) -> str:
    try:
        return day_of(day_start(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"no day such as 2026-11-28: {text}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argument_parser("reconcile", __doc__)
    today = wall_clock_ms()
    week_ago = day_of(today - (PERIOD_DAYS - 1) * snapshots.DAY_MS)
    parser.add_argument("--from", dest="first", type=_day, default=week_ago, metavar="DAY")
    parser.add_argument("--to", dest="last", type=_day, default=day_of(today), metavar="DAY")
    name = "a removed server key whose tasks count, too; later runs remember it"
    parser.add_argument("--key", action="append", default=[], metavar="NAME", help=name)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    commands = parser.add_subparsers(dest="command")
    charge = commands.add_parser("charge", help="PoYo kept credits for this task")
    charge.add_argument("--credits", type=_credits, help="how many (default: the estimate)")
    release = commands.add_parser("release", help="PoYo kept nothing for this task")
    for command in (charge, release):
        command.add_argument("task_id")
        command.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _run(options: argparse.Namespace) -> str:
    stack = Stack(options.stack, options.region)
    if options.command == "charge":
        return settle(stack, options.task_id, options.credits, confirmed=options.yes)
    if options.command == "release":
        return settle(stack, options.task_id, Decimal(0), confirmed=options.yes)
    if options.first > options.last:
        raise CommandError(f"{options.first} is after {options.last}")
    found = report(stack, first=options.first, last=options.last, further_keys=options.key)
    return json.dumps(found.json(), indent=2) if options.json else found.text()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 on success, 1 with the reason on stderr, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    return run_command(lambda: _run(options), "run the same command again, nothing counts twice")
