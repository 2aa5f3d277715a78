"""The table of faults: the name of each, the stage it applies to, its effect and its parameters.

The effects are implemented in ``submit_faults``, ``task_faults``, ``status_faults``,
``callback_faults`` and ``file_faults``, each in a table with the same names.
"""

from collections.abc import Iterator
from dataclasses import dataclass

Value = bool | int | float | str


@dataclass(frozen=True)
class Fault:
    """One row; ``[[fault:NAME=VALUE]]`` in a prompt sets the first of its parameters.

    ``only_in_state`` is the task state in which it applies; empty is every state.
    """

    name: str
    stage: str
    does: str
    parameters: dict[str, Value]
    only_in_state: str = ""


def _faults(stage: str, *rows: tuple[str, str, dict[str, Value]]) -> Iterator[Fault]:
    for name, does, parameters in rows:
        yield Fault(name, stage, does, parameters)


# `n`: how many times for one task (for a submit: for one callback URL); 0 is every time.
ALWAYS: dict[str, Value] = {"n": 0}
ONCE: dict[str, Value] = {"n": 1}

SUBMIT = _faults(
    "submit",
    ("submit-drop", "creates the task, then drops the connection", ALWAYS),
    (
        "submit-drop-before",
        "creates nothing, drops the connection after reading the request",
        ALWAYS,
    ),
    (
        "submit-timeout",
        "creates the task, responds after `seconds` of real time",
        {"seconds": 30.0, "n": 0},
    ),
    ("submit-garbage", "creates the task, responds 200 with a body that is not JSON", ALWAYS),
    (
        "submit-502-html",
        "responds 502 with HTML; the task exists if `created`",
        {"created": True, "n": 0},
    ),
    (
        "submit-429",
        "creates nothing, responds 429 with `seconds` in its message",
        {"n": 1, "seconds": 5.0},
    ),
    ("submit-503", "creates nothing, responds 503 with an empty body", ONCE),
    ("submit-401", "creates nothing, responds 401", ALWAYS),
    ("submit-402", "creates nothing, responds 402", ALWAYS),
    ("submit-200-code-400", "creates nothing, responds HTTP 200 with `code` 400", ALWAYS),
    ("submit-moderated", "creates nothing, responds 400 `content_moderation_error`", ALWAYS),
    (
        "callback-early",
        "finishes the task at once and sends its callback before it responds",
        ALWAYS,
    ),
)
TASK = _faults(
    "task",
    ("slow-not-started", "stays `not_started` for `seconds` more", {"seconds": 300.0}),
    ("stuck-running", "stays `running` for `seconds` more; 0 is without end", {"seconds": 0.0}),
    ("fail-server-exception", "fails with `message`", {"message": "Server exception"}),
    ("fail-moderation", "fails with a nested JSON message about moderation, in Chinese", {}),
    ("credits-drift", "costs `factor` times the price in the table", {"factor": 1.25}),
    ("same-id-twice", "gets the id of the task that was accepted just before it", {}),
    (
        "file-new-host",
        "has a `file_url` on `origin`; if that is empty, on the host name localhost",
        {"origin": ""},
    ),
    ("file-relative", "has a `file_url` without scheme and host", {}),
    (
        "file-raw-url",
        "has a `file_url` with `query` as it is, not percent-encoded",
        {"query": "title=Zwei Bären"},
    ),
    (
        "callback-says-finished-early",
        "sends its only callback `seconds` before its status becomes finished",
        {"seconds": 30.0},
    ),
)
STATUS = _faults(
    "status",
    ("status-404-first", "responds 404 as if the task did not exist", ONCE),
    ("status-500", "responds 500", ONCE),
    ("status-429", "responds 429 without `Retry-After`", ONCE),
    ("status-401", "responds 401", ONCE),
    ("status-200-code-400", "responds HTTP 200 with `code` 400", ONCE),
    ("status-missing-keys", "omits every optional key", ALWAYS),
    ("status-unknown-word", "has `word` as the task's status", {"n": 1, "word": "digesting"}),
    ("status-unwrapped", "contains the task without `code` and `data`", ALWAYS),
)
STATUS_NO_FILES = Fault(
    "status-no-files", "status", "is finished and has no files", ONCE, "finished"
)
CALLBACK = _faults(
    "callback",
    ("callback-none", "is never sent", {}),
    ("callback-double", "is sent `copies` more times, all at once", {"copies": 1}),
    ("callback-late", "is sent `seconds` after the task has ended", {"seconds": 3600.0}),
    ("callback-wrapped", "has its body inside `code` and `data`", {}),
    ("callback-bad-signature", "is signed with a wrong key", {}),
    (
        "callback-stale-signature",
        "has a valid signature that is `seconds` old",
        {"seconds": 3600.0},
    ),
    ("callback-no-signature", "has no signature headers", {}),
    (
        "callback-forged",
        "follows a forged callback with another task id and the opposite status",
        {},
    ),
    ("callback-says-failed", "has the status failed, whatever the task's status is", {}),
    ("callback-truncated", "contains the first half of its body", {}),
)
FILE = _faults(
    "file",
    ("file-403-agent", "responds 403 unless the `User-Agent` is a browser's", ALWAYS),
    ("file-404", "responds 404", ONCE),
    ("file-500", "responds 500", ONCE),
    ("file-octet-stream", "has the content type `application/octet-stream`", ALWAYS),
    (
        "file-html",
        "is an HTML page with the content type `content_type`",
        {"n": 0, "content_type": "text/html"},
    ),
    (
        "file-svg",
        "is an SVG with a script and the content type `content_type`",
        {"n": 0, "content_type": "image/svg+xml"},
    ),
    (
        "file-endless",
        "never ends and is sent at `bytes_per_second`",
        {"bytes_per_second": 50_000_000.0, "n": 0},
    ),
    ("file-trickle", "is sent at `bytes_per_second`", {"bytes_per_second": 100.0, "n": 0}),
    (
        "file-truncated",
        "stops half-way; if `honest`, its Content-Length is that of the half",
        {"n": 0, "honest": False},
    ),
    ("file-trailer", "is followed by `bytes` bytes of something else", {"n": 0, "bytes": 100_000}),
    ("file-longer", "is twice as long as its Content-Length", ALWAYS),
    (
        "file-redirect-private",
        "redirects to `location`",
        {"n": 0, "location": "http://169.254.169.254/latest/meta-data/"},
    ),
    ("file-gzip-bomb", "is gzipped and expands by `mebibytes`", {"mebibytes": 256, "n": 0}),
    ("file-pixel-bomb", "is a PNG whose header claims 50000x50000 pixels", ALWAYS),
    ("file-wrong-magic", "does not start with the PNG signature", ALWAYS),
)

FAULTS = {
    fault.name: fault for fault in (*SUBMIT, *TASK, *STATUS, STATUS_NO_FILES, *CALLBACK, *FILE)
}
