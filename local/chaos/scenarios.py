"""The kinds of orders: which faults each asks the simulated PoYo for, and how it has to end."""

import random
from dataclasses import dataclass

FINISHED = "finished"
HOUR_S = 3700
DAY_S = 25 * 3600
BAD_S = 1900  # longer than the longest wait between two looks


@dataclass(frozen=True)
class Kind:
    """One row: `marks` go into the prompt, `ends` is `finished` or the reason of the failure.

    `skip_s`: only our own patience ends it, so the run lets that many seconds pass for the task.
    `slow`: heals by itself, but after a backoff of up to a minute or more.
    """

    name: str
    marks: str = ""
    ends: str = FINISHED
    skip_s: int = 0
    slow: bool = False


PLAIN = Kind("none")
DOUBLE = Kind("callback-double", "[[fault:callback-double]]")


def _kind(marks: str, ends: str = FINISHED, *, skip_s: int = 0, slow: bool = False) -> Kind:
    text = " ".join(f"[[fault:{mark}]]" for mark in marks.split(" + "))
    return Kind(marks, text, ends, skip_s, slow)


# The answer is lost: the callback brings PoYo's id, or an hour passes.
AMBIGUOUS = (
    _kind("submit-drop", skip_s=HOUR_S),
    _kind("submit-garbage", skip_s=HOUR_S),
    _kind("submit-502-html", skip_s=HOUR_S),
    _kind("submit-timeout seconds=14", skip_s=HOUR_S, slow=True),
    _kind("submit-drop + callback-forged", skip_s=HOUR_S),
    _kind("submit-drop + callback-double copies=3", skip_s=HOUR_S),
    _kind("submit-drop + status-404-first", skip_s=HOUR_S),
    _kind("submit-garbage + callback-wrapped", skip_s=HOUR_S),
    _kind("submit-drop + callback-none", skip_s=HOUR_S),
    _kind("submit-garbage + callback-truncated", skip_s=HOUR_S),
    _kind("submit-drop-before", "unconfirmed", skip_s=HOUR_S),
    _kind("submit-503", "unconfirmed", skip_s=HOUR_S),
    _kind("submit-502-html created=false", "unconfirmed", skip_s=HOUR_S),
)
SUBMIT = (
    _kind("submit-timeout seconds=1"),
    _kind("submit-429 seconds=1"),
    _kind("submit-429 n=2 seconds=1", slow=True),
    _kind("submit-429 n=0 seconds=1", "unavailable", skip_s=BAD_S),
    _kind("submit-401", "unavailable"),
    _kind("submit-402", "insufficient_credits"),
    _kind("submit-200-code-400", "rejected"),
    _kind("submit-moderated", "moderated"),
    _kind("callback-early"),
)
TASK = (
    _kind("slow-not-started=6", slow=True),
    _kind("stuck-running=6", slow=True),
    _kind("stuck-running=0", "timed_out", skip_s=DAY_S),
    _kind("fail-server-exception", "upstream"),
    _kind("fail-server-exception + callback-says-finished-early=2", "upstream"),
    _kind("fail-moderation", "moderated"),
    _kind("credits-drift=1.5"),
    _kind("file-new-host"),
    _kind("callback-says-finished-early=3"),
)
CALLBACK = (
    _kind("callback-none"),
    _kind("callback-double copies=3"),
    _kind("callback-late=4"),
    _kind("callback-wrapped"),
    _kind("callback-bad-signature"),
    _kind("callback-stale-signature"),
    _kind("callback-no-signature"),
    _kind("callback-forged"),
    _kind("callback-says-failed"),
    _kind("callback-truncated"),
)
STATUS = (
    _kind("status-404-first"),
    _kind("status-404-first n=2", slow=True),
    _kind("status-500", slow=True),
    _kind("status-429", slow=True),
    _kind("status-401", slow=True),
    _kind("status-200-code-400", slow=True),
    _kind("status-missing-keys"),
    _kind("status-unknown-word"),
    _kind("status-unwrapped"),
    _kind("status-no-files"),
    _kind("status-no-files n=0", "bad_result", skip_s=BAD_S),
)
FILE = (
    _kind("file-403-agent"),
    _kind("file-404"),
    _kind("file-404 n=0", "result_expired", skip_s=DAY_S),
    _kind("file-500"),
    _kind("file-500 n=2", slow=True),
    _kind("file-octet-stream"),
    _kind("file-html n=1"),
    _kind("file-html n=0 content_type=image/png", "bad_result", skip_s=BAD_S),
    _kind("file-svg n=1"),
    _kind("file-endless n=1 bytes_per_second=20000000", slow=True),
    _kind("file-trickle n=1", slow=True),
    _kind("file-truncated n=1"),
    _kind("file-truncated honest=true n=1"),
    _kind("file-longer n=1"),
    _kind("file-redirect-private n=1"),
    _kind("file-gzip-bomb n=1 mebibytes=8"),
    _kind("file-pixel-bomb n=1"),
    _kind("file-wrong-magic n=1"),
    _kind("file-wrong-magic n=0", "bad_result", skip_s=BAD_S),
)
FAULTY = (*AMBIGUOUS, *SUBMIT, *TASK, *CALLBACK, *STATUS, *FILE)


def mix(tasks: int, seed: int, *, quick: bool) -> list[Kind]:
    """As many kinds as `tasks`, the same for the same seed: each faulty one in turn, and every
    fourth order without faults or with a doubled callback and nothing else."""
    dice = random.Random(f"kinds {seed}")  # noqa: S311  # a mix to be repeated, not a secret
    faulty = [kind for kind in FAULTY if not (quick and kind.slow)]
    calm = max(2, tasks // 4)
    kinds = [PLAIN if n % 2 else DOUBLE for n in range(calm)]
    while len(kinds) < tasks:
        dice.shuffle(faulty)
        kinds += faulty[: tasks - len(kinds)]
    dice.shuffle(kinds)
    return kinds
