"""Defects in what operators do and are told: pausing, alarms about money, reconciling it."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

PAUSE = "integration/cli/test_orders.py"
CREDITS = "integration/workflows/test_credit_metrics.py"
STACK_LIMIT = "integration/handlers/test_stack_limit.py"
DECISIONS = "integration/cli/test_reconcile_decisions.py"
REPORT = "integration/cli/test_reconcile_report.py"
KEYS = "integration/cli/test_keys.py"

OPERATOR = (
    Mutant(
        "a change of keys brings back a key that was removed meanwhile",
        "cli/stack.py",
        "VersionStages=[NEXT_VERSION]",
        "VersionStages=[CURRENT]",
        KEYS,
    ),
    Mutant(
        "a change of keys whose response was lost is reported as somebody else's",
        "cli/stack.py",
        "if self._secret_version(output)[1] != stored:",
        "if stored:",
        KEYS,
    ),
    Mutant(
        "a pause is written and never read",
        "aws/budget_repository.py",
        "paused=_pause(items.get(SETTINGS_PK, {})).paused,",
        "paused=False,",
        PAUSE,
    ),
    Mutant(
        "only the parameter pauses orders",
        "workflows/spending.py",
        "paused=rules.paused or self.defaults.paused,",
        "paused=self.defaults.paused,",
        PAUSE,
    ),
    Mutant(
        "only the table pauses orders",
        "workflows/spending.py",
        "paused=rules.paused or self.defaults.paused,",
        "paused=rules.paused,",
        PAUSE,
    ),
    Mutant(
        "resuming keeps the pause",
        "cli/orders.py",
        ".pause(paused=False, now=wall_clock_ms())",
        ".pause(paused=True, now=wall_clock_ms())",
        PAUSE,
    ),
    Mutant(
        "a charge that differs from the estimate raises no alarm",
        "tasks/bookings.py",
        "return None if charge == _differing_charge(before) else charge",
        "return None",
        CREDITS,
    ),
    Mutant(
        "each write of a task repeats the alarm of its charge",
        "tasks/bookings.py",
        "return None if charge == _differing_charge(before) else charge",
        "return charge",
        CREDITS,
    ),
    Mutant(
        "a failure without a charge is reported as a charge that differs",
        "tasks/bookings.py",
        "uncharged = task.state == State.FAILED and not named",
        "uncharged = False",
        CREDITS,
    ),
    Mutant(
        "a transition that lost to a concurrent write counts its credits",
        "workflows/credit_metrics.py",
        "    if not result.applied:\n        return\n",
        "",
        CREDITS,
    ),
    Mutant(
        "a replay counts the credits of its order again",
        "workflows/task_updater.py",
        '            log_transition("submit", result)\n            record_booked(',
        '            log_transition("submit", result)\n        record_booked(',
        CREDITS,
    ),
    Mutant(
        "an order that the stack's limit refuses raises no alarm",
        "workflows/spending.py",
        "isinstance(error, BudgetExhausted) and error.scope == STACK",
        "False",
        STACK_LIMIT,
    ),
    Mutant(
        "an order that an owner's limit refuses raises the stack's alarm",
        "workflows/spending.py",
        "isinstance(error, BudgetExhausted) and error.scope == STACK",
        "isinstance(error, BudgetExhausted)",
        STACK_LIMIT,
    ),
    Mutant(
        "what the stack has left is recorded without the order itself",
        "workflows/spending.py",
        "record_stack_left(ceiling.max_credits - spend.committed - estimated_credits)",
        "record_stack_left(ceiling.max_credits - spend.committed)",
        STACK_LIMIT,
    ),
    Mutant(
        "a task whose charge is known can be decided",
        "cli/unresolved.py",
        "if is_unresolved(task) or _is_decided(task, amount(task, charged)):",
        "if True:",
        DECISIONS,
    ),
    Mutant(
        "a decision overwrites a charge that PoYo has named meanwhile",
        "tasks/transition_writes.py",
        'unresolved = (absent("charged_credits"), one_of("reason", UNKNOWN_CHARGE))',
        "unresolved = ()",
        "integration/aws/test_settle.py",
    ),
    Mutant(
        "a decision that lost to a concurrent write is reported as made",
        "cli/unresolved.py",
        "if not result.applied and not _is_decided(result.task, charged):",
        "if False:",
        DECISIONS,
    ),
    Mutant(
        "a decision is made without the operator's word",
        "cli/reconcile.py",
        'if sys.stdin.readline().strip().lower() not in ("y", "yes"):',
        "if False:",
        DECISIONS,
    ),
    Mutant(
        "the image of a released task is free when it comes after all",
        "tasks/transition_writes.py",
        'return ("charged_credits",) if outdated and "charged_credits" not in values else ()',
        "return ()",
        DECISIONS,
    ),
    Mutant(
        "the image of a released task is free when it comes at once",
        "workflows/poll_status.py",
        "known = (task.charged_credits or None) if task.is_final else task.charged_credits",
        "known = task.charged_credits",
        DECISIONS,
    ),
    Mutant(
        "what PoYo named while the image was copied is forgotten if it was nothing",
        "workflows/poll_status.py",
        "known = (task.charged_credits or None) if task.is_final else task.charged_credits",
        "known = task.charged_credits or None",
        "integration/workflows/test_reconcile_polling.py",
    ),
    Mutant(
        "charges of the same day before the last run are unexplained",
        "cli/snapshots.py",
        "charged=now.charged - before.charged,",
        "charged=now.charged,",
        REPORT,
    ),
    Mutant(
        "credits that running tasks have taken are unexplained",
        "cli/snapshots.py",
        "return self.fell - self.charged - self.reserved",
        "return self.fell - self.charged",
        REPORT,
    ),
    Mutant(
        "a removed server key is forgotten by the next comparison",
        "cli/reconcile.py",
        "*(before.keys if before else ())",
        "",
        REPORT,
    ),
    Mutant(
        "only the first page of unresolved tasks is listed",
        "cli/unresolved.py",
        "if len(keys) < PAGE_SIZE:",
        "if True:",
        REPORT,
    ),
    Mutant(
        "only the first page of usage is added up",
        "cli/charges.py",
        "if after is None:",
        "if True:",
        REPORT,
    ),
    Mutant(
        "the doctor takes any key's budget for a limit of the stack",
        "cli/money.py",
        "yield stack_limit(daily, budgets.get(STACK))",
        "yield stack_limit(daily, next(iter(budgets.values()), None))",
        "integration/cli/test_money.py",
    ),
    Mutant(
        "the doctor is silent about a page for everybody without a limit",
        "cli/money.py",
        'if stack.parameter("Playground") == "true":',
        "if False:",
        "integration/cli/test_money.py",
    ),
    Mutant(
        "the doctor is silent about credits that nobody will decide",
        "cli/money.py",
        "waiting = [task for task in tasks if task.due_at is None]",
        "waiting: list[Task] = []",
        "integration/cli/test_money.py",
    ),
)
