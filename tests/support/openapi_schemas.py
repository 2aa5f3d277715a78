"""The generated openapi.json, and a check of bodies against its schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from openapi_schema_validator import OAS31Validator

from openapi import document
from openapi.operations import Operation

DOCUMENT: dict[str, Any] = json.loads(document.FILE.read_text())


def declared_operation(operation: Operation) -> dict[str, Any]:
    """The operation object of the document."""
    return cast(dict[str, Any], DOCUMENT["paths"][operation.path][operation.method.lower()])


def schema_errors(body: object, schema: Mapping[str, Any]) -> list[str]:
    """Where `body` is not as the schema says; further fields are errors too."""
    complete = {**schema, "components": {"schemas": _closed_schemas()}}
    validator = OAS31Validator(complete, format_checker=OAS31Validator.FORMAT_CHECKER)
    return [
        f"{'/'.join(map(str, error.path))}: {error.message}"
        for error in validator.iter_errors(body)
    ]


@cache
def _closed_schemas() -> dict[str, Any]:
    """The schemas without permission for further fields, because we send exactly what we declare."""
    return cast(dict[str, Any], _closed(DOCUMENT["components"]["schemas"]))


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(each) for name, each in schema.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed
