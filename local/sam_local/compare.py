"""Two answers to one event: the same but for what differs by nature."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

# What two runs cannot agree on: ids they were given, how old something was when they looked, the
# picture, which the simulated PoYo draws anew for each task, a fingerprint of all that, what an
# upload is signed with, and the money that is left after each order.
BY_NATURE = frozenset({
    "requestId", "stackTrace", "max_lag_ms",
    "bytes", "file_size", "sha256", "etag",
    "fields", "credits_amount",
})  # fmt: skip
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"
)  # PoYo's say no zone
_FILE = re.compile(r"(https?://\S+/files/\w+/\d+/)[\w-]{43}")  # with a key of one row
_UPLOAD = re.compile(r"upload://[a-z2-7]{26}")
_SIGNED = re.compile(r"https?://\S+[?&]X-Amz-Signature=\S+")


def differences(deployed: Any, local: Any) -> list[str]:
    """A line for each place where the answers differ: where, what was deployed, what ran here."""
    return list(_walk("", comparable(deployed), comparable(local)))


def comparable(answer: Any) -> Any:
    """An answer with its JSON body read, header names small, and what differs by nature hidden."""
    if isinstance(answer, dict) and "statusCode" in answer:
        headers = {name.lower(): value for name, value in (answer.get("headers") or {}).items()}
        return _hidden(answer | {"headers": headers, "body": _read(answer.get("body"))})
    return _hidden(answer)


def _read(body: Any) -> Any:
    try:
        return json.loads(body)
    except (TypeError, ValueError):
        return body


def _hidden(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: f"<{type(part).__name__}>" if name in BY_NATURE else _hidden(part)
                for name, part in value.items()
            }
        case list():
            return [_hidden(part) for part in value]
        case str() if _INSTANT.fullmatch(value):
            return "<instant>"
        case str() if _UPLOAD.fullmatch(value):
            return "upload://<id>"
        case str() if found := _FILE.fullmatch(value):
            return f"{found[1]}<seal>"
        case str() if _SIGNED.fullmatch(value):
            return _unsigned(value)
    return value


def _unsigned(url: str) -> str:
    """A presigned URL without what a signature says of its time and its signer's session."""
    parts = urlsplit(url)
    signed = {"X-Amz-Signature", "X-Amz-Date", "X-Amz-Credential", "X-Amz-Security-Token"}
    query = sorted(
        (name, "" if name in signed else value) for name, value in parse_qsl(parts.query)
    )
    # A role's session has a token, the keys of a container have none.
    shown = [f"{name}={value}" for name, value in query if name != "X-Amz-Security-Token"]
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{'&'.join(shown)}"


def _walk(where: str, deployed: Any, local: Any) -> Iterator[str]:
    if isinstance(deployed, dict) and isinstance(local, dict):
        for name in sorted(deployed.keys() | local.keys()):
            place = f"{where}.{name}" if where else str(name)
            yield from _walk(place, deployed.get(name, "nothing"), local.get(name, "nothing"))
    elif isinstance(deployed, list) and isinstance(local, list) and len(deployed) == len(local):
        for number, (one, other) in enumerate(zip(deployed, local, strict=True)):
            yield from _walk(f"{where}[{number}]", one, other)
    elif deployed != local or type(deployed) is not type(local):
        yield f"{where or 'answer'}: deployed {_short(deployed)}, local {_short(local)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:157]}..."
