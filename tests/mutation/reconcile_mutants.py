"""Defects in reconciling: nothing paid is lost, every task ends, and it ends once."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

DEAD_WORKER_TEST = "integration/workflows/test_dead_worker.py"
NEXT_STEP_TEST = "unit/workflows/test_next_step.py"
TRANSITIONS_TEST = "integration/aws/test_transitions.py"
REASONS_TEST = "unit/tasks/test_failure_reasons.py"
POLLING_TEST = "integration/workflows/test_reconcile_polling.py"
COPY_TEST = "integration/workflows/test_copy_images.py"
RECONCILE_TEST = "integration/workflows/test_reconcile.py"
FLOOD_TEST = "integration/workflows/test_callback_floods.py"
CONFIRM_TEST = "integration/workflows/test_confirm_poyo_id.py"
CALLBACK_TEST = "integration/workflows/test_callback_before_retry.py"
SIMULATED_TABLE_TEST = "engine/test_simulated_table.py"

RECONCILE = (
    Mutant(
        "a task finishes before its image is stored",
        "workflows/copy_images.py",
        "            return self.images.put(task.task_id, n, download)\n",
        "            from imagetasks.tasks.task import StoredImage\n\n"
        '            return StoredImage(key=f"images/{task.task_id}/{n}", content_type="image/png", '
        "bytes=download.bytes, width=1, height=1, sha256=download.sha256)\n",
    ),
    Mutant(
        "an image is written twice", "aws/image_bucket.py", '            IfNoneMatch="*",\n', ""
    ),
    Mutant(
        "an image without its last bytes is accepted",
        "tasks/image_format.py",
        "if chunk == PNG_TAIL:",
        'if chunk[4:8] == b"IEND":',
        "unit/tasks/test_image_format.py",
    ),
    Mutant(
        "what follows an image is stored with it",
        "outbound/download.py",
        "        file.truncate(size)\n",
        "",
        "integration/outbound/test_download.py",
    ),
    Mutant(
        "the end of a thumbnail ends its JPEG",
        "tasks/image_format.py",
        "        position += length\n",
        "        position += min(length, 2)\n",
        "unit/tasks/test_image_format.py",
    ),
    Mutant(
        "a WebP whose header names less than its image is accepted",
        "tasks/image_format.py",
        "        if content_end > end:\n",
        "        if content_end > blocks.size:\n",
        "unit/tasks/test_image_format.py",
    ),
    Mutant(
        "an unconfirmed failure is final",
        "tasks/failure_reasons.py",
        'come since.",\n        retryable=True,\n        charged=None,\n        recoverable=True,',
        'come since.",\n        retryable=True,\n        charged=None,',
    ),
    Mutant(
        "a candidate that a concurrent write kept out of the item is dropped",
        "workflows/admit_callback.py",
        'self.updater.enqueue(message, delay_s=1, on_failure="raise")',
        "pass",
        CONFIRM_TEST,
    ),
    Mutant(
        "a new candidate gets only the checks that earlier ones have left",
        "workflows/admit_callback.py",
        "if task.is_final or not late:",
        "if False:",
        CONFIRM_TEST,
    ),
    Mutant(
        "a status that lags ends the task in spite of its callback",
        "workflows/poll_status.py",
        'if message.source == "callback" or self._result_was_seen(task):',
        "if self._result_was_seen(task):",
        POLLING_TEST,
    ),
    Mutant(
        "a candidate that was stored meanwhile does not prevent a failure",
        "tasks/transitions.py",
        '            "candidate_poyo_ids",\n            "callback_at",\n            "result_seen_at",',
        '            "callback_at",\n            "result_seen_at",',
        TRANSITIONS_TEST,
    ),
    Mutant(
        "a result that was seen meanwhile does not prevent a failure",
        "tasks/transitions.py",
        '            "result_seen_at",\n',
        "",
        TRANSITIONS_TEST,
    ),
    Mutant(
        "a candidate is dropped while PoYo is merely away",
        "workflows/confirm_poyo_id.py",
        "            except PoyoUnavailable:\n                all_unknown = False\n",
        "            except PoyoUnavailable:\n                continue\n",
        CONFIRM_TEST,
    ),
    Mutant(
        "a task is unconfirmed after two minutes",
        "limits.py",
        "unconfirmed_after_s: int = 60 * 60",
        "unconfirmed_after_s: int = 2 * 60",
        "repository/test_documented_times.py",
    ),
    Mutant(
        "a bad result is final",
        "tasks/failure_reasons.py",
        "        charged=True,\n        recoverable=True,\n    ),",
        "        charged=True,\n    ),",
        REASONS_TEST,
    ),
    Mutant(
        "a failure that one poll reported is believed",
        "workflows/poll_status.py",
        "if task.failure_seen_at is None:",
        "if False:",
        POLLING_TEST,
    ),
    Mutant(
        "a duplicate message confirms a failure",
        "workflows/poll_status.py",
        "elif self.clock.has_elapsed(task.failure_seen_at, confirm_s):",
        "else:",
        POLLING_TEST,
    ),
    Mutant(
        "credits that PoYo named for a failed task are dropped",
        "workflows/poll_status.py",
        "detail=status.error, charged_credits=status.credits",
        "detail=status.error",
        POLLING_TEST,
    ),
    Mutant(
        "credits that PoYo named for a bad result are dropped",
        "workflows/copy_images.py",
        "                charged_credits=status.credits,\n",
        "",
        COPY_TEST,
    ),
    Mutant(
        "a page instead of an image is given up after a few copies",
        "workflows/copy_images.py",
        "if seen_at is None or not",
        "if seen_at is None or task.copy_attempts < 8 and not",
        COPY_TEST,
    ),
    Mutant(
        "a task that PoYo does not answer for never ends",
        "workflows/poll_status.py",
        "        if self._has_timed_out(task, message):\n            delay_s",
        "        if False:\n            delay_s",
        POLLING_TEST,
    ),
    Mutant(
        "every poll alarms of a rejected account",
        "workflows/poll_status.py",
        "task.poll_alarm_at or 0, again_s",
        "0, again_s",
        POLLING_TEST,
    ),
    Mutant(
        "timed_out is counted from the creation",
        "workflows/poll_status.py",
        "task.confirmed_at or task.attempted_at",
        "task.created_at",
        POLLING_TEST,
    ),
    Mutant(
        "a callback an hour keeps a task running for ever",
        "workflows/poll_status.py",
        "patience_s = limits.callback_extends_s if expected",
        "patience_s = 10**9 if expected",
        POLLING_TEST,
    ),
    Mutant(
        "a result that PoYo had shown is forgotten",
        "workflows/poll_status.py",
        "seen_at, trusted_s = task.result_seen_at, ",
        "seen_at, trusted_s = None, ",
        POLLING_TEST,
    ),
    Mutant(
        "a second PoYo task of an order raises no alarm",
        "workflows/reconcile.py",
        "or not taken:",
        "or taken:",
        CONFIRM_TEST,
    ),
    Mutant(
        "the other candidates of a confirmed task are forgotten",
        "workflows/task_updater.py",
        "                if other != poyo_id:",
        "                if False:",
        CALLBACK_TEST,
    ),
    Mutant(
        "lateness counts from the last claim",
        "workflows/sweep.py",
        "now - due.due_since",
        "now - due.due_at",
        DEAD_WORKER_TEST,
    ),
    Mutant(
        "a message of a step that was already taken polls PoYo again",
        "workflows/reconcile.py",
        "if message.due_since not in (None, task.due_since):",
        "if False:",
        DEAD_WORKER_TEST,
    ),
    Mutant(
        "a message is stale once a claim has moved its task",
        "workflows/reconcile.py",
        "if message.due_since not in (None, task.due_since):",
        "if message.due_since not in (None, task.due_at):",
        DEAD_WORKER_TEST,
    ),
    Mutant(
        "a claim does not move due_at",
        "workflows/sweep.py",
        "until=clock.after(clock.limits.claim_s)",
        "until=due.due_at",
    ),
    Mutant(
        "a claim succeeds whatever due_at is",
        "aws/task_repository.py",
        'condition = Condition((equals("due_at", due.due_at),))',
        "condition = Condition()",
    ),
    Mutant(
        "a failed task stays in the due index",
        "tasks/transition_writes.py",
        'return {}, ("due_at", "due_shard")',
        "return {}, ()",
    ),
    Mutant(
        "reschedule does not compare state and due_at",
        "tasks/transitions.py",
        '            "state",\n            "due_at",\n            "poyo_id",\n',
        '            "poyo_id",\n',
        TRANSITIONS_TEST,
    ),
    Mutant(
        "confirm_submission replaces the id of a task that has one",
        "tasks/transition_writes.py",
        'tests=(absent("poyo_id"),),',
        "tests=(),",
        # No workflow confirms a task that has an id: the condition is a second safeguard.
        "integration/aws/test_transitions.py",
    ),
    Mutant(
        "a PoYo id changes its task",
        "aws/task_repository.py",
        '            any_of=((absent("task_id"), *named_by), (equals("task_id", write.task_id),))\n',
        "",
    ),
    Mutant(
        "a transition leaves any state",
        "tasks/transition_write.py",
        "condition=Condition((exists, *as_read, *tests), leaves(transition)),",
        "condition=Condition((exists, *as_read, *tests)),",
    ),
    Mutant(
        "OR without parentheses",
        "aws/expressions.py",
        'any_of = f"({any_of})"',
        "pass",
        SIMULATED_TABLE_TEST,
    ),
    Mutant(
        "a condition needs all of its alternatives",
        "tasks/conditional_write.py",
        "any(_all_true(group, item) for group in self.any_of)",
        "all(_all_true(group, item) for group in self.any_of)",
        SIMULATED_TABLE_TEST,
    ),
    # The order of the cases of `next_step`
    Mutant(
        "the caller of a deleted task is notified before its images are erased",
        "workflows/reconcile.py",
        "    if task.is_final and task.deleted_at is not None:\n        return Step.ERASE_IMAGES\n"
        '    from_poyo = message.source == "callback" or message.poyo_id is not None\n'
        "    if not from_poyo and notification_is_due(task, now_ms=now_ms):\n"
        "        return Step.NOTIFY_CALLER\n",
        '    from_poyo = message.source == "callback" or message.poyo_id is not None\n'
        "    if not from_poyo and notification_is_due(task, now_ms=now_ms):\n"
        "        return Step.NOTIFY_CALLER\n"
        "    if task.is_final and task.deleted_at is not None:\n        return Step.ERASE_IMAGES\n",
        NEXT_STEP_TEST,
    ),
    Mutant(
        "the images of a deleted task are erased before it ends",
        "workflows/reconcile.py",
        "if task.is_final and task.deleted_at is not None:",
        "if task.deleted_at is not None:",
        NEXT_STEP_TEST,
    ),
    Mutant(
        "a callback notifies the caller before PoYo is polled",
        "workflows/reconcile.py",
        "if not from_poyo and notification_is_due(task, now_ms=now_ms):",
        "if notification_is_due(task, now_ms=now_ms):",
        NEXT_STEP_TEST,
    ),
    Mutant(
        "a final failure is polled",
        "workflows/reconcile.py",
        "if task.is_final and not is_recoverable(task):",
        "if task.state == State.FINISHED:",
        NEXT_STEP_TEST,
    ),
    Mutant(
        "a candidate is confirmed for a task that has PoYo's id",
        "workflows/reconcile.py",
        "if task.poyo_id is not None:",
        "if task.poyo_id is not None and message.poyo_id is None:",
        NEXT_STEP_TEST,
    ),
    Mutant(
        "a submission expires although a candidate is known",
        "workflows/reconcile.py",
        "if message.poyo_id or task.candidate_poyo_ids:",
        "if (message.poyo_id or task.candidate_poyo_ids) and task.state == State.FAILED:",
        NEXT_STEP_TEST,
    ),
    Mutant(
        "forged ids evict the oldest candidates",
        "workflows/admit_callback.py",
        "(*ids[:2], *ids[-2:])",
        "ids[-4:]",
        CONFIRM_TEST,
    ),
    Mutant(
        "forged ids evict the newest candidates",
        "workflows/admit_callback.py",
        "(*ids[:2], *ids[-2:])",
        "ids[:4]",
        CONFIRM_TEST,
    ),
    Mutant(
        "the id of PoYo's answer is treated like that of a callback",
        "workflows/admit_callback.py",
        "ids = (poyo_id, *known) if answered",
        "ids = (*known, poyo_id) if answered",
        CONFIRM_TEST,
    ),
    Mutant(
        "every callback causes a poll",
        "workflows/admit_callback.py",
        'if wait_ms <= 0 or message.source == "submit":',
        "if True:",
        FLOOD_TEST,
    ),
    Mutant(
        "a callback within the gap causes no later poll",
        "workflows/admit_callback.py",
        "elif _has_ended(task) or (self._is_due_soon(task, wait_ms) and not facts):",
        "elif not facts:",
        FLOOD_TEST,
    ),
    Mutant(
        "each callback within the gap schedules a poll",
        "workflows/admit_callback.py",
        "return task.due_at is not None and task.due_at <= latest",
        "return False",
        FLOOD_TEST,
    ),
    Mutant(
        "an id that a callback named is confirmed while PoYo works on it",
        "workflows/confirm_poyo_id.py",
        "if status.status not in FINAL_STATUSES:",
        "if False:",
        CONFIRM_TEST,
    ),
    Mutant(
        "an id that a callback named is confirmed before its own task may name it",
        "workflows/confirm_poyo_id.py",
        "return self.clock.has_elapsed(named_at, self.clock.limits.candidate_hold_s)",
        "return True",
        CONFIRM_TEST,
    ),
    Mutant(
        "an id named for two tasks is confirmed for the first",
        "aws/task_repository.py",
        'values={"named_by": SEVERAL}',
        "values={}",
        CONFIRM_TEST,
    ),
    Mutant(
        "forged ids keep a task open",
        "workflows/confirm_poyo_id.py",
        "elif late and task.state == State.UNKNOWN:",
        "elif False:",
        CONFIRM_TEST,
    ),
    Mutant(
        "a result that PoYo showed after two days ends with the next poll",
        "workflows/poll_status.py",
        "if task.is_final or self._result_was_seen(task):",
        "if task.is_final:",
        POLLING_TEST,
    ),
    Mutant(
        "a clock that was a year ahead keeps a task open",
        "workflows/poll_status.py",
        "abs(self.clock.now_ms() - seen_at)",
        "self.clock.now_ms() - seen_at",
        POLLING_TEST,
    ),
    Mutant(
        "zero credits that PoYo named are taken for none",
        "workflows/poll_status.py",
        "next(each for each in named if each is not None)",
        "next(each for each in named if each)",
        POLLING_TEST,
    ),
    Mutant(
        "only the first callback for a failed task gets two polls",
        "workflows/poll_status.py",
        "self.updater.reschedule(task, due_at=None, failure_seen_at=None)",
        "self.updater.reschedule(task, due_at=None)",
        RECONCILE_TEST,
    ),
    Mutant(
        "a task that failed keeps the first of its two polls",
        "tasks/transition_writes.py",
        '"slot_number", "failure_seen_at"),\n        tests',
        '"slot_number"),\n        tests',
        RECONCILE_TEST,
    ),
    Mutant(
        "callbacks in time with failing copies keep a task open",
        "workflows/copy_images.py",
        "if runs and not result.applied:",
        "if False:",
        COPY_TEST,
    ),
    Mutant(
        "the candidates of an unconfirmed task are not checked on",
        "workflows/confirm_poyo_id.py",
        "again_at=self.clock.after(delay_s),",
        "again_at=None,",
        CONFIRM_TEST,
    ),
    Mutant(
        "a task that timed out without an answer is not polled again",
        "workflows/poll_status.py",
        "again_at=self.clock.after(delay_s)",
        "again_at=None",
        POLLING_TEST,
    ),
    Mutant(
        "a failed copy is written onto a task that another worker has finished",
        "workflows/copy_images.py",
        "runs = current.state == State.RUNNING and current.result_seen_at is None",
        "runs = current.result_seen_at is None",
        COPY_TEST,
    ),
    Mutant(
        "credits that PoYo names after a failure are forgotten",
        "workflows/copy_images.py",
        "due_at=None, **_named_credits(status)",
        "due_at=None",
        COPY_TEST,
    ),
    Mutant(
        "a second id that comes soon after another callback is forgotten",
        "workflows/admit_callback.py",
        "            elif _is_second_id(task, message):",
        "            elif False:",
        FLOOD_TEST,
    ),
    Mutant(
        "each of many second ids causes a request",
        "workflows/admit_callback.py",
        "if now < (task.callback_poll_at or 0) <= now + wait_ms:",
        "if False:",
        FLOOD_TEST,
    ),
    Mutant(
        "new forged ids at each check keep a task open",
        "workflows/admit_callback.py",
        "if not task.is_final and self.clock.has_elapsed(open_since, limits.timed_out_after_s):",
        "if False:",
        FLOOD_TEST,
    ),
    Mutant(
        "a submit that PoYo refused meanwhile becomes unknown",
        "tasks/transitions.py",
        'unchanged=("state", "attempt", "candidate_poyo_ids", "callback_at"),',
        'unchanged=("attempt", "candidate_poyo_ids", "callback_at"),',
        TRANSITIONS_TEST,
    ),
    Mutant(
        "an amount that PoYo named does not decide whether a failure was charged",
        "tasks/failure_reasons.py",
        "    if task.charged_credits is not None:\n        return",
        "    if False:\n        return",
        "unit/api/test_schemas.py",
    ),
)
