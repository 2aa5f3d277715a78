"""Defects in waiting for a change: how many requests wait, for what, and for how long."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

SLOTS_TEST = "integration/aws/test_wait_slots.py"
WAIT_TEST = "integration/workflows/test_owner_tasks.py"
ROUTE_TEST = "integration/handlers/test_api_tasks.py"
NAMED_TEST = "integration/handlers/test_api_named_tasks.py"
NAMED_WAIT_TEST = "integration/workflows/test_named_tasks.py"

WAITING = (
    Mutant(
        "a request waits without a slot",
        "workflows/owner_tasks.py",
        "        if slot is None:\n            return found\n",
        "        if slot is None and ends(found):\n            return found\n",
        WAIT_TEST,
    ),
    Mutant(
        "a request that does not wait takes a slot",
        "workflows/owner_tasks.py",
        "slot = None if ends(found) else self.wait_slots.take()",
        "slot = self.wait_slots.take()",
        WAIT_TEST,
    ),
    Mutant(
        "a wait keeps its slot after its end",
        "workflows/owner_tasks.py",
        "            self.wait_slots.free(slot)\n",
        "            pass\n",
        WAIT_TEST,
    ),
    Mutant(
        "looking for a slot takes the time to respond",
        "aws/wait_slots.py",
        "if self.clock.time_left_s() < needed_s:",
        "if False:",
        SLOTS_TEST,
    ),
    Mutant(
        "freeing a slot takes the time to respond",
        "aws/wait_slots.py",
        "if self.clock.time_left_s() < self.clock.limits.aws_call_s:",
        "if False:",
        SLOTS_TEST,
    ),
    Mutant(
        "two requests take the same slot",
        "aws/wait_slots.py",
        'condition = Condition((unchanged("held_until", before),))',
        "condition = Condition()",
        SLOTS_TEST,
    ),
    Mutant(
        "the slot of a killed function is never free again",
        "aws/wait_slots.py",
        "if before is not None and now < before < now + 2 * LEASE_S * 1000:",
        "if before:",
        SLOTS_TEST,
    ),
    Mutant(
        "a clock that was ahead takes a slot away for long",
        "aws/wait_slots.py",
        "if before is not None and now < before < now + 2 * LEASE_S * 1000:",
        "if before is not None and now < before:",
        SLOTS_TEST,
    ),
    Mutant(
        "a wait ignores which version the caller has",
        "api/routes/tasks.py",
        "caller.owner, task_id, wait_s=wait_s, has_changed=is_unknown if known else None",
        "caller.owner, task_id, wait_s=wait_s, has_changed=None",
        ROUTE_TEST,
    ),
    Mutant(
        "a wait for several tasks ignores which version the caller has",
        "api/routes/tasks.py",
        "            has_changed=is_unknown if known else None,\n",
        "            has_changed=None,\n",
        NAMED_TEST,
    ),
    Mutant(
        "a wait for several tasks reads those that have ended, too",
        "workflows/owner_tasks.py",
        "without_outcome = [each for each, task in tasks.items() if not task.is_final]",
        "without_outcome = [*tasks]",
        NAMED_WAIT_TEST,
    ),
    Mutant(
        "a wait for several tasks ends with the first of them",
        "workflows/owner_tasks.py",
        "is_over=lambda tasks: all(task.is_final for task in tasks.values()) or changed(tasks),",
        "is_over=lambda tasks: any(task.is_final for task in tasks.values()) or changed(tasks),",
        NAMED_WAIT_TEST,
    ),
    Mutant(
        "a wait ends when its function does",
        "workflows/owner_tasks.py",
        "until = self.clock.after(min(wait_s, left_s))",
        "until = self.clock.after(wait_s)",
        WAIT_TEST,
    ),
    Mutant(
        "a list has no ETag",
        "api/routes/tasks.py",
        "return conditional_response(event, _page_body(page, bodies))",
        'return HttpResponse(200, "application/json", json.dumps(_page_body(page, bodies)))',
        ROUTE_TEST,
    ),
)
