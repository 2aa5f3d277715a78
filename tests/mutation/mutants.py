"""The breakages: what is broken, where, and who is expected to notice."""

from __future__ import annotations

from dataclasses import dataclass

SIMULATION = "simulation"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old`, which occurs once in `file`, becomes `new`; `catcher` is the simulation or a test."""

    name: str
    file: str
    old: str
    new: str
    catcher: str = SIMULATION


MUTANTS = (
    # Paid once
    Mutant(
        "POST before the row",
        "workflows/submit.py",
        "outcome = self.store.create(task)",
        "outcome = (self.send(task, self.turn()), self.store.create(task))[1]",
    ),
    Mutant(
        "an unclear submit is sent again",
        "workflows/submit.py",
        "return self._doubt(task, error.detail)\n        if",
        "return self._defer(task, 1, error.detail)\n        if",
    ),
    Mutant(
        "a lost answer counts as not created",
        "poyo/client.py",
        'raise SubmitUnknown(f"answer lost: {error}") from error',
        'raise PoyoUnavailable(f"answer lost: {error}") from error',
    ),
    Mutant(
        "5xx counts as not created",
        "poyo/client.py",
        "    raise SubmitUnknown(detail)",
        "    raise PoyoUnavailable(detail)",
    ),
    Mutant(
        "accepted without an id counts as not created",
        "poyo/client.py",
        'raise SubmitUnknown("accepted without a usable id")',
        'raise PoyoUnavailable("accepted without a usable id")',
    ),
    Mutant(
        "a task is written over an earlier one",
        "aws/task_repository.py",
        'condition=Condition((absent("pk"),))))',
        "condition=Condition()))",
    ),
    Mutant(
        "the same key makes another task each time",
        "workflows/submit.py",
        "task_id = derive_task_id(order.owner, order.idempotency_key)",
        "task_id = derive_task_id(order.owner, at.stamp)",
    ),
    Mutant(
        "an owner's key is everybody's",
        "tasks/task.py",
        '["imagetasks task v1", owner, idempotency_key]',
        '["imagetasks task v1", idempotency_key]',
    ),
    Mutant(
        "another body under the same key passes",
        "workflows/submit.py",
        "if outcome.task.fingerprint != task.fingerprint:",
        "if False:",
    ),
    Mutant(
        "who lost T4 sends all the same",
        "workflows/reconcile.py",
        "        if attempt.won:\n",
        "        if attempt.task:\n",
    ),
    Mutant(
        "T4 does not compare the attempt",
        "tasks/transitions.py",
        'event="retried",\n        same=("attempt",),',
        'event="retried",\n        same=(),',
    ),
    Mutant(
        "our own lost write is taken for somebody else's",
        "aws/task_repository.py",
        'return Outcome(row.get("stamp") == stamp, from_row(row))',
        "return Outcome(False, from_row(row))",
    ),
    # Nothing paid is lost
    Mutant(
        "`finished` before the image is ours",
        "workflows/reconcile.py",
        "            return self.images.put(task.task_id, n, download)",
        '            return KeptFile(key=f"images/{task.task_id}/{n}", content_type="image/png", '
        "bytes=download.bytes, width=1, height=1, sha256=download.sha256)",
    ),
    Mutant(
        "an image is written twice", "aws/image_bucket.py", '            IfNoneMatch="*",\n', ""
    ),
    Mutant(
        "an unconfirmed task is final",
        "tasks/failure_reasons.py",
        'come since.",\n        retryable=True,\n        charged=None,\n        soft=True,',
        'come since.",\n        retryable=True,\n        charged=None,',
    ),
    Mutant(
        "an id is dropped when its row was moved",
        "workflows/reconcile.py",
        "if ring.poyo_id and stands.poyo_id is None and ring.poyo_id not in stands.hints:",
        "if False:",
    ),
    Mutant(
        "an id inherits the patience others have used up",
        "workflows/reconcile.py",
        "looks, denied = (0, 0) if fresh else (task.looks, task.denied)",
        "looks, denied = task.looks, task.denied",
    ),
    Mutant(
        "a status that lags ends the task in spite of its callback",
        "workflows/reconcile.py",
        'return ring.by == "callback" or any(fresh)',
        "return False",
    ),
    Mutant(
        "a hint that arrived meanwhile does not stop a failure",
        "tasks/transitions.py",
        'same=("state", "attempt", "poyo_id", "hints"),',
        'same=("state", "attempt", "poyo_id"),',
    ),
    Mutant(
        "an id that could not be written is not rung for",
        "workflows/submit.py",
        'self._ring(Ring(task_id=task.task_id, by="submit", poyo_id=poyo_id))',
        "pass",
    ),
    Mutant(
        "a young reading of a rotated key is not read again",
        "aws/secrets.py",
        "self.secret.renew()",
        "self.secret.values(max_age_s=RENEW_AFTER_S)",
    ),
    # Every task ends, once
    Mutant(
        "a claim does not move the look",
        "workflows/sweep.py",
        "until=pace.after(pace.limits.claim_s)",
        "until=due.due_at",
    ),
    Mutant(
        "a claim takes whatever it finds",
        "aws/task_repository.py",
        'same = Condition((equals("due_at", due.due_at),))',
        "same = Condition()",
    ),
    Mutant(
        "what failed stays on the to-do list",
        "tasks/transitions.py",
        'return {}, ("due_at", "due_shard")',
        "return {}, ()",
    ),
    Mutant(
        "a move does not look at what it moves",
        "tasks/transitions.py",
        'same=("state", "due_at"),',
        "same=(),",
    ),
    Mutant(
        "nobody follows up a sender that went away",
        "workflows/reconcile.py",
        "if not self.pace.older(task.sent_at, limits.submit_overdue_s):",
        "if True:",
    ),
    Mutant(
        "T1 does not mind a task that has an id",
        "tasks/transitions.py",
        '(absent("poyo_id"),), {"source": how})',
        '(), {"source": how})',
        "integration/aws/test_transitions.py",  # no path leads there: the clause is a second lock
    ),
    Mutant(
        "a PoYo id changes hands",
        "aws/task_repository.py",
        'free = Condition(either=((absent("pk"),), (equals("task_id", change.task_id),)))',
        "free = Condition()",
    ),
    Mutant(
        "a transition from any state",
        "tasks/transitions.py",
        "return (*states, soft) if transition.from_soft_failure else states",
        "return ()",
    ),
    # Nobody gets in
    Mutant(
        "the capability is not compared",
        "tasks/signed_urls.py",
        "return hmac.compare_digest(expected, presented) and bool(keys.get(kid))",
        "return bool(keys.get(kid))",
    ),
    Mutant(
        "PoYo's signature is not checked",
        "workflows/receive_callback.py",
        "if webhook_key and poyo_id and not poyo.signed(webhook_key, poyo_id, callback.headers):",
        "if False:",
    ),
    Mutant(
        "an id is believed without asking PoYo",
        "workflows/reconcile.py",
        "                self.poyo.status(poyo_id)\n",
        "",
    ),
    Mutant(
        "PoYo's own words are logged",
        "workflows/submit.py",
        'telemetry.page("account_refused", task_id=task.task_id, reason=error.reason)',
        'telemetry.page("account_refused", task_id=task.task_id, reason=error.detail)',
    ),
    # What the simulation has no eyes for
    Mutant(
        "429 counts as unclear",
        "poyo/client.py",
        "if code == 429:",
        "if code == -429:",
        "unit/poyo/test_responses.py",
    ),
    Mutant(
        "a private address is connected to",
        "outbound/url_policy.py",
        "if not addresses or not all(map(public, addresses)):",
        "if not addresses:",
        "integration/outbound/test_download.py",
    ),
    Mutant(
        "a picture without its end passes",
        "tasks/image_format.py",
        "if tail != PNG_TAIL:",
        "if False:",
        "unit/tasks/test_image_format.py",
    ),
    Mutant(
        "OR without parentheses",
        "aws/table.py",
        'either = f"({either})"',
        "pass",
        "integration/aws/test_simulated_table.py",
    ),
    Mutant(
        "one alternative of a condition is enough for none",
        "tasks/conditional_write.py",
        "any(_all(each, row) for each in self.either)",
        "all(_all(each, row) for each in self.either)",
        "integration/aws/test_simulated_table.py",
    ),
    Mutant(
        "the window has room for everybody",
        "poyo/rate_limit.py",
        "and self.sent <= room:",
        "and self.sent:",
        "integration/workflows/test_rate_limit.py",
    ),
    # Deleted means gone
    Mutant(
        "nobody minds that a task was deleted meanwhile",
        "tasks/transitions.py",
        'seen = ("deleted_at", *transition.same)',
        "seen = transition.same",
    ),
    Mutant(
        "what PoYo says of a deleted order is written down",
        "tasks/transitions.py",
        'return {k: v for k, v in values.items() if k != "detail" or task.deleted_at is None}',
        "return dict(values)",
        "integration/workflows/test_notify_caller.py",
    ),
    Mutant(
        "a deletion keeps the order",
        "tasks/transitions.py",
        '"input": {}, "metadata": {}}',
        '"metadata": {}}',
    ),
    Mutant(
        "links outlive a deletion",
        "tasks/transitions.py",
        'gone = ("listed", "listed_status", "link_key", "detail",',
        'gone = ("listed", "listed_status", "detail",',
    ),
    Mutant(
        "what is deleted stays on its list",
        "tasks/transitions.py",
        'gone = ("listed", "listed_status", "link_key",',
        'gone = ("link_key",',
    ),
    Mutant(
        "a deleted order that waits is sent",
        "workflows/reconcile.py",
        "if too_late or task.deleted_at is not None:",
        "if too_late:",
    ),
    Mutant(
        "the image of a deleted task is copied",
        "workflows/reconcile.py",
        "        if task.deleted_at is not None:\n            return []\n",
        "",
        "integration/workflows/test_notify_caller.py",
    ),
    Mutant(
        "an outcome that lost to a deletion is forgotten",
        "workflows/submit.py",
        "return stands if stands.deleted_at == task.deleted_at else self._apply(stands, make)",
        "return stands",
        "integration/workflows/test_notify_caller.py",  # in the simulation the task ends all the same, only later
    ),
    Mutant(
        "an id that lost to a deletion is forgotten",
        "workflows/submit.py",
        "        if outcome.task.deleted_at != task.deleted_at:\n"
        "            return self._bind(outcome.task, poyo_id)",
        "        if False:\n            return self._bind(outcome.task, poyo_id)",
        "integration/workflows/test_notify_caller.py",
    ),
    Mutant(
        "an adopted id that lost to a deletion is forgotten",
        "workflows/reconcile.py",
        "if outcome.task.deleted_at != task.deleted_at:",
        "if False:",
        "integration/workflows/test_notify_caller.py",
    ),
    Mutant(
        "erased without erasing",
        "workflows/notify_caller.py",
        "        self.images.erase(task.task_id)\n",
        "",
    ),
    Mutant(
        "erased once is erased",
        "workflows/notify_caller.py",
        "if self.pace.older(task.deleted_at or 0, again_s):",
        "if True:",
        "integration/workflows/test_notify_caller.py",
    ),
    Mutant(
        "erased again before clocks agree that the copier is gone",
        "limits.py",
        "erase_again_s: int = 15 * 60",
        "erase_again_s: int = 2 * 60",
        "integration/workflows/test_notify_caller.py",
    ),
    Mutant(
        "what S3 says that it kept is not heard",
        "aws/image_bucket.py",
        'if kept := answer.pop("Errors", None):',
        'if kept := answer.pop("errors", None):',
        "integration/aws/test_image_bucket.py",
    ),
    Mutant(
        "anybody deletes",
        "workflows/owner_tasks.py",
        "        if task.owner != owner:\n            raise TaskNotFound(task_id)\n        if",
        "        if",
    ),
    Mutant(
        "a deleted task is shown",
        "workflows/owner_tasks.py",
        "if task.owner != owner or task.deleted_at is not None:",
        "if task.owner != owner:",
    ),
    Mutant(
        "a wait has no end",
        "workflows/owner_tasks.py",
        "and not task.ended and self.pace.clock() < until:",
        "and not task.ended:",
    ),
    # The list
    Mutant(
        "a page shows what is deleted",
        "aws/task_repository.py",
        "tuple(task for task in found if task.deleted_at is None)",
        "tuple(found)",
    ),
    Mutant(
        "a page begins with the last of the one before",
        "aws/task_repository.py",
        "Place(int(keys[-1]",
        "Place(1 + int(keys[-1]",
    ),
    Mutant(
        "a page leaves one out",
        "aws/task_repository.py",
        "Place(int(keys[-1]",
        "Place(-1 + int(keys[-1]",
        "integration/aws/test_simulated_table.py",  # only tasks of one instant are left out
    ),
    Mutant(
        "the page of a status is another's",
        "aws/task_repository.py",
        "listed_as(status, owner)) if status",
        'listed_as(status, "owner0")) if status',
    ),
    Mutant(
        "the list by status does not follow",
        "tasks/transitions.py",
        'return state | {"listed_status": listed_as(SHOWN[target], task.owner)}',
        "return state",
    ),
    # Told once a try
    Mutant(
        "told before the claim",
        "workflows/notify_caller.py",
        "        claim = self.steps.later(task, wait_s, **following)\n",
        "        self._post(task)\n        claim = self.steps.later(task, wait_s, **following)\n",
    ),
    Mutant(
        "told although another has the claim",
        "workflows/notify_caller.py",
        "        if not claim.won:\n            return\n",
        "",
        "integration/workflows/test_notify_caller.py",
    ),
    Mutant(
        "what is still to be told is taken off the list",
        "workflows/task_updater.py",
        'if due_at is None and facts.get("notices", task.notices) is not None:',
        "if False:",
    ),
    Mutant(
        "an end tells nobody",
        "tasks/transitions.py",
        "if task.notify_url and tell:",
        "if False:",
    ),
    Mutant(
        "told before its end",
        "workflows/notify_caller.py",
        "told = task.notices is None or not task.ended",
        "told = task.notices is None and not task.ended",
    ),
    Mutant(
        "given up after the first refusal",
        "workflows/notify_caller.py",
        "if tries < len(waits):",
        "if False:",
    ),
    Mutant(
        "tried a seventh time",
        "workflows/notify_caller.py",
        "if tries > len(waits):",
        "if tries > 1 + len(waits):",
        "integration/workflows/test_notify_caller.py",
    ),
    Mutant(
        "what was told stays on the list for nothing",
        "workflows/notify_caller.py",
        "reasons.softly_failed(task) and (task.poyo_id or task.hints)",
        "reasons.softly_failed(task)",
    ),
    Mutant(
        "every post is signed with some key",
        "aws/secrets.py",
        'keys.get(owner.partition(OWNER_SEPARATOR)[0]) if isinstance(keys, dict) else ""',
        'next(iter(keys.values())) if isinstance(keys, dict) else ""',
    ),
    # The doors of it
    Mutant(
        "an owner's upload is found by everybody",
        "aws/upload_bucket.py",
        "hashlib.sha256(owner.encode())",
        'hashlib.sha256(b"owner")',
        "deployed/test_uploads.py",
    ),
    Mutant(
        "a callback may lead anywhere",
        "outbound/notifications.py",
        "return check(url, hosts=self.hosts, resolve=self.resolve)",
        'return check(url, hosts=("*",), resolve=self.resolve)',
        "integration/outbound/test_notifications.py",
    ),
    Mutant(
        "whom a server key acts for is ignored",
        "api/dependencies.py",
        'return f"{name}{OWNER_SEPARATOR}{user}" if user else name',
        "return name",
        "integration/handlers/test_owners.py",
    ),
    Mutant(
        "the key of a deleted order is answered with it",
        "api/dependencies.py",
        "        if task.deleted_at is not None:\n",
        "        if False:\n",
        "integration/handlers/test_api_tasks.py",
    ),
)
