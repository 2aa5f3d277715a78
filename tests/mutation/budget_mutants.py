"""Defects that let a caller reach another's budget or usage, or an order past a limit that it was told."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

BUDGETS_TEST = "integration/handlers/test_api_budgets.py"
BODIES_TEST = "integration/handlers/test_api_budget_bodies.py"
REFUSED_TEST = "integration/handlers/test_api_refused_orders.py"
USAGE_TEST = "integration/handlers/test_api_usage.py"
STANDING_TEST = "unit/workflows/test_standing.py"

BUDGET_ROUTES = (
    Mutant(
        "a browser token sets budgets",
        "api/routes/budgets.py",
        "caller = authenticate_server_key(event, self.dependencies)",
        "from imagetasks.api.authentication import authenticate\n"
        '        caller = authenticate(event, self.dependencies, "tasks:read")',
        BUDGETS_TEST,
    ),
    Mutant(
        "a scope names the owner of any server key",
        "api/routes/budgets.py",
        'return name, f"{OWNER}{caller.key}{OWNER_SEPARATOR}{user}"',
        "return name, name",
        BUDGETS_TEST,
    ),
    Mutant(
        "the name of a user in a scope is not checked",
        "api/routes/budgets.py",
        "if name.startswith(OWNER) and request.USER.fullmatch(user):",
        "if name.startswith(OWNER):",
        BUDGETS_TEST,
    ),
    Mutant(
        "the budget of a key is that of every key",
        "tasks/budgets.py",
        '"key": f"{KEY}{caller.key}"',
        '"key": KEY',
        BUDGETS_TEST,
    ),
    Mutant(
        "setting a budget again forgets what was spent",
        "workflows/budget_settings.py",
        "started_at = before.started_at",
        "started_at = self.spending.clock.now_ms()",
        "integration/workflows/test_budget_settings.py",
    ),
    Mutant(
        "a budget of the stack replaces the deployment's ceiling",
        "workflows/spending.py",
        "if ceiling := self.defaults.ceiling():\n            yield ceiling.limit(now)\n        for",
        "if (ceiling := self.defaults.ceiling()) and not rules.budgets:\n"
        "            yield ceiling.limit(now)\n        for",
        BUDGETS_TEST,
    ),
    Mutant(
        "an amount is rounded before it is checked",
        "api/routes/budgets.py",
        "terms = budget_request.parse(request.limited_body(event))",
        'terms = budget_request.parse(__import__("json").dumps(__import__("json").loads('
        "request.limited_body(event))).encode())",
        BODIES_TEST,
    ),
    Mutant(
        "an amount below zero is a budget",
        "api/budget_request.py",
        "if value < 0:",
        "if False:",
        BODIES_TEST,
    ),
    Mutant(
        "true is one credit",
        "api/credit_amount.py",
        " and not isinstance(value, bool)",
        "",
        BODIES_TEST,
    ),
    Mutant(
        "an order that a budget never has room for is to be repeated",
        "tasks/budgets.py",
        "if self.resets_at is None or credits_ > self.max_credits:",
        "if self.resets_at is None:",
        STANDING_TEST,
    ),
    Mutant(
        "an order is to be repeated although another limit never has room",
        "workflows/spending.py",
        "wait_s=None if None in waits else last.wait_s(credits_, self.now)",
        "wait_s=last.wait_s(credits_, self.now)",
        STANDING_TEST,
    ),
    Mutant(
        "a PoYo client without a key is invited to repeat an order that a budget refused",
        "api/poyo_problems.py",
        'return replace(problem, retry="never", detail=f"{told} {ADVICE}")',
        'return replace(problem, detail=f"{told} {ADVICE}")',
        REFUSED_TEST,
    ),
    Mutant(
        "the lower of two limits of a period loses the soft limit of the other",
        "tasks/budgets.py",
        "found[limit.pk] = replace(lowest, soft_credits=min(soft, default=None))",
        "found[limit.pk] = lowest",
        STANDING_TEST,
    ),
    Mutant(
        "a quote does not know the limit that refuses",
        "workflows/spending.py",
        "if full := self.exhausted(credits_):",
        "if (full := self.exhausted(credits_)) and False:",
        STANDING_TEST,
    ),
    Mutant(
        "a browser token sees the usage of every user of its key",
        "tasks/usage.py",
        "return caller.token is None and caller.owner == caller.key",
        "return caller.token is not None or caller.owner == caller.key",
        USAGE_TEST,
    ),
    Mutant(
        "a user sees the usage of every user",
        "tasks/usage.py",
        "return caller.token is None and caller.owner == caller.key",
        "return caller.token is None",
        USAGE_TEST,
    ),
    Mutant(
        "the usage of a server key is that of all keys",
        "aws/usage_repository.py",
        'index, name = "by_owner_status", caller.key',
        'index, name = "by_owner_status", "owner"',
        USAGE_TEST,
    ),
    Mutant(
        "a cursor of another owner is accepted",
        "api/usage_request.py",
        "visible = sees_every_owner(caller) or found.owner == caller.owner",
        "visible = True",
        USAGE_TEST,
    ),
    Mutant(
        "a cursor outside of the days is a defect",
        "api/usage_request.py",
        "or not within.first <= found.day <= within.last",
        "",
        USAGE_TEST,
    ),
    Mutant(
        "usage needs no scope",
        "api/routes/usage.py",
        'authenticate(event, self.dependencies, "tasks:read")',
        'authenticate(event, self.dependencies, "tasks:write")',
        USAGE_TEST,
    ),
)
