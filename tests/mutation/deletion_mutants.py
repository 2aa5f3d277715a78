"""Defects in deleting tasks and in the owners' reads and lists."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

ERASE_TEST = "integration/workflows/test_erase_images.py"

DELETION = (
    Mutant(
        "a transition does not notice a concurrent deletion",
        "tasks/transition_write.py",
        'compared = ("deleted_at", *transition.unchanged)',
        "compared = transition.unchanged",
    ),
    Mutant(
        "PoYo's message about a deleted order is stored",
        "tasks/transition_write.py",
        "if task.deleted_at is not None:  # PoYo's words",
        "if False:  # PoYo's words",
        ERASE_TEST,
    ),
    Mutant(
        "a deletion keeps the order",
        "tasks/transition_writes.py",
        '"input": {}, "metadata": {}}',
        '"metadata": {}}',
    ),
    Mutant(
        "file URLs work after a deletion",
        "tasks/transition_writes.py",
        '            "file_url_key",\n',
        "",
    ),
    Mutant(
        "a deleted task stays in its owner's lists",
        "tasks/transition_writes.py",
        '            "owner_key",\n            "owner_status_key",\n',
        "",
    ),
    Mutant(
        "a pending order is submitted after its deletion",
        "workflows/retry_submission.py",
        "if task.deleted_at is not None:",
        "if False:",
    ),
    Mutant(
        "the image of a deleted task is copied",
        "workflows/copy_images.py",
        "        if task.deleted_at is not None:\n            return ()\n",
        "",
        ERASE_TEST,
    ),
    Mutant(
        "a deleted task is marked as erased although its images stay",
        "workflows/erase_images.py",
        "    images.delete_all(task.task_id)\n",
        "",
    ),
    Mutant(
        "images are erased only once",
        "workflows/erase_images.py",
        "if clock.has_elapsed(deleted_at, again_s):",
        "if True:",
        ERASE_TEST,
    ),
    Mutant(
        "images are erased again before a copying worker must have ended",
        "limits.py",
        "erase_again_s: int = 15 * 60",
        "erase_again_s: int = 2 * 60",
        ERASE_TEST,
    ),
    Mutant(
        "an image that S3 could not delete is not noticed",
        "aws/image_bucket.py",
        'if errors := response.pop("Errors", None):',
        'if errors := response.pop("errors", None):',
        "integration/aws/test_image_bucket.py",
    ),
    Mutant(
        "every owner may delete every task",
        "workflows/owner_tasks.py",
        "        if task.owner != owner:\n            raise TaskNotFound(task_id)\n        if",
        "        if",
    ),
    Mutant(
        "a deleted task can be read",
        "workflows/owner_tasks.py",
        "    return task.owner == owner and task.deleted_at is None\n",
        "    return task.owner == owner\n",
    ),
    Mutant(
        "a wait for a change never ends",
        "workflows/owner_tasks.py",
        "return is_over(found) or self.clock.now_ms() >= until",
        "return is_over(found)",
    ),
    Mutant(
        "a replay of a deleted order returns its task",
        "workflows/place_order.py",
        "        if task.deleted_at is not None:\n",
        "        if False:\n",
        "integration/handlers/test_api_tasks.py",
    ),
    # Lists
    Mutant(
        "a page contains deleted tasks",
        "aws/task_repository.py",
        "[each for each in tasks if each.deleted_at is None]",
        "tasks",
    ),
    Mutant(
        "the list of running tasks contains those that have not started",
        "aws/task_repository.py",
        "tuple(each for each in shown if status in (None, each.status))",
        "tuple(shown)",
        "integration/handlers/test_api_tasks.py",
    ),
    Mutant(
        "a page begins with the last task of the page before",
        "aws/task_repository.py",
        "ListPosition(int(keys[-1]",
        "ListPosition(1 + int(keys[-1]",
    ),
    Mutant(
        "a page leaves out a task",
        "aws/task_repository.py",
        "ListPosition(int(keys[-1]",
        "ListPosition(-1 + int(keys[-1]",
        "engine/test_simulated_table.py",  # only tasks created at one instant are left out
    ),
    Mutant(
        "the list by status contains another owner's tasks",
        "aws/task_repository.py",
        "owner_status_key(status, owner) if status",
        'owner_status_key(status, "owner0") if status',
    ),
    Mutant(
        "the list by status does not follow the state",
        "tasks/transition_write.py",
        'return state | {"owner_status_key": owner_status_key(status, task.owner)}',
        "return state",
    ),
)
