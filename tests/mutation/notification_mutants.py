"""Defects in notifying the caller: each attempt is claimed, and there are six at most."""

from __future__ import annotations

from tests.mutation.mutant import Mutant

NOTIFY_TEST = "integration/workflows/test_notify_caller.py"

NOTIFICATION = (
    Mutant(
        "a notification is sent before its attempt is claimed",
        "workflows/notify_caller.py",
        "        claim = self.updater.retry_in(\n",
        "        self._send(task)\n        claim = self.updater.retry_in(\n",
    ),
    Mutant(
        "a notification is sent although another worker has the claim",
        "workflows/notify_caller.py",
        "        if not claim.applied:\n            return\n",
        "",
        NOTIFY_TEST,
    ),
    Mutant(
        "a late message makes an attempt that is not due yet",
        "workflows/notify_caller.py",
        "if notification_is_due(task, now_ms=self.clock.now_ms()):",
        "if task.notification_attempts is not None:",
        NOTIFY_TEST,
    ),
    Mutant(
        "the notifications of all receivers are one message group",
        "aws/task_queue.py",
        "host = urlsplit(str(task.notification_url)).netloc",
        'host = ""',
        "integration/aws/test_task_queue.py",
    ),
    Mutant(
        "the end of a task sets no notification",
        "tasks/transition_writes.py",
        "if task.notification_url and notify:",
        "if False:",
    ),
    Mutant(
        "a notification is due before the task has ended",
        "tasks/task.py",
        "pending = task.notification_attempts is not None and task.is_final",
        "pending = task.notification_attempts is not None or task.is_final",
    ),
    Mutant(
        "a notification is abandoned after the first failure",
        "workflows/notify_caller.py",
        "if attempts < len(waits_s):",
        "if False:",
    ),
    Mutant(
        "a notification is attempted a seventh time",
        "workflows/notify_caller.py",
        "if attempts > len(",
        "if attempts > 1 + len(",
        NOTIFY_TEST,
    ),
    Mutant(
        "a task without any id stays in the due index after its notification",
        "workflows/notify_caller.py",
        "if is_recoverable(task) and has_id else None",
        "if is_recoverable(task) else None",
    ),
    Mutant(
        "every notification is signed with some owner's key",
        "aws/secrets.py",
        "return _optional(keys, owner.partition(OWNER_SEPARATOR)[0])",
        'return str(next(iter(keys.values()), ""))',
    ),
    Mutant(
        "a notification may be sent to any host",
        "outbound/notifications.py",
        "return resolve_target(url, hosts=self.hosts, resolve=self.resolve)",
        'return resolve_target(url, hosts=("*",), resolve=self.resolve)',
        "integration/outbound/test_notification_targets.py",
    ),
    Mutant(
        "an order may name any host as its callback_url",
        "outbound/notifications.py",
        "parse_target(url, hosts=self.hosts)",
        'parse_target(url, hosts=("*",))',
        "integration/outbound/test_notification_targets.py",
    ),
)
