"""Bodies of orders and uploads, validated field by field before a credit is spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from imagetasks.api import json_body
from imagetasks.api.field_errors import (
    ALLOWED,
    MAX_METADATA,
    MAX_URL_CHARS,
    MAX_VALUE_CHARS,
    field_error,
    from_validation,
    one_of_models,
    unknown_model,
)
from imagetasks.api.order_input import encoding_error, estimate_error, input_errors
from imagetasks.errors import InvalidOrder
from imagetasks.poyo.input_words import MAX_ERRORS, MAX_NAME_CHARS
from imagetasks.tasks.image_format import EXTENSIONS
from imagetasks.tasks.task import fingerprint
from imagetasks.workflows.order import Order

if TYPE_CHECKING:
    from imagetasks.poyo.model_catalog import Model

Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_CHARS)]
Value = Annotated[str, StringConstraints(max_length=MAX_VALUE_CHARS)]
type Models = Mapping[str, Model]  # those that new orders may name


class CreateTaskRequest(BaseModel):
    """The body of `POST /v1/tasks`; `input` is what the model's own schema says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    input: dict[str, Any]
    metadata: Annotated[dict[Name, Value], Field(max_length=MAX_METADATA)] = {}
    max_credits: Annotated[float, Field(gt=0)] | None = None
    callback_url: Annotated[str, StringConstraints(max_length=MAX_URL_CHARS)] | None = None


class CreateUploadRequest(BaseModel):
    """The body of `POST /v1/uploads`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    content_type: str


BESIDE_INPUT = {name: f"{name} beside `input`" for name in CreateTaskRequest.model_fields}


def parse(body: bytes, models: Models, public_base_url: str = "") -> CreateTaskRequest:
    """The order in `body`. Raises InvalidOrder as `json_body.parse_object` and `validate` do."""
    return validate(json_body.parse_object(body), models, public_base_url)


def validate(
    body: Mapping[str, Any], models: Models, public_base_url: str = ""
) -> CreateTaskRequest:
    """The order in `body`, for one of `models`, in which a `file_url` of this service begins with
    `public_base_url`. Raises InvalidOrder, which names every wrong field and what is allowed."""
    fields = without_nulls(body)
    name, image_input = fields.get("model"), fields.get("input")
    model = models.get(name) if isinstance(name, str) else None
    allowed = {**ALLOWED, "model": one_of_models(models)}
    in_input = {each: f"{each} in `input`" for each in (model.fields if model else ())}
    request, problems = _read(CreateTaskRequest, fields, allowed, in_input)
    if model and isinstance(image_input, dict):
        problems += input_errors(model, image_input, public_base_url, BESIDE_INPUT)
    elif isinstance(name, str) and not model:
        problems.append(unknown_model(models, name))
    if request and (problem := encoding_error(request.callback_url or "")):
        problems.append(field_error("/callback_url", problem))
    if model and request and not problems:
        problem_ = estimate_error(model, request.input, request.max_credits)
        problems += [problem_] if problem_ else []
    if request is None or problems:
        raise InvalidOrder(problems[:MAX_ERRORS])
    return request


def parse_upload(body: bytes) -> CreateUploadRequest:
    """The description of an upload in `body`. Raises InvalidOrder."""
    fields = without_nulls(json_body.parse_object(body))
    request, problems = _read(CreateUploadRequest, fields, ALLOWED, {})
    if request is None:
        raise InvalidOrder(problems)
    if request.content_type not in EXTENSIONS:
        raise InvalidOrder([field_error("/content_type", f"must be {ALLOWED['content_type']}")])
    return request


def order_fingerprint(body: Mapping[str, Any]) -> str:
    """SHA-256 in hex of the order as the caller wrote it. `max_credits` is a limit and no part of it;
    no default, price or rule of this version has a part in it, so that it is the same after each."""
    return fingerprint({k: v for k, v in without_nulls(body).items() if k != "max_credits"})


def without_nulls(body: Mapping[str, Any]) -> dict[str, Any]:
    """`body` without its fields, and those of its `input`, that are null: null means absent."""
    present = {k: v for k, v in body.items() if v is not None}
    if isinstance(image := present.get("input"), dict):
        present["input"] = {k: v for k, v in image.items() if v is not None}
    return present


def to_order(
    request: CreateTaskRequest,
    model: Model,
    *,
    owner: str,
    idempotency_key: str,
    fingerprint: str,
    public_base_url: str,
) -> Order:
    """The order that `owner` places with a valid `request` for `model`; `public_base_url` is where PoYo
    calls back. What its task needs of the model is in the order, because the model may go."""
    price = model.price(request.input)
    sent = model.present(request.input)
    return Order(
        owner=owner,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
        model=request.model,
        input=sent,
        defaults={k: v for k, v in model.defaults().items() if k not in sent},
        addresses=dict(model.addresses(sent)),
        metadata=request.metadata,
        estimated_credits=price.credits,
        credits_exact=price.exact,
        billed_resolution=model.billed_resolution(sent),
        typical_seconds=model.typical_seconds(sent),
        public_base_url=public_base_url,
        notification_url=request.callback_url,
    )


def _read[T: BaseModel](
    kind: type[T],
    fields: Mapping[str, Any],
    allowed: Mapping[str, str],
    elsewhere: Mapping[str, str],
) -> tuple[T | None, list[Mapping[str, str]]]:
    """The body, or what is wrong with it. `elsewhere` are fields of its objects, and where they are."""
    try:
        return kind.model_validate(fields), []
    except ValidationError as error:
        found = error.errors(include_url=False)[:MAX_ERRORS]
        known = list(kind.model_fields)
        return None, [from_validation(each, known, elsewhere, allowed) for each in found]
