"""Compares two responses to one event, except the values that always differ."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

# Values that differ between two runs: ids, ages, the image (the simulated PoYo draws another one for
# each task) and its hashes, the signed fields of an upload, and the credits left after each order.
VARYING = frozenset({
    "requestId", "stackTrace", "max_lag_ms",
    "bytes", "file_size", "sha256", "etag",
    "fields", "credits_amount", "token", "token_id",
})  # fmt: skip
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"
)  # without a zone in PoYo's format
_FILE = re.compile(
    r"(https?://\S+/files/\w+/\d+/)[\w-]{43}"
)  # the token depends on the task's own key
_UPLOAD = re.compile(r"upload://[a-z2-7]{26}")
_TOKEN = re.compile(r"/v1/tokens/[0-9a-f]{32}")
_SIGNED = re.compile(r"https?://\S+[?&]X-Amz-Signature=\S+")


def differences(deployed: Any, local: Any) -> list[str]:
    """Return a line for each difference: its place, the deployed value and the local value."""
    return list(_walk("", comparable(deployed), comparable(local)))


def comparable(response: Any) -> Any:
    """Parse a response's JSON body, lower-case its header names and mask its varying values."""
    if isinstance(response, dict) and "statusCode" in response:
        headers = {name.lower(): value for name, value in (response.get("headers") or {}).items()}
        return _mask(response | {"headers": headers, "body": _parse(response.get("body"))})
    return _mask(response)


def _parse(body: Any) -> Any:
    try:
        return json.loads(body)
    except (TypeError, ValueError):
        return body


def _mask(value: Any) -> Any:
    match value:
        case {"tasks": int()}:  # sums of usage: both runs order in the same stack
            return {name: f"<{type(part).__name__}>" for name, part in value.items()}
        case dict():
            return {
                name: f"<{type(part).__name__}>" if name in VARYING else _mask(part)
                for name, part in value.items()
            }
        case list():
            return [_mask(part) for part in value]
        case str() if _INSTANT.fullmatch(value):
            return "<instant>"
        case str() if _UPLOAD.fullmatch(value):
            return "upload://<id>"
        case str() if _TOKEN.fullmatch(value):
            return "/v1/tokens/<id>"
        case str() if found := _FILE.fullmatch(value):
            return f"{found[1]}<token>"
        case str() if _SIGNED.fullmatch(value):
            return _without_signature(value)
    return value


def _without_signature(url: str) -> str:
    """Remove from a presigned URL its signature, its time and the signer's credentials."""
    parts = urlsplit(url)
    signed = {"X-Amz-Signature", "X-Amz-Date", "X-Amz-Credential", "X-Amz-Security-Token"}
    query = sorted(
        (name, "" if name in signed else value) for name, value in parse_qsl(parts.query)
    )
    # Only the deployed function's role has a session token; the keys of a container have none.
    kept = [f"{name}={value}" for name, value in query if name != "X-Amz-Security-Token"]
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{'&'.join(kept)}"


def _walk(where: str, deployed: Any, local: Any) -> Iterator[str]:
    if isinstance(deployed, dict) and isinstance(local, dict):
        for name in sorted(deployed.keys() | local.keys()):
            place = f"{where}.{name}" if where else str(name)
            yield from _walk(place, deployed.get(name, "nothing"), local.get(name, "nothing"))
    elif isinstance(deployed, list) and isinstance(local, list) and len(deployed) == len(local):
        for number, (one, other) in enumerate(zip(deployed, local, strict=True)):
            yield from _walk(f"{where}[{number}]", one, other)
    elif deployed != local or type(deployed) is not type(local):
        yield f"{where or 'response'}: deployed {_short(deployed)}, local {_short(local)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:157]}..."
