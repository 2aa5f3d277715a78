"""The scenarios: the faults that an order sets in the simulated PoYo, and the end that it must have."""

import random
from dataclasses import dataclass

FINISHED = "finished"
HOUR_S = 3700
DAY_S = 25 * 3600
LONGEST_BACKOFF_S = 1900  # longer than the longest wait between two polls


@dataclass(frozen=True)
class Scenario:
    """One scenario: `marks` are in the prompt, `end` is `finished` or the reason of the failure.

    `skip_s`: the task ends only by our own timeout, so the run skips that many seconds for it.
    `slow`: the task recovers by itself, but after a backoff that can exceed a minute.
    """

    name: str
    marks: str = ""
    end: str = FINISHED
    skip_s: int = 0
    slow: bool = False


PLAIN = Scenario("none")
DOUBLE = Scenario("callback-double", "[[fault:callback-double]]")


def _scenario(marks: str, end: str = FINISHED, *, skip_s: int = 0, slow: bool = False) -> Scenario:
    text = " ".join(f"[[fault:{mark}]]" for mark in marks.split(" + "))
    return Scenario(marks, text, end, skip_s, slow)


# The submit's response is lost: the callback delivers PoYo's id, or the task fails after an hour.
UNKNOWN_OUTCOME = (
    _scenario("submit-drop", skip_s=HOUR_S),
    _scenario("submit-garbage", skip_s=HOUR_S),
    _scenario("submit-502-html", skip_s=HOUR_S),
    _scenario("submit-timeout seconds=14", skip_s=HOUR_S, slow=True),
    _scenario("submit-drop + callback-forged", skip_s=HOUR_S),
    _scenario("submit-drop + callback-double copies=3", skip_s=HOUR_S),
    _scenario("submit-drop + status-404-first", skip_s=HOUR_S),
    _scenario("submit-garbage + callback-wrapped", skip_s=HOUR_S),
    _scenario("submit-drop + callback-none", skip_s=HOUR_S),
    _scenario("submit-garbage + callback-truncated", skip_s=HOUR_S),
    _scenario("submit-drop-before", "unconfirmed", skip_s=HOUR_S),
    _scenario("submit-503", "unconfirmed", skip_s=HOUR_S),
    _scenario("submit-502-html created=false", "unconfirmed", skip_s=HOUR_S),
)
SUBMIT = (
    _scenario("submit-timeout seconds=1"),
    _scenario("submit-429 seconds=1"),
    _scenario("submit-429 n=2 seconds=1", slow=True),
    _scenario("submit-429 n=0 seconds=1", "unavailable", skip_s=LONGEST_BACKOFF_S),
    _scenario("submit-401", "unavailable"),
    _scenario("submit-402", "insufficient_credits"),
    _scenario("submit-200-code-400", "rejected"),
    _scenario("submit-moderated", "moderated"),
    _scenario("callback-early"),
)
TASK = (
    _scenario("slow-not-started=6", slow=True),
    _scenario("stuck-running=6", slow=True),
    _scenario("stuck-running=0", "timed_out", skip_s=DAY_S),
    _scenario("fail-server-exception", "upstream"),
    _scenario("fail-server-exception + callback-says-finished-early=2", "upstream"),
    _scenario("fail-moderation", "moderated"),
    _scenario("credits-drift=1.5"),
    _scenario("file-new-host"),
    _scenario("file-relative"),
    _scenario("file-raw-url"),
    _scenario("callback-says-finished-early=3"),
)
CALLBACK = (
    _scenario("callback-none"),
    _scenario("callback-double copies=3"),
    _scenario("callback-late=4"),
    _scenario("callback-wrapped"),
    _scenario("callback-bad-signature"),
    _scenario("callback-stale-signature"),
    _scenario("callback-no-signature"),
    _scenario("callback-forged"),
    _scenario("callback-says-failed"),
    _scenario("callback-truncated"),
)
STATUS = (
    _scenario("status-404-first"),
    _scenario("status-404-first n=2", slow=True),
    _scenario("status-500", slow=True),
    _scenario("status-429", slow=True),
    _scenario("status-401", slow=True),
    _scenario("status-200-code-400", slow=True),
    _scenario("status-missing-keys"),
    _scenario("status-unknown-word"),
    _scenario("status-unwrapped"),
    _scenario("status-no-files"),
    _scenario("status-no-files n=0", "bad_result", skip_s=LONGEST_BACKOFF_S),
)
FILE = (
    _scenario("file-403-agent"),
    _scenario("file-404"),
    _scenario("file-404 n=0", "result_expired", skip_s=DAY_S),
    _scenario("file-500"),
    _scenario("file-500 n=2", slow=True),
    _scenario("file-octet-stream"),
    _scenario("file-html n=1"),
    _scenario("file-html n=0 content_type=image/png", "bad_result", skip_s=LONGEST_BACKOFF_S),
    _scenario("file-svg n=1"),
    _scenario("file-endless n=1 bytes_per_second=20000000", slow=True),
    _scenario("file-trickle n=1", slow=True),
    _scenario("file-truncated n=1"),
    _scenario("file-truncated honest=true n=1"),
    _scenario("file-longer n=1"),
    _scenario("file-trailer"),
    _scenario("file-redirect-private n=1"),
    _scenario("file-gzip-bomb n=1 mebibytes=8"),
    _scenario("file-pixel-bomb n=1"),
    _scenario("file-wrong-magic n=1"),
    _scenario("file-wrong-magic n=0", "bad_result", skip_s=LONGEST_BACKOFF_S),
)
FAULTY = (*UNKNOWN_OUTCOME, *SUBMIT, *TASK, *CALLBACK, *STATUS, *FILE)


def choose(tasks: int, seed: int, *, quick: bool) -> list[Scenario]:
    """Choose one scenario per task, the same ones for the same seed.

    A quarter of the orders has no fault, or a doubled callback only. The faulty scenarios take turns.
    """
    rng = random.Random(f"scenarios {seed}")  # noqa: S311  # repeatable, not a secret
    faulty = [scenario for scenario in FAULTY if not (quick and scenario.slow)]
    without_fault = max(2, tasks // 4)
    chosen = [PLAIN if n % 2 else DOUBLE for n in range(without_fault)]
    while len(chosen) < tasks:
        rng.shuffle(faulty)
        chosen += faulty[: tasks - len(chosen)]
    rng.shuffle(chosen)
    return chosen
