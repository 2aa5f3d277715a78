"""Defects in TaskUpdater: concurrent deletions, due times, task messages and failed enqueues."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

APPLY_TEST = "integration/workflows/test_task_updater.py"
ENQUEUE_TEST = "integration/workflows/test_task_updater_enqueue.py"

UPDATER = (
    Mutant(
        "an outcome that lost to a deletion is not written again",
        "workflows/task_updater.py",
        "return self.settle(current, make) if still_open and not result.applied else current",
        "return current",
        # In the simulation the task ends all the same, only later.
        "integration/workflows/test_erase_images_concurrently.py",
    ),
    Mutant(
        "PoYo's id that lost to a deletion is not written again",
        "workflows/task_updater.py",
        "if not result.applied and _may_confirm(result.task, read=task):",
        "if False:",
        "integration/workflows/test_erase_images_concurrently.py",
    ),
    Mutant(
        "an outcome that could not be written raises",
        "workflows/task_updater.py",
        "except DatabaseUnavailable:",
        "except QueueUnavailable:",
        APPLY_TEST,
    ),
    Mutant(
        "the end of a task that is still due is not enqueued",
        "workflows/task_updater.py",
        "if result.applied and write.name in END_METRICS and is_due:",
        "if False:",
        APPLY_TEST,
    ),
    Mutant(
        "every transition of a due task is enqueued",
        "workflows/task_updater.py",
        "if result.applied and write.name in END_METRICS and is_due:",
        "if result.applied and is_due:",
        APPLY_TEST,
    ),
    Mutant(
        "a retry that lost to a concurrent write is enqueued",
        "workflows/task_updater.py",
        "if result.applied and delay_s <= self._fallback_s:",
        "if delay_s <= self._fallback_s:",
        ENQUEUE_TEST,
    ),
    Mutant(
        "the sweep does not wait for the delayed message of a retry",
        "workflows/task_updater.py",
        "(self._fallback_s if delay_s <= self._fallback_s else 0)",
        "0",
        ENQUEUE_TEST,
    ),
    Mutant(
        "a pending notification is removed from the due index",
        "workflows/task_updater.py",
        "if due_at is None and attempts is not None:",
        "if False:",
    ),
    Mutant(
        "a failed enqueue is never raised",
        "workflows/task_updater.py",
        'if on_failure == "raise":',
        "if False:",
        ENQUEUE_TEST,
    ),
    Mutant(
        "the loss of a PoYo id raises no alarm",
        "workflows/task_updater.py",
        'if on_failure == "alarm":',
        "if False:",
        ENQUEUE_TEST,
    ),
    Mutant(
        "a lost transition is counted as an end",
        "workflows/task_updater.py",
        "if result.applied and name in END_METRICS:",
        "if name in END_METRICS:",
        APPLY_TEST,
    ),
)
