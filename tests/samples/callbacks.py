"""Bodies that a callback may come with, the thirteen odd ones of the issue and then some."""

from __future__ import annotations

import base64
import json

ID = "BFJI1885TB0ROHQM"
_TASK = {"task_id": ID, "status": "finished", "files": [{"file_url": "https://evil.example/x"}]}

# name: body, whether the gateway hands it over in base64, and the id that is read from it
ODD: dict[str, tuple[bytes, bool, str | None]] = {
    "truncated": (json.dumps(_TASK).encode()[:-9], False, None),
    "in base64": (json.dumps(_TASK).encode(), True, ID),
    "data null": (b'{"code":200,"data":null}', False, None),
    "a list": (b"[]", False, None),
    "a number": (b"42", False, None),
    "an object as id": (b'{"task_id":{"$ne":null}}', False, None),
    "10,000 levels deep": (b'{"data":' * 10_000 + b"1" + b"}" * 10_000, False, None),
    "3 MB": (json.dumps(_TASK | {"pad": "x" * 3_000_000}).encode(), False, None),
    "empty": (b"", False, None),
    "Latin-1": ('{"task_id":"é"}'.encode("latin-1"), True, None),
    "wrapped": (json.dumps({"code": 200, "data": _TASK}).encode(), False, ID),
    "unwrapped": (json.dumps(_TASK).encode(), False, ID),
    "form-encoded": (b"task_id=BFJI1885TB0ROHQM&status=finished", False, None),
    "null": (b"null", False, None),
    "a text": (b'"BFJI1885TB0ROHQM"', False, None),
    "an id that is a path": (b'{"task_id":"../../user/balance"}', False, None),
    "an id with half a character": (b'{"task_id":"\\ud83d"}', False, None),
    "zero bytes": (b"\0" * 100, True, None),
}


def packed(body: bytes, in_base64: bool) -> tuple[str, bool]:
    """`body` as API Gateway's event carries it."""
    return (base64.b64encode(body).decode(), True) if in_base64 else (body.decode(), False)
