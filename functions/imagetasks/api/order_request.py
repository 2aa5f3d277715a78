"""Bodies of orders and uploads, validated field by field before a credit is spent."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from imagetasks.errors import InvalidOrder
from imagetasks.poyo import models
from imagetasks.tasks.image_format import EXTENSIONS
from imagetasks.tasks.image_reference import is_fetchable_url, is_upload
from imagetasks.workflows.submit import Order

MAX_PROMPT_CHARS = max(spec.prompt_max for spec in models.MODELS.values())
MAX_ERRORS = 20  # named in one response
MAX_NAME_CHARS = 64  # of an unknown field's name when it is repeated
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Value = Annotated[str, StringConstraints(max_length=256)]
Url = Annotated[str, StringConstraints(max_length=2048)]


class ImageInput(BaseModel):
    """PoYo's input object. Unknown fields are refused, because PoYo would ignore them and charge."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PROMPT_CHARS)]
    quality: str = "low"
    size: str = "auto"
    resolution: str = "1K"
    image_urls: Annotated[list[Url], Field(max_length=16)] = []


class CreateTaskRequest(BaseModel):
    """The body of `POST /v1/tasks`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    input: ImageInput
    metadata: Annotated[dict[Name, Value], Field(max_length=16)] = {}
    max_credits: Annotated[float, Field(gt=0)] | None = None
    callback_url: Url | None = None


class CreateUploadRequest(BaseModel):
    """The body of `POST /v1/uploads`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    content_type: str


def parse(body: bytes) -> CreateTaskRequest:
    """The order in `body`. Raises InvalidOrder, which names every wrong field and what is allowed."""
    request = _validated(CreateTaskRequest, body)
    if problems := list(_model_errors(request)) or list(_budget_errors(request)):
        raise InvalidOrder(problems)
    return request


def parse_upload(body: bytes) -> CreateUploadRequest:
    """The description of an upload in `body`. Raises InvalidOrder."""
    request = _validated(CreateUploadRequest, body)
    if request.content_type not in EXTENSIONS:
        raise InvalidOrder(
            [_field_error("/content_type", f"must be one of {', '.join(EXTENSIONS)}")]
        )
    return request


def poyo_input(request: CreateTaskRequest) -> dict[str, Any]:
    """The input as PoYo accepts it: known fields only, empty ones left out."""
    return {k: v for k, v in request.input.model_dump().items() if v not in (None, [])}


def to_order(
    request: CreateTaskRequest, *, owner: str, idempotency_key: str, public_base_url: str
) -> Order:
    """The order that `owner` places with `request`; `public_base_url` is where PoYo calls back."""
    image = poyo_input(request)
    return Order(
        owner=owner,
        idempotency_key=idempotency_key,
        model=request.model,
        input=image,
        metadata=request.metadata,
        estimated_credits=models.estimate_credits(image),
        public_base_url=public_base_url,
        notification_url=request.callback_url,
    )


def _validated[T: BaseModel](kind: type[T], body: bytes) -> T:
    try:
        return kind.model_validate(json.loads(body))
    except ValidationError as error:
        wrong = error.errors()[:MAX_ERRORS]
        raise InvalidOrder([_problem(kind, each) for each in wrong]) from None
    except (ValueError, RecursionError):
        raise InvalidOrder([_field_error("", "must be a JSON object in UTF-8")]) from None


def _model_errors(request: CreateTaskRequest) -> Iterable[Mapping[str, str]]:
    """What the chosen model does not allow."""
    spec = models.MODELS.get(request.model)
    if spec is None:
        yield _field_error("/model", f"must be one of {', '.join(models.MODELS)}")
        return
    image = request.input
    if not image.prompt.strip():
        yield _field_error("/input/prompt", "must not be blank")
    if image.quality not in spec.qualities:
        yield _field_error("/input/quality", f"must be one of {', '.join(spec.qualities)}")
    if image.resolution not in spec.resolutions:
        yield _field_error("/input/resolution", f"must be one of {', '.join(spec.resolutions)}")
    elif problem := models.size_error(image.size, image.resolution, spec):
        yield _field_error("/input/size", problem)
    if len(image.image_urls) < spec.images_min:
        yield _field_error("/input/image_urls", f"{request.model} needs at least one image address")
    for n, url in enumerate(image.image_urls):
        if not is_upload(url) and not is_fetchable_url(url):
            yield _field_error(
                f"/input/image_urls/{n}", "must be a public https address or upload://{id}"
            )


def _budget_errors(request: CreateTaskRequest) -> Iterable[Mapping[str, str]]:
    if request.max_credits is None:
        return
    estimated_credits = models.estimate_credits(request.input.model_dump())
    if estimated_credits > Decimal(str(request.max_credits)):
        yield _field_error(
            "/max_credits", f"this order is estimated at {estimated_credits} credits"
        )


def _problem(kind: type[BaseModel], error: Any) -> Mapping[str, str]:
    """One pydantic error as a pointer and a sentence; the caller's value is never repeated."""
    names = [str(part)[:MAX_NAME_CHARS] for part in error["loc"]]
    path = "".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in names)
    if error["type"] == "extra_forbidden":
        return _field_error(path, _unknown_field(ImageInput if len(names) > 1 else kind, names[-1]))
    return _field_error(path, str(error["msg"])[:200])


FIELD_ALIASES = {  # names of the same field in similar APIs
    **dict.fromkeys(("aspect_ratio", "aspectRatio", "ratio", "image_size"), "size"),
    **dict.fromkeys(("images", "image"), "image_urls"),
}


def _unknown_field(kind: type[BaseModel], name: str) -> str:
    """The message for an unknown field, with the known field that was probably meant."""
    known = list(kind.model_fields)
    similar = (
        [FIELD_ALIASES[name]]
        if name in FIELD_ALIASES
        else difflib.get_close_matches(name, known, 1)
    )
    suggestion = f"; did you mean {similar[0]}?" if similar and similar[0] in known else ""
    return f"unknown field, allowed are {', '.join(known)}{suggestion}"


def _field_error(pointer: str, detail: str) -> Mapping[str, str]:
    return {"pointer": pointer, "detail": detail}
