"""Every fault that can be ordered: its name, when it strikes, what it does, its parameters.

The effects live beside what they break (``submit_faults``, ``task_faults``, ``status_faults``,
``callback_faults``, ``file_faults``), each in a table by the same name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from local.poyo_simulator.responses import bad_request

Value = bool | int | float | str


@dataclass(frozen=True)
class Fault:
    """One row; the first parameter is the one a bare ``=value`` in a prompt's mark sets."""

    name: str
    stage: str
    does: str
    parameters: dict[str, Value]
    only_when: str = ""


def _stage(stage: str, *rows: tuple[str, str, dict[str, Value]]) -> Iterator[Fault]:
    for name, does, parameters in rows:
        yield Fault(name, stage, does, parameters)


# `n`: how many times for one task (for a submit: for one callback URL); 0 is every time.
ALWAYS: dict[str, Value] = {"n": 0}
ONCE: dict[str, Value] = {"n": 1}

SUBMIT = _stage(
    "submit",
    ("submit-drop", "creates the task, then drops the connection", ALWAYS),
    ("submit-drop-before", "creates nothing, drops the connection after reading", ALWAYS),
    (
        "submit-timeout",
        "creates the task, answers after real `seconds`",
        {"seconds": 30.0, "n": 0},
    ),
    ("submit-garbage", "creates the task, answers 200 with bytes that are no JSON", ALWAYS),
    (
        "submit-502-html",
        "answers 502 with HTML; the task exists if `created`",
        {"created": True, "n": 0},
    ),
    (
        "submit-429",
        "creates nothing, answers 429 that speaks of `seconds`",
        {"n": 1, "seconds": 5.0},
    ),
    ("submit-503", "creates nothing, answers 503 with an empty body", ONCE),
    ("submit-401", "creates nothing, answers 401", ALWAYS),
    ("submit-402", "creates nothing, answers 402", ALWAYS),
    ("submit-200-code-400", "creates nothing, answers HTTP 200 with `code` 400", ALWAYS),
    ("submit-moderated", "creates nothing, answers 400 `content_moderation_error`", ALWAYS),
    ("callback-early", "finishes at once; the callback is sent before the submit's answer", ALWAYS),
)
TASK = _stage(
    "task",
    ("slow-not-started", "stays `not_started` for `seconds` more", {"seconds": 300.0}),
    ("stuck-running", "stays `running` for `seconds` more; 0 is for ever", {"seconds": 0.0}),
    ("fail-server-exception", "fails with `message`", {"message": "Server exception"}),
    ("fail-moderation", "fails with a nested JSON text about moderation, in Chinese", {}),
    ("credits-drift", "costs `factor` times what the price table says", {"factor": 1.25}),
    ("same-id-twice", "gets the id of the task accepted just before", {}),
    (
        "file-new-host",
        "its `file_url` is on `origin`; if empty, on localhost by that name",
        {"origin": ""},
    ),
    (
        "callback-says-finished-early",
        "rings once, `seconds` before its status says finished",
        {"seconds": 30.0},
    ),
)
STATUS = _stage(
    "status",
    ("status-404-first", "answers 404 as if the task did not exist", ONCE),
    ("status-500", "answers 500", ONCE),
    ("status-429", "answers 429 without `Retry-After`", ONCE),
    ("status-401", "answers 401", ONCE),
    ("status-200-code-400", "answers HTTP 200 with `code` 400", ONCE),
    ("status-missing-keys", "leaves out every optional key", ALWAYS),
    ("status-unknown-word", "calls the status `word`", {"n": 1, "word": "digesting"}),
    ("status-unwrapped", "answers the task without `code` and `data`", ALWAYS),
)
STATUS_NO_FILES = Fault(
    "status-no-files", "status", "says finished with no files", ONCE, "finished"
)
CALLBACK = _stage(
    "callback",
    ("callback-none", "is never sent", {}),
    ("callback-double", "is sent `copies` times more, all at once", {"copies": 1}),
    ("callback-late", "is sent `seconds` after the task's end", {"seconds": 3600.0}),
    ("callback-wrapped", "has its body inside `code` and `data`", {}),
    ("callback-bad-signature", "is signed with a wrong key", {}),
    ("callback-stale-signature", "is signed well, `seconds` ago", {"seconds": 3600.0}),
    ("callback-no-signature", "has no signature headers", {}),
    ("callback-forged", "comes after a forged one: another id, the opposite status", {}),
    ("callback-says-failed", "says failed whatever the status says", {}),
    ("callback-truncated", "has half its body", {}),
)
FILE = _stage(
    "file",
    ("file-403-agent", "answers 403 unless the `User-Agent` is a browser's", ALWAYS),
    ("file-404", "answers 404", ONCE),
    ("file-500", "answers 500", ONCE),
    ("file-octet-stream", "is called `application/octet-stream`", ALWAYS),
    ("file-html", "is an HTML page called `content_type`", {"n": 0, "content_type": "text/html"}),
    (
        "file-svg",
        "is an SVG with a script, called `content_type`",
        {"n": 0, "content_type": "image/svg+xml"},
    ),
    (
        "file-endless",
        "never ends, at `bytes_per_second`",
        {"bytes_per_second": 50_000_000.0, "n": 0},
    ),
    ("file-trickle", "comes at `bytes_per_second`", {"bytes_per_second": 100.0, "n": 0}),
    (
        "file-truncated",
        "stops half-way; `honest`: and its Content-Length agrees",
        {"n": 0, "honest": False},
    ),
    ("file-longer", "is twice as long as its Content-Length", ALWAYS),
    (
        "file-redirect-private",
        "redirects to `location`",
        {"n": 0, "location": "http://169.254.169.254/latest/meta-data/"},
    ),
    ("file-gzip-bomb", "comes gzipped and swells by `mebibytes`", {"mebibytes": 256, "n": 0}),
    ("file-pixel-bomb", "is a PNG whose header claims 50000x50000", ALWAYS),
    ("file-wrong-magic", "does not begin as a PNG does", ALWAYS),
)

FAULTS = {
    fault.name: fault for fault in (*SUBMIT, *TASK, *STATUS, STATUS_NO_FILES, *CALLBACK, *FILE)
}


def fault_named(name: str) -> Fault:
    """The row of that name; ``PoyoError`` names the nearest one otherwise."""
    if name in FAULTS:
        return FAULTS[name]
    nearest = get_close_matches(name, FAULTS, n=1, cutoff=0.0)
    raise bad_request(f"unknown fault {name!r}; the nearest is {nearest[0]!r}")


def parameter(fault: Fault, name: str, given: object) -> Value:
    """A parameter's value in the type its default has, from JSON or from a mark's text."""
    if name not in fault.parameters:
        known = ", ".join(fault.parameters) or "none"
        raise bad_request(f"{fault.name} has no parameter {name!r}; it has: {known}")
    kind = type(fault.parameters[name])
    words: dict[object, object] = {"true": True, "false": False} if kind is bool else {}
    value = words.get(given, given) if isinstance(given, str) else given
    if kind is str or isinstance(value, bool) is not (kind is bool):
        fits = isinstance(value, kind)
    else:
        fits = isinstance(value, int | float | str)
    try:
        if fits and isinstance(value, int | float | str):
            return kind(value)
    except ValueError:
        pass
    raise bad_request(f"{fault.name}: {name} must be of type {kind.__name__}")
