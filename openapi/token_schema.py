"""JSON Schema of the body of `POST /v1/tokens`, from the constants of its validation."""

from __future__ import annotations

from imagetasks.api import token_request as rules
from imagetasks.api.credit_amount import MAX_CREDITS, MAX_DECIMALS
from imagetasks.api.request import USER
from imagetasks.tasks.caller import SCOPES
from openapi.offered import MODELS
from openapi.parameters import Schema, integer, matching


def token_request_schema() -> Schema:
    """The schema. It cannot say how many decimals a number has, nor that a port is not the default."""
    credits_: Schema = {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": MAX_CREDITS,
        "description": f"Credits that its orders may cost, with up to {MAX_DECIMALS} decimals.",
    }
    optional: Schema = {
        "ttl_s": integer(*rules.TTL_S, rules.DEFAULT_TTL_S)
        | {"description": "Seconds until it ends."},
        "scopes": _selection(SCOPES, len(SCOPES))
        | {"description": "What it may do; everything that a token can do if absent."},
        "max_tasks": integer(1, rules.MAX_TASKS)
        | {"description": "Orders that it may place; any number if absent."},
        "models": _selection(tuple(MODELS), rules.MAX_MODELS)
        | {"description": "Models that it may order from; every model if absent."},
        "origin": matching(rules.ORIGIN.pattern)
        | {
            "maxLength": rules.MAX_ORIGIN_CHARS,
            "description": "The pages that may use it; pages of every origin if absent.",
        },
    }
    owner = matching(USER.pattern) | {"description": "The user of yours that it acts for."}
    return {
        "type": "object",
        "description": "A browser token for one of your users. Null stands for an absent field.",
        "additionalProperties": False,
        "required": list(rules.REQUIRED),
        "properties": {
            "owner": owner,
            "max_credits": credits_,
            **{name: _or_null(schema) for name, schema in optional.items()},
        },
    }


def _selection(values: tuple[str, ...], most: int) -> Schema:
    items = {"type": "string", "enum": list(values)}
    return {"type": "array", "items": items, "minItems": 1, "maxItems": most, "uniqueItems": True}


def _or_null(schema: Schema) -> Schema:
    outer: Schema = {
        name: schema.pop(name) for name in ("description", "default") if name in schema
    }
    return {"anyOf": [schema, {"type": "null"}], **outer}
