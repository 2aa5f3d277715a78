"""Defects in submitting an order: it is paid once, and an unknown outcome is never submitted again."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

TIME_LEFT_TEST = "integration/workflows/test_time_left.py"
TRANSITIONS_TEST = "integration/aws/test_transitions.py"
CALLBACK_TEST = "integration/workflows/test_callback_before_retry.py"
FAILURES_TEST = "integration/workflows/test_submit_failures.py"

SUBMISSION = (
    Mutant(
        "POST before the item is written",
        "workflows/submit.py",
        "created = self.updater.create(task, limits)",
        "created = (self.submit_to_poyo(task, slot), self.updater.create(task, limits))[1]",
    ),
    Mutant(
        "a submit with an unknown outcome is submitted again",
        "workflows/submit.py",
        "            unknown = self._mark_unknown(task, error.detail, poyo_id=error.poyo_id)\n",
        "            unknown = self._defer(task, 1, error.detail, refused=True)\n",
    ),
    Mutant(
        "a lost response counts as not created",
        "poyo/client.py",
        'raise SubmitOutcomeUnknown(f"answer lost: {error}", poyo_id=named) from error',
        'raise PoyoUnavailable(f"answer lost: {error}") from error',
    ),
    Mutant(
        "5xx counts as not created",
        "poyo/responses.py",
        "        raise SubmitOutcomeUnknown(detail)\n    if not",
        "        raise PoyoUnavailable(detail)\n    if not",
    ),
    Mutant(
        "an accepted order without an id counts as not created",
        "poyo/responses.py",
        "    if answer.code not in REFUSALS:\n",
        "    if answer.code not in (*REFUSALS, SUCCESS):\n",
        "unit/poyo/test_responses.py",
    ),
    Mutant(
        "429 counts as an unknown outcome",
        "poyo/responses.py",
        "if answer.code == 429:",
        "if answer.code == -429:",
        "unit/poyo/test_responses.py",
    ),
    Mutant(
        "a task is written over an existing one",
        "aws/task_repository.py",
        'condition=Condition((absent("pk"),)))',
        "condition=Condition())",
    ),
    Mutant(
        "the same idempotency key creates another task each time",
        "workflows/order.py",
        "task_id = derive_task_id(order.owner, order.idempotency_key)",
        "task_id = derive_task_id(order.owner, stamp.write_token)",
    ),
    Mutant(
        "an idempotency key is shared by all owners",
        "tasks/task.py",
        '["imagetasks task v1", owner, idempotency_key]',
        '["imagetasks task v1", idempotency_key]',
    ),
    Mutant(
        "a worker that lost the transition retry submits all the same",
        "workflows/retry_submission.py",
        "        if attempt.applied:\n",
        "        if attempt.task:\n",
    ),
    Mutant(
        "retry does not compare the attempt",
        "tasks/transitions.py",
        'unchanged=("attempt", "not_before",',
        'unchanged=("not_before",',
        TRANSITIONS_TEST,
    ),
    Mutant(
        "retry does not compare the candidates",
        "tasks/transitions.py",
        '"not_before", "poyo_id", "candidate_poyo_ids", "callback_at"),',
        '"not_before", "poyo_id", "callback_at"),',
        TRANSITIONS_TEST,
    ),
    Mutant(
        "an order that a callback reached is submitted again",
        "workflows/reconcile.py",
        "if task.state in (State.SUBMITTING, State.PENDING):",
        "if False:",
    ),
    Mutant(
        "a callback during the submit does not prevent the next one",
        "workflows/task_updater.py",
        "if current.callback_at or current.candidate_poyo_ids:",
        "if False:",
        CALLBACK_TEST,
    ),
    Mutant(
        "an outcome that lost to a callback is not written again",
        "workflows/task_updater.py",
        "still_open = current.state == State.SUBMITTING and current.attempt == task.attempt",
        "still_open = current.deleted_at != task.deleted_at",
        CALLBACK_TEST,
    ),
    Mutant(
        "an unknown outcome forgets its candidates' due time",
        "tasks/transition_writes.py",
        'values |= {"due_at": stamp.now, "candidate_poyo_ids": candidates}',
        'values |= {"candidate_poyo_ids": candidates}',
        CALLBACK_TEST,
    ),
    Mutant(
        "the id that a doubtful answer named is dropped",
        "workflows/submit.py",
        "error.detail, poyo_id=error.poyo_id)",
        "error.detail)",
        FAILURES_TEST,
    ),
    Mutant(
        "the id that a doubtful answer named is not enqueued",
        "workflows/submit.py",
        "        if poyo_id:\n",
        "        if False:\n",
        FAILURES_TEST,
    ),
    Mutant(
        "our own write is not recognised after a lost response",
        "aws/task_repository.py",
        'return WriteResult(item.get("write_token") == write_token, from_item(item))',
        "return WriteResult(False, from_item(item))",
    ),
    Mutant(
        "a PoYo id that could not be written is not enqueued",
        "workflows/submit.py",
        "if not hurried:",
        "if False:",
    ),
    Mutant(
        "any body code below 400 counts as success",
        "poyo/answer.py",
        "if number == 0 or 200 <= number < 300 else number",
        "if number < 400 else number",
        "unit/poyo/test_responses.py",
    ),
    Mutant(
        "a submission whose sender crashed never expires",
        "workflows/retry_submission.py",
        "if not self.clock.has_elapsed(task.attempted_at, self.clock.limits.submit_lease_s):",
        "if True:",
    ),
    Mutant(
        "PoYo's own message is logged",
        "workflows/submit.py",
        'telemetry.alarm("poyo_account_rejected", task_id=task.task_id, reason=error.reason)',
        'telemetry.alarm("poyo_account_rejected", task_id=task.task_id, reason=error.detail)',
    ),
    Mutant(
        "a recently read secret is not read again after PoYo rejected its key",
        "aws/secrets.py",
        "self.secret.force_refresh()",
        "self.secret.get(max_age_s=REFRESH_AFTER_S)",
    ),
    Mutant(
        "a paid request begins however little time is left",
        "workflows/submit.py",
        "if self.clock.time_left_s() < self.clock.limits.submit_needs_s:",
        "if False:",
        TIME_LEFT_TEST,
    ),
    Mutant(
        "the time that keys take is taken for time of the paid request",
        "workflows/submit.py",
        "        self.require_credentials()  # before the time is asked",
        "        # before the time is asked",
        TIME_LEFT_TEST,
    ),
    Mutant(
        "a success is counted before PoYo's id is recorded",
        "workflows/submit.py",
        """        confirmed = self._confirm(task, poyo_id)
        if slot.after_failures:
            self._record_breaker_outcome(succeeded=True)
        return confirmed
""",
        """        if slot.after_failures:
            self._record_breaker_outcome(succeeded=True)
        return self._confirm(task, poyo_id)
""",
        TIME_LEFT_TEST,
    ),
    Mutant(
        "the id of a paid task waits for a write that may take the rest of the time",
        "workflows/submit.py",
        "hurried = self.clock.time_left_s() < 2 * self.clock.limits.aws_call_s",
        "hurried = False",
        TIME_LEFT_TEST,
    ),
    Mutant(
        "a download may take the time to store its image",
        "workflows/copy_images.py",
        "within_s = self.clock.time_left_s() - self.clock.limits.store_needs_s",
        "within_s = self.clock.time_left_s()",
        TIME_LEFT_TEST,
    ),
)
