"""JSON Schemas of all bodies, from the request models, the typed responses and the tables of rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin, is_typeddict

from pydantic import BaseModel, TypeAdapter

from imagetasks.api import budget_request, error_mapping, problems
from imagetasks.api.problem_details import Problem, ProblemBody
from imagetasks.poyo import compat
from imagetasks.tasks.image_format import EXTENSIONS
from openapi.input_schemas import by_model, input_schemas, or_null
from openapi.offered import MODELS
from openapi.operations import OPERATIONS
from openapi.parameters import Schema
from openapi.token_schema import token_request_schema

REF = "#/components/schemas/{model}"
# Public schema names by class name. Clients are generated with them, so they must not change.
NAMES: Mapping[str, str] = {
    "CreateTaskRequest": "TaskRequest",
    "CreateUploadRequest": "UploadRequest",
    "CreateTokenRequest": "TokenRequest",
    "CreatedTokenBody": "NewToken",
    "TokenBody": "Token",
    "TaskBody": "Task",
    "TaskListBody": "TaskPage",
    "InputBody": "Ordered",
    "FileBody": "TaskFile",
    "ErrorBody": "TaskError",
    "HistoryEntry": "TaskEvent",
    "UploadBody": "Upload",
    "BudgetBody": "Budget",
    "CeilingBody": "BudgetCeiling",
    "UsageBody": "Usage",
    "UsageRowBody": "UsageRow",
    "ProblemBody": "Problem",
    "FieldError": "ProblemField",
    "ModelEntry": "Model",
    "SubmitBody": "PoyoAccepted",
    "Balance": "PoyoBalance",
    "ErrorDetail": "PoyoFault",
}
FIELDS: Mapping[str, Mapping[str, Schema]] = {
    "TaskRequest": {
        "model": {"enum": list(MODELS)},
        "metadata": {"description": "Your own data; returned with the task."},
        "max_credits": {
            "description": "Set `max_credits` to reject the order if its estimate is higher."
        },
        "callback_url": {
            "description": "The URL that receives PoYo's task object when the task has ended. Must be a public "
            "https URL that the deployment allows (its `NotificationHosts`)."
        },
    },
    "UploadRequest": {"content_type": {"enum": list(EXTENSIONS)}},
    "BudgetRequest": {
        name: {"description": f"{text[0].upper()}{text[1:]}."}
        for name, text in budget_request.ALLOWED.items()
    },
}
THROTTLED: Schema = {
    "type": "object",
    "description": "API Gateway's own body of a 429: too many requests a second.",
    "required": ["message"],
    "properties": {"message": {"type": "string"}},
}
CALLBACK = r"^https?://[!-~]+$"  # the deployment's own list decides which hosts are allowed


def known_problems() -> list[Problem]:
    """All problems, and thus all codes."""
    constants = [each for each in vars(problems).values() if isinstance(each, Problem)]
    return [*constants, *error_mapping.SUBMISSION_PROBLEMS]


def schema_name(model: Any) -> str:
    """The public name of a body's schema."""
    if get_origin(model) is compat.Envelope:
        return f"{schema_name(get_args(model)[0])}Answer"
    return NAMES.get(model.__name__, model.__name__)


def body_models() -> Iterable[Any]:
    """The types of all bodies whose schema has a name."""
    yield from (ProblemBody, compat.PoyoError, compat.PoyoTask)
    for operation in OPERATIONS:
        model = operation.request_model
        if model and (issubclass(model, BaseModel) or is_typeddict(model)):
            yield model
        yield from (each.body for each in operation.successes if is_named(each.body))


def is_named(model: Any) -> bool:
    """Whether a body's schema has a name of its own; that of a plain dict has none."""
    return model is not None and get_origin(model) is not dict


def components() -> dict[str, Schema]:
    """All schemas by public name, in alphabetical order."""
    schemas: dict[str, Schema] = {}
    for model in body_models():
        is_request = isinstance(model, type) and issubclass(model, BaseModel)
        schema = TypeAdapter(model).json_schema(
            ref_template=REF, mode="validation" if is_request else "serialization"
        )
        found = {**schema.pop("$defs", {}), schema_name(model): schema}
        schemas |= {NAMES.get(name, name): _cleaned(each) for name, each in found.items()}
    schemas |= {"Throttled": THROTTLED, "TokenRequest": token_request_schema()}
    schemas["BudgetRequest"]["additionalProperties"] = False
    schemas |= input_schemas()
    schemas["TaskRequest"] |= {"allOf": list(by_model(REF))}
    ordered = schemas["TaskRequest"]["properties"]
    ordered["input"] = {"$ref": REF.format(model="TaskInput")}
    ordered["metadata"] = or_null(ordered["metadata"])
    schemas["Ordered"]["additionalProperties"] = True  # what the model's own schema has
    ordered["callback_url"]["anyOf"][0] |= {"pattern": CALLBACK}
    schemas["Problem"] |= _status_by_code()
    schemas["Problem"]["properties"]["code"] |= {"enum": sorted({p.code for p in known_problems()})}
    for name, fields in FIELDS.items():
        for field, spec in fields.items():
            schemas[name]["properties"][field] |= spec
    return dict(sorted(schemas.items()))


def _cleaned(schema: Any) -> Any:
    """The schema without pydantic's titles and with the public names."""
    if isinstance(schema, list):
        return [_cleaned(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned = {k: _cleaned(v) for k, v in schema.items() if k != "title" or isinstance(v, dict)}
    if isinstance(cleaned.get("description"), str):
        cleaned["description"] = " ".join(cleaned["description"].split())
    if "$ref" in cleaned:
        prefix, _, name = cleaned["$ref"].rpartition("/")
        cleaned["$ref"] = f"{prefix}/{NAMES.get(name, name)}"
    return cleaned


def _status_by_code() -> Schema:
    """The status of each code, as `if` the code is one of these `then`."""
    codes: dict[int, set[str]] = {}
    for problem in known_problems():
        codes.setdefault(problem.status, set()).add(problem.code)
    return {
        "allOf": [
            {
                "if": {"properties": {"code": {"enum": sorted(found)}}},
                "then": {"properties": {"status": {"const": status}}},
            }
            for status, found in sorted(codes.items())
        ]
    }
