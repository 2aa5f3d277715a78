"""functions/openapi.json, made from the code: python -m contract [--check].

It is written anew, or with --check compared: a file that the code no longer says is an error.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FILE = ROOT / "functions" / "openapi.json"
sys.path.insert(0, str(ROOT / "functions"))  # where the functions' own modules are found

from imagetasks.api.problem_details import ProblemBody  # noqa: E402
from imagetasks.poyo import compat  # noqa: E402
from openapi import samples  # noqa: E402
from openapi.operations import OPERATIONS, Answer, Operation  # noqa: E402
from openapi.schemas import HEADERS, KEY_SAYS, PARAMETERS, REF, Schema, components, name_of, named  # noqa: E402

INTRODUCTION = f"""
Turns prompts into images with PoYo's `gpt-image-2` and keeps them: no accepted task is lost, paid
twice, or shown to a stranger. An order is answered at once; the image comes later. Read the task until
its `status` is `finished` or `failed`, or name a `callback_url`.

**Keys.** `Authorization: Bearer <server key>`. A server key acts for one of your users with `X-Owner`.

**Once.** `Idempotency-Key`: {KEY_SAYS}

**Errors** are RFC 9457 problems with a stable `code`, or PoYo's shape under `/api` and `/v1/catalog`. An
address that does not exist is a 404 (`no_such_route`), another method than those here a 405 with `Allow`
(`method_not_allowed`). The gateway in front may itself answer 413, 429 or 503 with `{{"message": "…"}}`.

**Not here** is `/callbacks/…`, where PoYo reports to this service: its addresses are made by the service,
are secret, and are of no use to anybody else.

Answers may get further fields; ignore what you do not know.
""".strip()
PROBLEM = "application/problem+json"
TAGS = {
    "Tasks": "An image that was ordered, from the order to its end.",
    "Files": "Images, finished ones and those for reference.",
    "PoYo": "PoYo's own routes and shapes: its clients need only another base URL and key.",
    "Service": "About the service itself.",
}
NOTICE = """Posted when the task has ended, to the `callback_url` of its order; again after 1, 2, 4, 8 and
10 minutes until it is answered 2xx within 10 seconds. It may come twice. Signed as PoYo signs, where the
operator has set a webhook key for your server key: `X-Webhook-Signature` is
base64(HMAC-SHA256(key, task_id + "." + X-Webhook-Timestamp)). The signature does not cover the body, so
read the task before you rely on it."""


def document() -> Schema:
    """The whole contract."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "imagetasks",
            "version": version,
            "summary": "Images from PoYo's gpt-image-2, as tasks that are not lost.",
            "description": INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "Wherever this document was read."}],
        "tags": [{"name": name, "description": said} for name, said in TAGS.items()],
        "paths": paths(),
        "components": {
            "schemas": components(),
            "parameters": {name: parameter(name) for name in sorted(PARAMETERS)},
            "examples": dict(sorted(shared().items())),
            "securitySchemes": {
                "serverKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A server key, as `python -m cli.keys server add` prints it.",
                }
            },
        },
    }


def paths() -> Schema:
    """Every operation at its place."""
    found: Schema = {}
    for operation in OPERATIONS:
        found.setdefault(operation.path, {})[operation.method.lower()] = described(operation)
    return found


def described(operation: Operation) -> Schema:
    """One operation."""
    said: Schema = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": [] if operation.public else [{"serverKey": []}],
    }
    if operation.asks:
        said["parameters"] = [
            {"$ref": f"#/components/parameters/{each}"} for each in operation.asks
        ]
    if operation.takes:
        content = body(operation.takes, samples.requests(operation))
        said["requestBody"] = {"required": True, "content": {"application/json": content}}
    responses = {str(each.status): success(operation, each) for each in operation.answers}
    said["responses"] = dict(sorted((responses | refusals(operation)).items()))
    if "callback_url" in getattr(operation.takes, "model_fields", ()) and operation.id != "quote":
        # In full at both places: a client generator that is much used reads no reference here.
        said["callbacks"] = {
            "taskEnded": {"{$request.body#/callback_url}": {"post": notice(operation)}}
        }
    return said


def parameter(name: str) -> Schema:
    """A parameter; those in a path, and the Idempotency-Key that has no `optional` to it, are required."""
    place, called, schema, says = PARAMETERS[name]
    required = {"required": True} if place == "path" or name == "key" else {}
    return {"name": called, "in": place, **required, "description": says, "schema": schema}


def success(operation: Operation, answer: Answer) -> Schema:
    """An answer that is none of refusal."""
    said: Schema = {"description": answer.says}
    if answer.headers:
        said["headers"] = headers(answer.headers)
    if answer.body is not None:
        content = body(answer.body, samples.answers(operation, answer.status))
        said["content"] = {"application/json": content}
    if answer.links:
        said["links"] = {
            name: {"operationId": name, "parameters": dict(given)}
            for name, given in answer.links.items()
        }
    return said


def refusals(operation: Operation) -> Schema:
    """The operation's problems by status, each with what it looks like on this very path."""
    by_status: dict[str, list[tuple[str, Any]]] = {}
    for problem in operation.problems:
        answer = samples.told(problem, operation).response(operation.path)
        by_status.setdefault(str(answer.status_code), []).append((problem.code, answer))
    return {status: refusal(dict(found)) for status, found in by_status.items()}


def refusal(answers: Mapping[str, Any]) -> Schema:
    """The refusals of one status, by code: a header that not all of them have is optional."""
    [kind] = {each.headers["Content-Type"] for each in answers.values()}
    shape: Any = ProblemBody if kind == PROBLEM else compat.PoyoError
    names = sorted({name for each in answers.values() for name in each.headers} - {"Content-Type"})
    always = [name for name in names if all(name in each.headers for each in answers.values())]
    said = [name if name in always else f"{name}?" for name in names]
    shown = {code: example(code, kind, each.body) for code, each in answers.items()}
    return {
        "description": ", ".join(f"`{code}`" for code in answers),
        **({"headers": headers(said)} if said else {}),
        "content": {kind: {**body(shape, {}), "examples": shown}},
    }


def example(code: str, kind: str, text: str) -> Schema:
    """The example of a refusal: the one that all operations share, where theirs are the same."""
    name = code if kind == PROBLEM else f"poyo_{code}"
    own = {"value": json.loads(text)}
    return {"$ref": f"#/components/examples/{name}"} if shared().get(name) == own else own


@cache
def shared() -> Mapping[str, Schema]:
    """Each refusal as the first operation that gives it shows it, in either shape."""
    found: dict[str, Schema] = {}
    for operation in OPERATIONS:
        for problem in operation.problems:
            answer = samples.told(problem, operation).response(operation.path)
            name = (
                problem.code
                if answer.headers["Content-Type"] == PROBLEM
                else f"poyo_{problem.code}"
            )
            found.setdefault(name, {"value": json.loads(str(answer.body))})
    return found


def body(kind: Any, examples: Mapping[str, Any]) -> Schema:
    """A body's schema, by its name if it has one, and what it looks like."""
    schema: Schema = (
        {"$ref": REF.format(model=name_of(kind))} if named(kind) else {"type": "object"}
    )
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"schema": schema, **({"examples": shown} if shown else {})}


def headers(names: Iterable[str]) -> Schema:
    """Headers of an answer; with a `?` one may be missing."""
    return {name.rstrip("?"): header(name.rstrip("?"), name[-1] != "?") for name in names}


def header(name: str, always: bool) -> Schema:
    schema, says = HEADERS[name]
    return {"description": says, **({"required": True} if always else {}), "schema": schema}


def notice(operation: Operation) -> Schema:
    """The caller's own callback."""
    signed = ("X-Webhook-Timestamp", "X-Webhook-Signature")
    return {
        "operationId": f"{operation.id}Ended",
        "tags": [operation.tag],
        "summary": "Your callback: a task has ended",
        "description": NOTICE,
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "schema": {"type": "string"}} for name in signed
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": body(compat.PoyoTask, samples.notice())},
        },
        "responses": {
            "2XX": {"description": "Taken; it is not posted again."},
            "4XX": {"description": "Not taken, as every other status: it is posted again."},
        },
    }


def written() -> str:
    """The document as its file has it."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write it, or say whether the file is what would be written."""
    parser = argparse.ArgumentParser(prog="python -m contract", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when it differs")
    parser.add_argument("--file", type=Path, default=FILE, help="another file than functions/")
    asked = parser.parse_args()
    if not asked.check:
        asked.file.write_text(written())
        return 0
    if asked.file.read_text() == written():
        return 0
    print(f"{asked.file} is not what the code says: run `make openapi`", file=sys.stderr)
    return 1
