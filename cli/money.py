"""Checks what bounds the spending of a deployed stack: limits, a pause, budgets that are used up, and credits
that stay reserved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import islice

from cli.findings import OPERATING, Finding, Findings
from cli.orders import described
from cli.reconcile_report import instant
from cli.stack import CommandError, SecretDamaged, Stack, Values, command_line
from cli.unresolved import plain, unresolved_tasks
from imagetasks.aws.budget_repository import BudgetRepository, Pause
from imagetasks.clock import wall_clock_ms
from imagetasks.errors import DatabaseUnavailable
from imagetasks.tasks.bookings import booking
from imagetasks.tasks.budgets import DAY, STACK, Budget, Limit, Spend
from imagetasks.tasks.task import Task

PAGE = 90  # scopes that are read at once, beside the settings
MAX_UNRESOLVED = 1000  # that the doctor counts
STOLEN_KEY = "a stolen key can spend PoYo's account empty"


def check_money(stack: Stack) -> Findings:
    """Whether orders are paused, what bounds them, which budgets are used up, and what is unresolved."""
    try:
        yield from _check(stack)
    except DatabaseUnavailable as error:
        raise CommandError(f"the table cannot be read: {error}") from error


def _check(stack: Stack) -> Findings:
    repository = BudgetRepository(stack.table())
    yield pause(repository.pause_state(), stack.parameter("OrdersPaused") == "true", stack.name)
    daily = Decimal(stack.parameter("StackDailyCredits"))
    budgets = _budgets(repository, _server_keys(stack))
    yield stack_limit(daily, budgets.get(STACK))
    if stack.parameter("Playground") == "true":
        by_owner = Decimal(stack.parameter("OwnerDailyCredits"))
        yield page_limit(bounded=bool(daily or by_owner) or STACK in budgets)
    given = list(budgets.values())
    if daily:
        given.append(Budget(scope=STACK, max_credits=daily, duration=DAY))
    limits = [each.limit(wall_clock_ms()) for each in given]
    spends = {
        each.pk: spend for each, spend in zip(limits, _spends(repository, limits), strict=True)
    }
    yield used_up(limits, spends)
    tasks = list(islice(unresolved_tasks(stack.table()), MAX_UNRESOLVED))
    yield unresolved(tasks, stack.name)


def _server_keys(stack: Stack) -> Sequence[str]:
    """The names of the server keys; none if the secret is not readable, which another check reports."""
    try:
        keys = stack.secret("ApiSecretArn").get("server_keys")
    except SecretDamaged:
        return ()
    return sorted(keys) if isinstance(keys, dict) else ()


def _budgets(repository: BudgetRepository, keys: Sequence[str]) -> Mapping[str, Budget]:
    """The budgets of the stack, of each server key and of the key's own owner, by scope."""
    scopes = [STACK, *(f"{kind}:{key}" for key in keys for kind in ("key", "owner"))]
    found: dict[str, Budget] = {}
    for start in range(0, len(scopes), PAGE):
        found |= repository.rules(scopes[start : start + PAGE]).budgets
    return found


def _spends(repository: BudgetRepository, limits: Sequence[Limit]) -> Sequence[Spend]:
    spends: list[Spend] = []
    for start in range(0, len(limits), PAGE):
        page = limits[start : start + PAGE]
        found = repository.spends({each.pk: each for each in page}.values())
        spends += [found[each.pk] for each in page]
    return spends


def pause(state: Pause, by_parameter: bool, stack_name: str) -> Finding:
    """Whether new orders are accepted."""
    if state.paused:
        todo = command_line("resume", stack_name)
        return Finding("orders", f"new orders are paused{described(state)}", todo, failed=False)
    if by_parameter:
        todo = "deploy with OrdersPaused=false"
        return Finding("orders", "OrdersPaused refuses new orders", todo, failed=False)
    return Finding("orders", "new orders are accepted")


def stack_limit(daily: Decimal, budget: Budget | None) -> Finding:
    """Whether anything bounds what all orders together may spend."""
    if daily:
        return Finding("money", f"StackDailyCredits allows {plain(daily)} credits a day")
    if budget is not None:
        period = f"in each {budget.duration}" if budget.duration else "in all"
        message = f"the stack's budget allows {plain(budget.max_credits)} credits {period}"
        return Finding("money", message)
    todo = "deploy with StackDailyCredits=…, well above what a busy day costs"
    return Finding("money", f"no limit for the whole stack: {STOLEN_KEY}", todo, failed=False)


def page_limit(*, bounded: bool) -> Finding:
    """Whether a budget bounds what people order on the page at `/`, beside the limits of their tokens."""
    if bounded:
        return Finding("money", "Playground serves the page, and a budget bounds what it can spend")
    message = "Playground serves the page at /, and no budget bounds what is ordered there"
    todo = "deploy with StackDailyCredits=… or OwnerDailyCredits=…, or with Playground=false"
    return Finding("money", message, todo, failed=False)


def used_up(limits: Sequence[Limit], spends: Mapping[str, Spend]) -> Finding:
    """Which budgets refuse every order now."""
    full = [each for each in limits if each.left(spends[each.pk]) <= 0]
    if not full:
        return Finding(
            "money", f"budgets of the stack and of server keys: {len(limits)}, none used up"
        )
    names = ", ".join(
        f"{each.scope} (until {instant(each.resets_at)})" if each.resets_at else each.scope
        for each in full
    )
    todo = f"raise them if the orders are wanted; see Money in {OPERATING}"
    return Finding("money", f"used up: {names}", todo, failed=False)


def unresolved(tasks: Sequence[Task], stack_name: str) -> Finding:
    """Whether credits stay reserved until somebody decides: for tasks that PoYo is not asked about any more."""
    waiting = [task for task in tasks if task.due_at is None]
    credits_ = sum((booking(task).reserved for task in waiting), Decimal(0))
    if not waiting:
        return Finding("money", f"unresolved tasks: {len(tasks) or 'none'}")
    count = f"{len(waiting)}{'+' if len(tasks) == MAX_UNRESOLVED else ''}"
    message = f"{plain(credits_)} credits stay reserved for {count} tasks with an unknown charge"
    todo = f"{command_line('reconcile', stack_name)} lists them; decide each"
    return Finding("money", message, todo, failed=False)


def removal(described_: Values) -> Finding:
    """Whether DynamoDB removes the items of browser tokens that have ended."""
    status = described_.get("TimeToLiveStatus")
    if status in ("ENABLED", "ENABLING") and described_.get("AttributeName") == "removed_at":
        return Finding("table", "items of ended browser tokens are removed")
    todo = "deploy again: TimeToLiveSpecification of the table"
    return Finding("table", "items of ended browser tokens are never removed", todo)
