"""The whole OpenAPI document, generated from the code: python -m openapi [--check].

Writes functions/openapi.json. With --check it writes nothing and fails if the file differs from what
the code generates.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path

from openapi import ROOT
from openapi.parameters import KEY_DESCRIPTION, PARAMETERS, Schema
from openapi.paths import parameter, paths, shared_examples
from openapi.schemas import components

FILE = ROOT / "functions" / "openapi.json"

INTRODUCTION = f"""
Turns prompts into images with PoYo's image models and stores them. No accepted task is lost or paid
twice, and a task is visible to its owner only. An order is answered at once; the image follows later.
Read the task until its `status` is `finished` or `failed`, or set a `callback_url`.

**Keys.** `Authorization: Bearer <server key>`. With `X-Owner` a server key acts for one of your users.
A page sends a browser token instead, which a server key has issued for one user with `POST /v1/tokens`.

**Idempotency.** `Idempotency-Key`: {KEY_DESCRIPTION} PoYo's own submit route takes orders without a key,
too: each of them is a new task, as at PoYo, and repeating one pays again.

**Errors** are RFC 9457 problems with a stable `code`, or PoYo's shape under `/api` and `/v1/catalog`.
Branch on `code`; `detail` texts may change. An unknown route is a 404 (`no_such_route`), an unsupported
method a 405 with `Allow` (`method_not_allowed`). API Gateway itself may respond with 413, 429 or 503 and
`{{"message": "…"}}`.

**Not in this document** is `/callbacks/…`, where PoYo calls this service. The service creates these URLs;
they are secret, and callers have no use for them.

Responses may get further fields; ignore the ones that you do not know.
""".strip()
TAGS = {
    "Tasks": "An ordered image, from the order to its final status.",
    "Files": "Finished images and reference images.",
    "Budgets": "What may be spent, and what was: by the whole stack, a server key, each of its users.",
    "PoYo": "PoYo's own routes and schemas: a PoYo client needs only another base URL and key.",
    "Tokens": "Browser tokens: what a page may hold in place of a server key.",
    "Service": "The service itself.",
}


def document() -> Schema:
    """The OpenAPI document as a dict."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "imagetasks",
            "version": version,
            "summary": "Images from PoYo's gpt-image-2, as durable tasks.",
            "description": INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "The server that this document was read from."}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths(),
        "components": {
            "schemas": components(),
            "parameters": {name: parameter(name) for name in sorted(PARAMETERS)},
            "examples": dict(sorted(shared_examples().items())),
            "securitySchemes": {
                "serverKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A server key, as `imagetasks stack keys server add` prints it.",
                },
                "browserToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A browser token, as `POST /v1/tokens` returns it. "
                    "`x-required-scope` of an operation is the scope that it must have.",
                },
            },
        },
    }


def render() -> str:
    """The document as the text of its file."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file, or compare it. Returns 1 if it differs."""
    parser = argparse.ArgumentParser(prog="python -m openapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it differs")
    parser.add_argument("--file", type=Path, default=FILE, help="default: functions/openapi.json")
    options = parser.parse_args()
    if not options.check:
        options.file.write_text(render())
        return 0
    if options.file.read_text() == render():
        return 0
    print(f"{options.file} differs from the code: run `make openapi`", file=sys.stderr)
    return 1
