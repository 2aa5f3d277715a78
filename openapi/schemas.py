"""JSON Schemas of everything that goes in or out: from the models, the typed answers, the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from imagetasks.api import pagination, problems, request
from imagetasks.api.problem_details import Problem, ProblemBody
from imagetasks.poyo import catalog, compat, models
from imagetasks.tasks.image_format import EXTENSIONS
from imagetasks.tasks.signed_urls import PART
from imagetasks.tasks.task import TASK_ID
from openapi.operations import OPERATIONS

Schema = dict[str, Any]
REF = "#/components/schemas/{model}"
# A class of ours by the name that clients are generated with.
NAMES: Mapping[str, str] = {
    "ImageInput": "TaskInput",
    "CreateTaskRequest": "TaskRequest",
    "CreateUploadRequest": "UploadRequest",
    "TaskBody": "Task",
    "InputBody": "Ordered",
    "FileBody": "TaskFile",
    "ErrorBody": "TaskError",
    "HistoryEntry": "TaskEvent",
    "UploadBody": "Upload",
    "ProblemBody": "Problem",
    "FieldError": "ProblemField",
    "Page": "ModelPage",
    "SubmitBody": "PoyoAccepted",
    "Balance": "PoyoBalance",
    "ErrorDetail": "PoyoFault",
}
FIELDS: Mapping[str, Mapping[str, Schema]] = {
    "TaskRequest": {
        "model": {"enum": list(models.MODELS)},
        "metadata": {"description": "Yours; given back with the task."},
        "max_credits": {"description": "Refuse the order when its estimate is higher."},
        "callback_url": {
            "description": "Where PoYo's task object is posted to when the task has ended: a public "
            "https address that this deployment may call (its `NotificationHosts`)."
        },
    },
    "UploadRequest": {"content_type": {"enum": list(EXTENSIONS)}},
}
CALLBACK = r"^https?://[!-~]+$"  # which of them may be called, a deployment decides
KEY = "^[!-~](?:[ -~]{0,253}[!-~])?$"
KEY_SAYS = "1 to 255 printable ASCII characters of your choice. The same key and body again is the same task."
WHOLE = {"type": "string", "pattern": f"^{catalog.WHOLE.pattern}$"}


def text(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


def whole(least: int, most: int, usual: int | None = None) -> Schema:
    chosen = {} if usual is None else {"default": usual}
    return {"type": "integer", "minimum": least, "maximum": most, **chosen}


# Where it stands, what it is called, its schema, what is said of it; in a path all are required.
PARAMETERS: Mapping[str, tuple[str, str, Schema, str]] = {
    "task_id": ("path", "task_id", text(TASK_ID.pattern), "As an order was answered with."),
    "n": ("path", "n", whole(0, 99), "Which image, from 0."),
    "mac": ("path", "mac", text(PART.pattern), "The key that a `file_url` ends with."),
    "model": ("path", "model", {"type": "string", "enum": list(models.MODELS)}, "Its name."),
    "key": ("header", "Idempotency-Key", {"type": "string", "pattern": KEY}, KEY_SAYS),
    "optional_key": (
        "header",
        "Idempotency-Key",
        {"type": "string", "pattern": f"^$|{KEY}"},
        f"{KEY_SAYS} Without one, or with an empty one, every order is a new one.",
    ),
    "owner": (
        "header",
        "X-Owner",
        text(request.USER.pattern),
        "Which of your users the request is for: each sees only their own tasks and uploads.",
    ),
    "known": (
        "header",
        "If-None-Match",
        {"type": "string"},
        "The `ETag` that you have: 304 when it still holds.",
    ),
    "wait": (
        "query",
        "wait",
        whole(0, request.MAX_WAIT_S, 0),
        "Seconds to hold the answer until the status is another one.",
    ),
    "status": (
        "query",
        "status",
        {"type": "string", "enum": list(request.STATUSES)},
        "Only these.",
    ),
    "limit": (
        "query",
        "limit",
        whole(1, request.MAX_PAGE_SIZE, request.DEFAULT_PAGE_SIZE),
        "Tasks a page; it may have fewer and yet not be the last.",
    ),
    "cursor": (
        "query",
        "cursor",
        {"type": "string", "format": "cursor", "maxLength": pagination.MAX_CURSOR_CHARS},
        "The `next_cursor` of the page before.",
    ),
    "models.limit": (
        "query",
        "limit",
        whole(1, 99999, catalog.DEFAULT_PAGE_SIZE),
        "Models a page.",
    ),
    "models.cursor": ("query", "cursor", WHOLE, "The `next_cursor` of the page before."),
    "models.category": ("query", "category", {"type": "string"}, "Only of this category."),
    "models.service_type": ("query", "service_type", {"type": "string"}, "Only of this type."),
    "models.q": ("query", "q", {"type": "string"}, "Only what has these words somewhere."),
    "models.tags": (
        "query",
        "tags",
        {"type": "string"},
        "Only with all these tags, commas between.",
    ),
}

# What a header of an answer is, and what it says.
HEADERS: Mapping[str, tuple[Schema, str]] = {
    "Location": ({"type": "string", "format": "uri-reference"}, "Where it is."),
    "Retry-After": (whole(1, 3600), "Seconds until it is worth asking again."),
    "ETag": ({"type": "string"}, "Stands for exactly this answer: see `If-None-Match`."),
    "Idempotent-Replayed": (
        {"type": "string", "const": "true"},
        "The task was there already; nothing was sent to PoYo.",
    ),
    "Cache-Control": ({"type": "string"}, "For less time than the link is good."),
    "WWW-Authenticate": ({"type": "string"}, "`Bearer`"),
}


def known_problems() -> list[Problem]:
    """Every problem there is, the one list of codes."""
    named = [each for each in vars(problems).values() if isinstance(each, Problem)]
    return [*named, *problems.SUBMISSION_PROBLEMS]


def name_of(kind: Any) -> str:
    """What the schema of a body is called."""
    if get_origin(kind) is compat.Envelope:
        return f"{name_of(get_args(kind)[0])}Answer"
    return NAMES.get(kind.__name__, kind.__name__)


def bodies() -> Iterable[Any]:
    """The type of everything that has a schema with a name."""
    yield from (ProblemBody, compat.PoyoError, compat.PoyoTask)
    for operation in OPERATIONS:
        yield from [operation.takes] if operation.takes else []
        yield from (each.body for each in operation.answers if named(each.body))


def named(kind: Any) -> bool:
    """Whether a body has a schema of its own name; a plain dict has not."""
    return kind is not None and get_origin(kind) is not dict


def components() -> dict[str, Schema]:
    """All schemas by name, in alphabetical order."""
    made: dict[str, Schema] = {}
    for kind in bodies():
        request = isinstance(kind, type) and issubclass(kind, BaseModel)
        schema = TypeAdapter(kind).json_schema(
            ref_template=REF, mode="validation" if request else "serialization"
        )
        found = {**schema.pop("$defs", {}), name_of(kind): schema}
        made |= {NAMES.get(name, name): _plain(each) for name, each in found.items()}
    made["TaskInput"] = _as_strict_as_the_rules(made["TaskInput"])
    made["TaskRequest"] |= {"allOf": list(_by_model())}
    made["TaskRequest"]["properties"]["callback_url"]["anyOf"][0] |= {"pattern": CALLBACK}
    made["Problem"] |= _codes()
    made["Problem"]["properties"]["code"] |= {"enum": sorted({p.code for p in known_problems()})}
    for name, fields in FIELDS.items():
        for field, said in fields.items():
            made[name]["properties"][field] |= said
    return dict(sorted(made.items()))


def _plain(schema: Any) -> Any:
    """The schema without pydantic's titles and with our names."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {k: _plain(v) for k, v in schema.items() if k != "title" or isinstance(v, dict)}
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(kept["description"].split())
    if "$ref" in kept:
        prefix, _, name = kept["$ref"].rpartition("/")
        kept["$ref"] = f"{prefix}/{NAMES.get(name, name)}"
    return kept


BROADEST = next(iter(models.MODELS.values()))


def _as_strict_as_the_rules(schema: Schema) -> Schema:
    """The model's schema with what the table of rules says of each field, and of two together."""
    rules = catalog.input_schema(BROADEST)
    for name, said in rules.pop("properties").items():
        schema["properties"][name] |= said
    return {**schema, **rules}


def _by_model() -> Iterable[Schema]:
    """What a model asks for beyond the broadest: `if` it is that model, `then` this."""
    broad = catalog.input_schema(BROADEST)
    for model, rules in models.MODELS.items():
        own = catalog.input_schema(rules)
        if own != broad:
            usual = broad["properties"]
            other = {k: v for k, v in own["properties"].items() if v != usual[k]}
            further = [name for name in own["required"] if name not in broad["required"]]
            narrower = {"properties": other, "required": further}
            yield {
                "if": {"properties": {"model": {"const": model}}},
                "then": {"properties": {"input": narrower}},
            }


def _codes() -> Schema:
    """Which status belongs to which code."""
    codes: dict[int, set[str]] = {}
    for problem in known_problems():
        codes.setdefault(problem.status, set()).add(problem.code)
    return {
        "allOf": [
            {
                "if": {"properties": {"code": {"enum": sorted(named)}}},
                "then": {"properties": {"status": {"const": status}}},
            }
            for status, named in sorted(codes.items())
        ]
    }
