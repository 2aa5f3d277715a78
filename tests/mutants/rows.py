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
        "submit.py",
        "outcome = self.store.create(task)",
        "outcome = (self.send(task, self.turn()), self.store.create(task))[1]",
    ),
    Mutant(
        "an unclear submit is sent again",
        "submit.py",
        "return self._doubt(task, error.detail)\n        if",
        "return self._defer(task, 1, error.detail)\n        if",
    ),
    Mutant(
        "a lost answer counts as not created",
        "poyo.py",
        'raise SubmitUnknown(f"answer lost: {error}") from error',
        'raise PoyoUnavailable(f"answer lost: {error}") from error',
    ),
    Mutant(
        "5xx counts as not created",
        "poyo.py",
        "    raise SubmitUnknown(detail)",
        "    raise PoyoUnavailable(detail)",
    ),
    Mutant(
        "accepted without an id counts as not created",
        "poyo.py",
        'raise SubmitUnknown("accepted without a usable id")',
        'raise PoyoUnavailable("accepted without a usable id")',
    ),
    Mutant(
        "a task is written over an earlier one",
        "store.py",
        'condition=Condition((absent("pk"),))))',
        "condition=Condition()))",
    ),
    Mutant(
        "the same key makes another task each time",
        "submit.py",
        "task_id = derive_task_id(order.owner, order.idempotency_key)",
        "task_id = derive_task_id(order.owner, at.stamp)",
    ),
    Mutant(
        "an owner's key is everybody's",
        "task.py",
        '["imagetasks task v1", owner, idempotency_key]',
        '["imagetasks task v1", idempotency_key]',
    ),
    Mutant(
        "another body under the same key passes",
        "submit.py",
        "if outcome.task.fingerprint != task.fingerprint:",
        "if False:",
    ),
    Mutant(
        "who lost T4 sends all the same",
        "look.py",
        "        if attempt.won:\n",
        "        if attempt.task:\n",
    ),
    Mutant(
        "T4 does not compare the attempt",
        "transitions.py",
        'event="retried",\n        same=("attempt",),',
        'event="retried",\n        same=(),',
    ),
    Mutant(
        "our own lost write is taken for somebody else's",
        "store.py",
        'return Outcome(row.get("stamp") == stamp, from_row(row))',
        "return Outcome(False, from_row(row))",
    ),
    # Nothing paid is lost
    Mutant(
        "`finished` before the image is ours",
        "look.py",
        "            return self.images.put(task.task_id, n, download)",
        '            return KeptFile(key=f"images/{task.task_id}/{n}", content_type="image/png", '
        "bytes=download.bytes, width=1, height=1, sha256=download.sha256)",
    ),
    Mutant("an image is written twice", "images.py", '            IfNoneMatch="*",\n', ""),
    Mutant(
        "an unconfirmed task is final",
        "reasons.py",
        'come since.",\n        retryable=True,\n        charged=None,\n        soft=True,',
        'come since.",\n        retryable=True,\n        charged=None,',
    ),
    Mutant(
        "an id is dropped when its row was moved",
        "look.py",
        "if ring.poyo_id and stands.poyo_id is None and ring.poyo_id not in stands.hints:",
        "if False:",
    ),
    Mutant(
        "an id inherits the patience others have used up",
        "look.py",
        "looks, denied = (0, 0) if fresh else (task.looks, task.denied)",
        "looks, denied = task.looks, task.denied",
    ),
    Mutant(
        "a status that lags ends the task in spite of its callback",
        "look.py",
        'return ring.by == "callback" or any(fresh)',
        "return False",
    ),
    Mutant(
        "a hint that arrived meanwhile does not stop a failure",
        "transitions.py",
        'same=("state", "attempt", "poyo_id", "hints"),',
        'same=("state", "attempt", "poyo_id"),',
    ),
    Mutant(
        "an id that could not be written is not rung for",
        "submit.py",
        'self._ring(Ring(task_id=task.task_id, by="submit", poyo_id=poyo_id))',
        "pass",
    ),
    Mutant(
        "a young reading of a rotated key is not read again",
        "secrets.py",
        "self.secret.renew()",
        "self.secret.values(max_age_s=RENEW_AFTER_S)",
    ),
    # Every task ends, once
    Mutant(
        "a claim does not move the look",
        "sweep.py",
        "until=pace.after(pace.limits.claim_s)",
        "until=due.due_at",
    ),
    Mutant(
        "a claim takes whatever it finds",
        "store.py",
        'same = Condition((equals("due_at", due.due_at),))',
        "same = Condition()",
    ),
    Mutant(
        "what failed stays on the to-do list",
        "transitions.py",
        'gone = ("due_at", "due_shard", "not_before", "hints")',
        'gone = ("not_before", "hints")',
    ),
    Mutant(
        "a move does not look at what it moves",
        "transitions.py",
        'same=("state", "due_at"),',
        "same=(),",
    ),
    Mutant(
        "nobody follows up a sender that went away",
        "look.py",
        "if not self.pace.older(task.sent_at, limits.submit_overdue_s):",
        "if True:",
    ),
    Mutant(
        "T1 does not mind a task that has an id",
        "transitions.py",
        '(absent("poyo_id"),), {"by": how})',
        '(), {"by": how})',
        "test_transitions.py",  # no path leads there: the clause is a second lock
    ),
    Mutant(
        "a PoYo id changes hands",
        "store.py",
        'free = Condition(either=((absent("pk"),), (equals("task_id", change.task_id),)))',
        "free = Condition()",
    ),
    Mutant(
        "a transition from any state",
        "transitions.py",
        "return (*states, soft) if transition.from_soft_failure else states",
        "return ()",
    ),
    # Nobody gets in
    Mutant(
        "the capability is not compared",
        "capability.py",
        "return hmac.compare_digest(expected, presented) and bool(keys.get(kid))",
        "return bool(keys.get(kid))",
    ),
    Mutant(
        "PoYo's signature is not checked",
        "hear.py",
        "if webhook_key and poyo_id and not poyo.signed(webhook_key, poyo_id, callback.headers):",
        "if False:",
    ),
    Mutant(
        "an id is believed without asking PoYo",
        "look.py",
        "                self.poyo.status(poyo_id)\n",
        "",
    ),
    Mutant(
        "PoYo's own words are logged",
        "submit.py",
        'telemetry.page("account_refused", task_id=task.task_id, reason=error.reason)',
        'telemetry.page("account_refused", task_id=task.task_id, reason=error.detail)',
    ),
    # What the simulation has no eyes for
    Mutant(
        "429 counts as unclear", "poyo.py", "if code == 429:", "if code == -429:", "test_poyo.py"
    ),
    Mutant(
        "a private address is connected to",
        "address.py",
        "if not addresses or not all(map(public, addresses)):",
        "if not addresses:",
        "test_download.py",
    ),
    Mutant(
        "a picture without its end passes",
        "picture.py",
        "if tail != PNG_TAIL:",
        "if False:",
        "test_picture.py",
    ),
    Mutant(
        "OR without parentheses",
        "table.py",
        'either = f"({either})"',
        "pass",
        "test_table_twin.py",
    ),
    Mutant(
        "one alternative of a condition is enough for none",
        "clauses.py",
        "any(_all(each, row) for each in self.either)",
        "all(_all(each, row) for each in self.either)",
        "test_table_twin.py",
    ),
    Mutant(
        "the window has room for everybody",
        "quota.py",
        "and self.sent <= room:",
        "and self.sent:",
        "test_quota.py",
    ),
)
