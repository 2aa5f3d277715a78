"""Defects in when a submit is sent: within PoYo's limit, first come, first served, soon after a failure."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

SLOTS = "integration/workflows/test_rate_limit.py"
RETRY = "integration/workflows/test_retry_submission.py"
MODEL = "integration/workflows/test_submit_pacing.py"

PACING = (
    Mutant(
        "the rate limit has room for every submit",
        "poyo/rate_limit.py",
        "+ (rounds + 1) * _window_ms(limits)",
        "+ rounds * _window_ms(limits)",
        SLOTS,
    ),
    Mutant(
        "PoYo's window has room for every start",
        "poyo/rate_limit.py",
        "return self.sent[-count] + gap_ms if len(self.sent) >= count else 0",
        "return 0",
        MODEL,
    ),
    Mutant(
        "the start of a submit that waited for its turn is not recorded",
        "aws/submit_slots.py",
        "            self._record(account, start)\n        return slot",
        "            pass\n        return slot",
        MODEL,
    ),
    Mutant(
        "a worker does not wait until the start",
        "aws/submit_slots.py",
        "        self.sleep(wait_s)\n",
        "",
        MODEL,
    ),
    Mutant(
        "a submit that missed its start is sent all the same",
        "aws/submit_slots.py",
        "if self.clock.now_ms() - start > limits.late_start_s * 1000:",
        "if False:",
        SLOTS,
    ),
    Mutant(
        "a submit that missed its start counts twice",
        "aws/submit_slots.py",
        ".without(slot.start)",
        "",
        SLOTS,
    ),
    Mutant(
        "one of two starts that are recorded at once is lost",
        "aws/submit_account.py",
        "pk=ACCOUNT_PK, condition=Condition((self._sent(),)), values",
        "pk=ACCOUNT_PK, condition=Condition(), values",
        SLOTS,
    ),
    Mutant(
        "a submit that could not be counted is sent",
        "aws/submit_slots.py",
        "return Slot(number=None, not_before=self.clock.after(delay_s))",
        "return Slot(number=None)",
        SLOTS,
    ),
    Mutant(
        "waiting for its slot counts as a refusal by PoYo",
        "workflows/order.py",
        "refused_at=stamp.now if waits and slot.breaker_open else None",
        "refused_at=stamp.now if waits else None",
        SLOTS,
    ),
    Mutant(
        "orders are accepted beyond half an hour of capacity",
        "aws/submit_slots.py",
        "if max_wait_s is not None and wait_s > max_wait_s:",
        "if False:",
        SLOTS,
    ),
    Mutant(
        "one clock that is ahead holds all submits back",
        "poyo/rate_limit.py",
        "return replace(self, starts=(), passed=self.issued)",
        "return self",
        "unit/poyo/test_rate_limit.py",
    ),
    Mutant(
        "failures of last night open the circuit breaker",
        "poyo/circuit_breaker.py",
        "return self.failures if recent else 0",
        "return self.failures",
        "unit/poyo/test_circuit_breaker.py",
    ),
    Mutant(
        "every order in line is a probe",
        "aws/submit_slots.py",
        "self._put(account, self._probing(queue, number, start), account.breaker)",
        "pass",
        SLOTS,
    ),
    Mutant(
        "a pause sends the waiting orders to the end of the queue",
        "poyo/rate_limit.py",
        "passed = min(self.issued, self.passed + old)",
        "passed = self.issued",
        "unit/poyo/test_rate_limit.py",
    ),
    Mutant(
        "the wait that PoYo named holds for one order only",
        "workflows/submit.py",
        "self.slots.pause(error.wait_s)",
        "pass",
        MODEL,
    ),
    Mutant(
        "an order that comes long after its slot is sent in it all the same",
        "aws/submit_slots.py",
        "return not_before if late_ms <= limits.slot_tolerance_s * 1000 else None",
        "return not_before",
        SLOTS,
    ),
    Mutant(
        "an order that only waited for its slot ends after half an hour",
        "workflows/submit.py",
        "return task.refused_at is not None and self.clock.has_elapsed(task.refused_at, patience_s)",
        "return self.clock.has_elapsed(task.created_at, patience_s)",
        RETRY,
    ),
    Mutant(
        "each refusal is the first one",
        "tasks/transition_writes.py",
        '{"refused_at": task.refused_at or stamp.now}',
        '{"refused_at": stamp.now}',
        RETRY,
    ),
    Mutant(
        "the retry of a refused submit uses the slot of the first one",
        "workflows/order.py",
        "slot_number=slot.number if waits else None",
        "slot_number=slot.number",
        SLOTS,
    ),
    Mutant(
        "a successful probe leaves the circuit breaker open",
        "aws/submit_slots.py",
        "return replace(account, queue=queue, breaker=CircuitBreaker())",
        "return replace(account, queue=queue)",
        SLOTS,
    ),
    Mutant(
        "an outage in which no connection is made leaves the circuit breaker closed",
        "workflows/submit.py",
        "        if error.unreached:\n",
        "        if False:\n",
        MODEL,
    ),
    Mutant(
        "a refusal by a proxy leaves the circuit breaker closed",
        "poyo/responses.py",
        "wait_s=wait_s, unreached=True)",
        "wait_s=wait_s)",
        MODEL,
    ),
    Mutant(
        "a refused order is told to come back after five seconds",
        "api/error_mapping.py",
        "return replace(TOO_MANY_ORDERS, retry_after_s=max(1, math.ceil(error.wait_s)))",
        "return TOO_MANY_ORDERS",
        "integration/handlers/test_api_too_many_orders.py",
    ),
)
