"""The `paths` of the OpenAPI document: operations, their responses, problems and callbacks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from imagetasks.api.api_gateway import HttpResponse
from imagetasks.api.poyo_problems import problem_response
from imagetasks.api.problem_details import Problem, ProblemBody
from imagetasks.poyo import compat
from openapi import samples
from openapi.operations import OPERATIONS, PUBLIC, SERVER_KEY, Operation, Success
from openapi.parameters import HEADERS, PARAMETERS, Schema
from openapi.schemas import REF, is_named, schema_name

WAITS = ("wait", "wait_for_any")
PROBLEM = "application/problem+json"
NOTIFICATION = """Sent to the `callback_url` of the order when the task has ended. Until it is answered with
2xx within 10 seconds it is sent again after 1, 2, 4, 8 and 10 minutes. It may arrive twice. If the operator
has set a signing key for your server key, it is signed as PoYo signs: `X-Webhook-Signature` is
base64(HMAC-SHA256(key, task_id + "." + X-Webhook-Timestamp)). The signature does not cover the body, so
read the task before you rely on it."""


def paths() -> Schema:
    """All operations by path and method."""
    found: Schema = {}
    for operation in OPERATIONS:
        methods = found.setdefault(operation.path, {})
        methods[operation.method.lower()] = _operation(operation)
        if operation.method == "GET":
            methods["head"] = _head(operation)
    return found


def _head(operation: Operation) -> Schema:
    """HEAD of an operation: its status and headers, without a body and without waiting."""
    read = _operation(
        replace(operation, parameters=tuple(p for p in operation.parameters if p not in WAITS))
    )
    responses = {
        status: {k: v for k, v in response.items() if k in ("description", "headers")}
        for status, response in read["responses"].items()
    }
    summary = f"The headers of: {operation.summary[0].lower()}{operation.summary[1:]}"
    name = f"head{operation.id[0].upper()}{operation.id[1:]}"
    return {**read, "operationId": name, "summary": summary, "responses": responses}


def _operation(operation: Operation) -> Schema:
    spec: Schema = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        **_access(operation),
    }
    if operation.parameters:
        spec["parameters"] = [
            {"$ref": f"#/components/parameters/{each}"} for each in operation.parameters
        ]
    if operation.request_model:
        content = _body(operation.request_model, samples.request_bodies(operation))
        spec["requestBody"] = {"required": True, "content": {"application/json": content}}
    responses = {str(each.status): _success(operation, each) for each in operation.successes}
    responses |= _problems(operation)
    _add_throttled(responses.setdefault("429", {}))
    spec["responses"] = dict(sorted(responses.items()))
    fields = getattr(operation.request_model, "model_fields", ())
    if "callback_url" in fields and operation.id != "quote":
        # Written out in both operations: openapi-generator does not resolve a reference here.
        url = "{$request.body#/callback_url}"
        spec["callbacks"] = {"taskEnded": {url: {"post": _notification(operation)}}}
    return spec


def _access(operation: Operation) -> Schema:
    """Who may use the operation. OpenAPI knows no scopes of bearer tokens, hence the extension."""
    if operation.access == PUBLIC:
        return {"security": []}
    if operation.access == SERVER_KEY:
        return {"security": [{"serverKey": []}]}
    schemes: list[Schema] = [{"serverKey": []}, {"browserToken": []}]
    return {"security": schemes, "x-required-scope": operation.access}


def parameter(name: str) -> Schema:
    """A parameter. Required are those of a path, and the Idempotency-Key named `key`."""
    location, public_name, schema, description = PARAMETERS[name]
    required = {"required": True} if location == "path" or name == "key" else {}
    return {
        "name": public_name,
        "in": location,
        **required,
        "description": description,
        "schema": schema,
    }


def _success(operation: Operation, success: Success) -> Schema:
    spec: Schema = {"description": success.description}
    if success.headers:
        spec["headers"] = _headers(success.headers)
    if success.body is not None:
        content = _body(success.body, samples.response_bodies(operation, success.status))
        spec["content"] = {"application/json": content}
    if success.links:
        spec["links"] = {
            name: {"operationId": name, "parameters": dict(parameters)}
            for name, parameters in success.links.items()
        }
    return spec


def _add_throttled(response: Schema) -> None:
    """Add API Gateway's own 429, which any request may get, to the operation's own 429 or to none."""
    shape: Schema = {"$ref": REF.format(model="Throttled")}
    example = {"throttled": {"value": {"message": "Too Many Requests"}}}
    own = response.get("description")
    response["description"] = (
        f"{own}, or API Gateway's throttling" if own else "Throttled by API Gateway"
    )
    content = response.setdefault("content", {})
    ours = content.get("application/json")  # on PoYo's own paths
    if ours:
        shape, example = {"anyOf": [ours["schema"], shape]}, ours["examples"] | example
    content["application/json"] = {"schema": shape, "examples": example}
    for header in response.get("headers", {}).values():
        header.pop("required", None)


def _problems(operation: Operation) -> Schema:
    """The operation's problems by status, each with the body that this very path returns."""
    by_status: dict[str, list[tuple[str, HttpResponse]]] = {}
    for problem in operation.problems:
        response = _problem_response(problem, operation)
        by_status.setdefault(str(response.status), []).append((problem.code, response))
    return {status: _problem(dict(found)) for status, found in by_status.items()}


def _problem(responses: Mapping[str, HttpResponse]) -> Schema:
    """The problems of one status by code. A header that not all of them have is optional."""
    [content_type] = {each.content_type for each in responses.values()}
    model: Any = ProblemBody if content_type == PROBLEM else compat.PoyoError
    sent = [set(each.headers) for each in responses.values()]
    always = set.intersection(*sent)
    names = [name if name in always else f"{name}?" for name in sorted(set.union(*sent))]
    examples = {
        code: _example(code, str(content_type), each.body) for code, each in responses.items()
    }
    return {
        "description": ", ".join(f"`{code}`" for code in responses),
        **({"headers": _headers(names)} if names else {}),
        "content": {content_type: {**_body(model, {}), "examples": examples}},
    }


def _example(code: str, content_type: str, body: str) -> Schema:
    """The example of a problem; a reference where the shared example is the same."""
    own = {"value": json.loads(body)}
    name = _example_name(code, content_type)
    same = shared_examples().get(name) == own
    return {"$ref": f"#/components/examples/{name}"} if same else own


def _problem_response(problem: Problem, operation: Operation) -> HttpResponse:
    """The problem's response as the operation's path gives it."""
    example = samples.with_example(problem, operation)
    return problem_response(example, operation.path, request_id=samples.REQUEST_ID)


@cache
def shared_examples() -> Mapping[str, Schema]:
    """Each problem's example in both shapes, taken from the first operation that has it."""
    found: dict[str, Schema] = {}
    for operation in OPERATIONS:
        for problem in operation.problems:
            response = _problem_response(problem, operation)
            name = _example_name(problem.code, str(response.content_type))
            found.setdefault(name, {"value": json.loads(response.body)})
    return found


def _example_name(code: str, content_type: str) -> str:
    return code if content_type == PROBLEM else f"poyo_{code}"


def _body(model: Any, examples: Mapping[str, Any]) -> Schema:
    """The schema of a body, by reference if it has a name, and its examples."""
    reference = {"$ref": REF.format(model=schema_name(model))}
    schema: Schema = reference if is_named(model) else {"type": "object"}
    values = {name: {"value": value} for name, value in examples.items()}
    return {"schema": schema, **({"examples": values} if values else {})}


def _headers(names: Iterable[str]) -> Schema:
    """The headers of a response; a name that ends with `?` is optional."""
    return {name.rstrip("?"): _header(name.rstrip("?"), name[-1] != "?") for name in names}


def _header(name: str, required: bool) -> Schema:
    schema, description = HEADERS[name]
    return {
        "description": description,
        **({"required": True} if required else {}),
        "schema": schema,
    }


def _notification(operation: Operation) -> Schema:
    """Our request to the caller's `callback_url`."""
    signature = ("X-Webhook-Timestamp", "X-Webhook-Signature")
    return {
        "operationId": f"{operation.id}Ended",
        "tags": [operation.tag],
        "summary": "Sent to your callback_url: a task has ended",
        "description": NOTIFICATION,
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "schema": {"type": "string"}} for name in signature
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": _body(compat.PoyoTask, samples.notifications())},
        },
        "responses": {
            "2XX": {"description": "Accepted; it is not sent again."},
            "4XX": {"description": "Not accepted, like every other status; it is sent again."},
        },
    }
