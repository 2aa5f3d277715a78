"""Defects in what operators do and are told: pausing, alarms about money, reconciling it."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

PAUSE = "integration/cli/test_orders.py"

OPERATOR = (
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
)
