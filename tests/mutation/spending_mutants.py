"""Defects in credits: no limit is passed, each amount is booked once, and nothing unknown is released."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

BOOKINGS_TEST = "unit/tasks/test_bookings.py"
BUDGETS_TEST = "unit/tasks/test_budgets.py"
CONFLICTS_TEST = "unit/aws/test_table_conflicts.py"
CONTENTION_TEST = "unit/aws/test_table_contention.py"
MODEL_TEST = "unit/workflows/test_spending_model.py"
SPENDING_TEST = "integration/workflows/test_spending.py"
SETTLEMENT_TEST = "integration/workflows/test_settlement.py"
STALE_TEST = "unit/tasks/test_stale_bookings.py"

LIMITS = (
    Mutant(
        "an order is not reserved under the conditions of its limits",
        "tasks/bookings.py",
        "condition=each.condition(estimated))",
        "condition=Condition())",
    ),
    Mutant(
        "an order that is larger than the budget is accepted in an empty period",
        "tasks/budgets.py",
        "if credits_ > self.max_credits:  # not even in a period without any task",
        "if False:",
        BUDGETS_TEST,
    ),
    Mutant(
        "an order is accepted whenever its period is empty or not",
        "tasks/budgets.py",
        'any_of=((absent("committed"),), (room,))',
        'any_of=((absent("committed"),), (absent("never"),))',
        BUDGETS_TEST,
    ),
    Mutant(
        "the last order may pass its limit",
        "tasks/budgets.py",
        'room = at_most("committed", self.max_credits - credits_)',
        'room = at_most("committed", self.max_credits)',
    ),
    Mutant(
        "an order that takes exactly what is left is refused",
        "tasks/budgets.py",
        "spend.committed + credits_ <= self.max_credits",
        "spend.committed + credits_ < self.max_credits",
        MODEL_TEST,
    ),
    Mutant(
        "a budget of hours begins at midnight",
        "tasks/budgets.py",
        "unit = UNIT_MS[duration[-1]]",
        'unit = UNIT_MS["d"]',
        MODEL_TEST,
    ),
    Mutant(
        "a budget keeps its beginning when its duration changes",
        "workflows/budget_settings.py",
        "if before is not None and before.duration == duration:",
        "if before is not None:",
        MODEL_TEST,
    ),
    Mutant(
        "charged credits do not count against a limit",
        "tasks/budgets.py",
        'room = at_most("committed", self.max_credits - credits_)',
        'room = at_most("reserved", self.max_credits - credits_)',
        BUDGETS_TEST,
    ),
    Mutant(
        "an order is admitted under budgets that it is not reserved in",
        "workflows/place_order.py",
        "self.submitter.submit(order, limits, basis.account)",
        "self.submitter.submit(order, (), basis.account)",
    ),
    Mutant(
        "an order whose room a concurrent request with its key took is refused",
        "workflows/place_order.py",
        "earlier = self.read(caller, order.idempotency_key).earlier",
        "earlier = basis.earlier",
        "integration/workflows/test_place_order.py",
    ),
    Mutant(
        "the rules of an order leave out its owner's budget",
        "aws/budget_repository.py",
        "return [SETTINGS_PK, *map(_budget_pk, scopes)]",
        "return [SETTINGS_PK, *map(_budget_pk, [*scopes][:-1])]",
        "integration/workflows/test_place_order.py",
    ),
    Mutant(
        "a revoked token orders what was admitted before",
        "tasks/budgets.py",
        'equals("pk", self.pk), absent("revoked_at"), room)',
        'equals("pk", self.pk), room)',
        BUDGETS_TEST,
    ),
    Mutant(
        "a token places one order too many",
        "tasks/budgets.py",
        'at_most("tasks", self.max_tasks - 1)',
        'at_most("tasks", self.max_tasks)',
        BUDGETS_TEST,
    ),
    Mutant(
        "the number of a token's tasks is not bounded",
        "tasks/budgets.py",
        "            if self.max_tasks is not None:\n",
        "            if False:\n",
    ),
    Mutant(
        "two limits of one item are the looser",
        "tasks/budgets.py",
        "lowest = min([*others, limit]",
        "lowest = max([*others, limit]",
    ),
    Mutant(
        "a server key's budget of the stack lifts the deployment's",
        "workflows/spending.py",
        "        if ceiling := self.defaults.ceiling():\n            yield ceiling.limit(now)\n",
        '        if (ceiling := self.defaults.ceiling()) and "stack" not in rules.budgets:\n'
        "            yield ceiling.limit(now)\n",
    ),
    Mutant(
        "an owner without a budget has no limit",
        "workflows/spending.py",
        "budget = rules.budgets.get(scope) or self.defaults.of_owner(scope)",
        "budget = rules.budgets.get(scope)",
    ),
    Mutant(
        "a budget of an owner cannot lift the deployment's",
        "workflows/spending.py",
        "budget = rules.budgets.get(scope) or self.defaults.of_owner(scope)",
        "budget = self.defaults.of_owner(scope) or rules.budgets.get(scope)",
    ),
    Mutant(
        "the token's own limit does not count",
        "workflows/spending.py",
        "tightest([*self._limits(names, rules, now), *token_limit(caller)])",
        "tightest(self._limits(names, rules, now))",
    ),
    Mutant(
        "a period begins one period late",
        "tasks/budgets.py",
        "(now - self.started_at) // length * length",
        "((now - self.started_at) // length + 1) * length",
    ),
    Mutant(
        "a period begins at its first order",
        "tasks/budgets.py",
        "start = self.started_at + (now - self.started_at) // length * length",
        "start = now",
    ),
    Mutant(
        "the limit that is reset first is named",
        "workflows/spending.py",
        "last = max(full, key=",
        "last = min(full, key=",
        SPENDING_TEST,
    ),
    Mutant(
        "no soft limit raises an alarm",
        "tasks/budgets.py",
        "return news and self.committed >= soft_credits",
        "return False",
        SPENDING_TEST,
    ),
    Mutant(
        "a soft limit raises an alarm before it is reached",
        "tasks/budgets.py",
        "return news and self.committed >= soft_credits",
        "return news",
        SPENDING_TEST,
    ),
    Mutant(
        "a soft limit raises an alarm with each order",
        "aws/budget_repository.py",
        'any_of=((absent("soft_limit"),), (lower,))',
        "",
        SPENDING_TEST,
    ),
    Mutant(
        "each order beyond a soft limit writes to the item of its budget",
        "tasks/budgets.py",
        "return news and self.committed >= soft_credits",
        "return self.committed >= soft_credits",
        SPENDING_TEST,
    ),
    Mutant(
        "a soft limit that was raised raises no alarm in the same period",
        "aws/budget_repository.py",
        'any_of=((absent("soft_limit"),), (lower,))',
        '(absent("soft_limit"),)',
        SPENDING_TEST,
    ),
)

BOOKINGS = (
    Mutant(
        "a transition drops the bookings that belong to it",
        "aws/task_repository.py",
        "            if not write.bookings:\n",
        "            if write.bookings is not None:\n",
    ),
    Mutant(
        "confirming a failed task drops the bookings that belong to it",
        "aws/task_repository.py",
        "self.table.transact_write([write.update, owner, *write.bookings])",
        "self.table.transact_write([write.update, owner])",
    ),
    Mutant(
        "bookings are written before their transition",
        "aws/task_repository.py",
        "            self.table.transact_write([write.update, *write.bookings])\n",
        "            self.table.transact_write(list(write.bookings))\n"
        "            self.table.update(write.update)\n",
    ),
    Mutant(
        "a difference is booked twice",
        "tasks/bookings.py",
        "(*(_spend(pk, added, opened=opened) for pk in before.spend_pks), *marks)",
        "(*(_spend(pk, {k: 2 * v for k, v in added.items()}, opened=opened)"
        " for pk in before.spend_pks), *marks)",
    ),
    Mutant(
        "only the first item of an order is settled",
        "tasks/bookings.py",
        "for pk in before.spend_pks), *marks)",
        "for pk in before.spend_pks[:1]), *marks)",
    ),
    Mutant(
        "charged credits are booked without releasing the reserved ones",
        "tasks/bookings.py",
        '{"reserved": more.reserved, "charged": more.charged,',
        '{"reserved": max(NOTHING, more.reserved), "charged": more.charged,',
    ),
    Mutant(
        "the task does not name the items that it is booked in",
        "workflows/order.py",
        "spend_pks=(*(limit.pk for limit in limits), usage_pk(task))",
        "spend_pks=(usage_pk(task),)",
    ),
    Mutant(
        "a replay reserves its credits again",
        "aws/task_repository.py",
        "            if failed.which:\n                raise refusal(",
        "            if not failed.which:\n"
        "                self.table.transact_write(list(reservation(task, limits)))\n"
        "            if failed.which:\n                raise refusal(",
    ),
    Mutant(
        "an unknown charge is released",
        "tasks/bookings.py",
        "if task.state != State.FAILED or was_charged(task) is None:",
        "if task.state != State.FAILED:",
        BOOKINGS_TEST,
    ),
    Mutant(
        "an unknown charge counts as none",
        "tasks/bookings.py",
        "        return Booking(reserved=task.estimated_credits)\n    named",
        "        return Booking(reserved=task.estimated_credits if not task.is_final else NOTHING)\n"
        "    named",
    ),
    Mutant(
        "a failure that PoYo does not charge is charged",
        "tasks/bookings.py",
        "    named = charged_credits(task)\n",
        "    named = task.charged_credits\n",
    ),
    Mutant(
        "no credits that PoYo named count as unknown",
        "tasks/bookings.py",
        "charged=task.estimated_credits if charged is None else charged)",
        "charged=charged or task.estimated_credits)",
        BOOKINGS_TEST,
    ),
    Mutant(
        "no credits that PoYo named for a failure count as unknown",
        "tasks/bookings.py",
        "charged=task.estimated_credits if named is None else named)",
        "charged=named or task.estimated_credits)",
    ),
    Mutant(
        "a task that nobody can settle is not listed",
        "tasks/bookings.py",
        "    if is_unresolved(before) == is_unresolved(after):\n",
        "    if True:\n",
    ),
    Mutant(
        "a settled task stays listed",
        "tasks/bookings.py",
        "    if is_unresolved(before) == is_unresolved(after):\n",
        "    if is_unresolved(before) or not is_unresolved(after):\n",
    ),
    Mutant(
        "DynamoDB removes the item of a token with reserved credits",
        "tasks/bookings.py",
        "    if opened and pk.startswith(TOKEN_PK):\n",
        "    if False:\n",
    ),
    Mutant(
        "the item of a token without reserved credits is kept for ten years",
        "tasks/bookings.py",
        "opened = bool(booking(after).reserved) - bool(booking(before).reserved)",
        "opened = 0",
    ),
    Mutant(
        "a task without an estimate keeps the item of its token for ten years",
        "tasks/bookings.py",
        "opened=bool(estimated)",
        "opened=1",
        BOOKINGS_TEST,
    ),
    Mutant(
        "confirming does not compare what decides about credits",
        "tasks/transitions.py",
        '        unchanged=("state", "reason", "charged_credits"),\n        from_recoverable=True,\n',
        "        from_recoverable=True,\n",
        STALE_TEST,
    ),
    Mutant(
        "finish does not compare what decides about credits",
        "tasks/transitions.py",
        'unchanged=("state", "reason", "charged_credits", "poyo_id"),',
        'unchanged=("poyo_id",),',
        STALE_TEST,
    ),
    Mutant(
        "reopen does not compare what decides about credits",
        "tasks/transitions.py",
        'unchanged=("state", "poyo_id", "reason", "charged_credits"),',
        'unchanged=("poyo_id",),',
        STALE_TEST,
    ),
    Mutant(
        "settle does not compare what decides about credits",
        "tasks/transitions.py",
        '        from_states=(State.FAILED,),\n        unchanged=("state", "reason", "charged_credits"),\n',
        "        from_states=(State.FAILED,),\n",
        STALE_TEST,
    ),
    Mutant(
        "defer does not compare the state",
        "tasks/transitions.py",
        'event="waiting",\n        unchanged=("state", "attempt",',
        'event="waiting",\n        unchanged=("attempt",',
        STALE_TEST,
    ),
    Mutant(
        "fail does not compare the state and the credits",
        "tasks/transitions.py",
        '            "state",\n            "attempt",\n            "poyo_id",\n',
        '            "attempt",\n            "poyo_id",\n',
        STALE_TEST,
    ),
    Mutant(
        "fail does not compare the credits",
        "tasks/transitions.py",
        '            "failure_seen_at",\n            "charged_credits",\n',
        '            "failure_seen_at",\n',
        STALE_TEST,
    ),
    Mutant(
        "reschedule does not compare the credits",
        "tasks/transitions.py",
        '            "reason",\n            "charged_credits",\n',
        '            "reason",\n',
        STALE_TEST,
    ),
    Mutant(
        "reschedule does not compare the reason and the state",
        "tasks/transitions.py",
        '            "state",\n            "due_at",\n',
        '            "due_at",\n',
        STALE_TEST,
    ),
    Mutant(
        "an operator settles again what is settled",
        "tasks/transition_writes.py",
        'unresolved = (absent("charged_credits"), one_of("reason", UNKNOWN_CHARGE))',
        'unresolved = (one_of("reason", UNKNOWN_CHARGE),)',
        "integration/aws/test_settle.py",
    ),
    Mutant(
        "a failure that cost nothing makes the image free that comes after all",
        "workflows/poll_status.py",
        "known = (task.charged_credits or None) if task.is_final else task.charged_credits",
        "known = task.charged_credits",
        SETTLEMENT_TEST,
    ),
    Mutant(
        "a timed out task stays reserved although PoYo says twice that it failed",
        "workflows/poll_status.py",
        "        elif is_unresolved(task):\n",
        "        elif False:\n",
        SETTLEMENT_TEST,
    ),
    Mutant(
        "two polls of one moment release a timed out task",
        "workflows/poll_status.py",
        "elif not self.clock.has_elapsed(task.failure_seen_at, confirm_s):",
        "elif not task.is_final and not self.clock.has_elapsed(task.failure_seen_at, confirm_s):",
        SETTLEMENT_TEST,
    ),
    Mutant(
        "what PoYo names later for a failed task is not booked",
        "workflows/poll_status.py",
        '            facts["charged_credits"] = status.credits\n',
        "            pass\n",
        SETTLEMENT_TEST,
    ),
    Mutant(
        "a failure without an amount takes back the operator's decision",
        "workflows/poll_status.py",
        "        elif is_unresolved(task):\n",
        "        else:\n",
        SETTLEMENT_TEST,
    ),
    Mutant(
        "no credits so far release a task that times out",
        "workflows/poll_status.py",
        "charged = (status.credits or None) if status else None",
        "charged = status.credits if status else None",
        SETTLEMENT_TEST,
    ),
)

CONFLICTS = (
    Mutant(
        "a conflict is not retried",
        "aws/table.py",
        "if not isinstance(translation, _TransactionConflict):",
        "if translation:",
        CONFLICTS_TEST,
    ),
    Mutant(
        "a conflict of a single write is not retried",
        "aws/table.py",
        'if code == "TransactionConflictException":',
        "if False:",
        CONFLICTS_TEST,
    ),
    Mutant(
        "a write is repeated after an unknown outcome",
        "aws/table.py",
        "    return translated(error, DatabaseUnavailable)\n",
        "    return _TransactionConflict()\n",
        CONFLICTS_TEST,
    ),
    Mutant(
        "a write is repeated after a lost answer",
        "aws/table.py",
        "                raise translated(error, DatabaseUnavailable) from error\n"
        "            self.sleep",
        "                del error\n            self.sleep",
        CONFLICTS_TEST,
    ),
    Mutant(
        "conflicts are retried for ever",
        "aws/table.py",
        "if wait_s is None or self.monotonic_s() - begun_s >= CONFLICT_S:",
        "if wait_s is None:",
        CONFLICTS_TEST,
    ),
    Mutant(
        "hundreds of orders at once only cancel each other",
        "aws/table.py",
        "0.64, 0.96, 0.96, 0.96, 0.96)",
        "*[0.4] * 40)",
        CONTENTION_TEST,
    ),
    Mutant(
        "the log of a conflict names a user",
        "aws/table.py",
        'blocked.append(f"{kind}:{scope}" if kind == "spend" else kind)',
        "blocked.append(pk)",
        CONFLICTS_TEST,
    ),
)
SPENDING = (*LIMITS, *BOOKINGS, *CONFLICTS)
