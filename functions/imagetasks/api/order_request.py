"""Bodies of orders and uploads, validated field by field before a credit is spent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any
from unicodedata import category

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from imagetasks.api import json_body
from imagetasks.api.field_errors import (
    ALLOWED,
    MAX_ERRORS,
    MAX_IMAGES,
    MAX_METADATA,
    MAX_NAME_CHARS,
    MAX_PROMPT_CHARS,
    MAX_URL_CHARS,
    MAX_VALUE_CHARS,
    UNKNOWN_MODEL,
    field_error,
    from_validation,
)
from imagetasks.errors import InvalidOrder
from imagetasks.poyo import models
from imagetasks.tasks.image_format import EXTENSIONS
from imagetasks.tasks.image_reference import file_reference, is_fetchable_url, is_upload
from imagetasks.tasks.task import fingerprint
from imagetasks.workflows.order import Order

Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_CHARS)]
Value = Annotated[str, StringConstraints(max_length=MAX_VALUE_CHARS)]
NOT_IN_A_URI = re.compile(r"[^!-~]|\\")
# Unicode categories: control, format and surrogate characters, combining marks, separators.
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Mc", "Me", "Mn", "Zl", "Zp", "Zs"})
# Letters and symbols drawn as nothing, and unassigned characters that Unicode wants ignored.
NOT_DRAWN = re.compile(
    "[\u115f\u1160\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U0001d159\U000e0000-\U000e0fff]"
)


class ImageInput(BaseModel):
    """PoYo's input object. Unknown fields are refused, because PoYo would ignore them and charge."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PROMPT_CHARS)]
    quality: str = "low"
    size: str = "auto"
    resolution: str = "1K"
    image_urls: Annotated[list[str], Field(max_length=MAX_IMAGES)] = []


class CreateTaskRequest(BaseModel):
    """The body of `POST /v1/tasks`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    input: ImageInput
    metadata: Annotated[dict[Name, Value], Field(max_length=MAX_METADATA)] = {}
    max_credits: Annotated[float, Field(gt=0)] | None = None
    callback_url: Annotated[str, StringConstraints(max_length=MAX_URL_CHARS)] | None = None


class CreateUploadRequest(BaseModel):
    """The body of `POST /v1/uploads`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    content_type: str


def parse(body: bytes, public_base_url: str = "") -> CreateTaskRequest:
    """The order in `body`. Raises InvalidOrder as `json_body.parse_object` and `validate` do."""
    return validate(json_body.parse_object(body), public_base_url)


def validate(body: Mapping[str, Any], public_base_url: str = "") -> CreateTaskRequest:
    """The order in `body`, in which a `file_url` of this service begins with `public_base_url`.
    Raises InvalidOrder, which names every wrong field and what is allowed."""
    request = _validated(CreateTaskRequest, without_nulls(body))
    if problems := list(_model_errors(request, public_base_url)) or list(_budget_errors(request)):
        raise InvalidOrder(problems[:MAX_ERRORS])
    return request


def parse_upload(body: bytes) -> CreateUploadRequest:
    """The description of an upload in `body`. Raises InvalidOrder."""
    request = _validated(CreateUploadRequest, without_nulls(json_body.parse_object(body)))
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


def poyo_input(request: CreateTaskRequest) -> dict[str, Any]:
    """The input as PoYo accepts it: known fields only, empty ones left out."""
    return {k: v for k, v in request.input.model_dump().items() if v != []}


def to_order(
    request: CreateTaskRequest,
    *,
    owner: str,
    idempotency_key: str,
    fingerprint: str,
    public_base_url: str,
) -> Order:
    """The order that `owner` places with `request`; `public_base_url` is where PoYo calls back."""
    image = poyo_input(request)
    return Order(
        owner=owner,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
        model=request.model,
        input=image,
        metadata=request.metadata,
        estimated_credits=models.estimate_credits(image),
        public_base_url=public_base_url,
        notification_url=request.callback_url,
    )


def _validated[T: BaseModel](kind: type[T], body: Mapping[str, Any]) -> T:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        problems = [
            from_validation(
                each, _fields_beside(kind, each["loc"]), _fields_elsewhere(kind, each["loc"])
            )
            for each in error.errors(include_url=False)[:MAX_ERRORS]
        ]
        raise InvalidOrder(problems) from None


def _fields_beside(kind: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """The fields of the object that `loc` is in."""
    return list((ImageInput if len(loc) > 1 else kind).model_fields)


def _fields_elsewhere(kind: type[BaseModel], loc: tuple[str | int, ...]) -> Mapping[str, str]:
    """The fields of an order that are not beside `loc`, and where they are."""
    if kind is not CreateTaskRequest:
        return {}
    if len(loc) > 1:
        return {name: f"{name} beside `input`" for name in CreateTaskRequest.model_fields}
    return {name: f"{name} in `input`" for name in ImageInput.model_fields}


def _model_errors(request: CreateTaskRequest, public_base_url: str) -> Iterable[Mapping[str, str]]:
    """What the chosen model does not allow."""
    spec = models.MODELS.get(request.model)
    if spec is None:
        yield UNKNOWN_MODEL
        return
    image = request.input
    if is_blank(image.prompt):
        yield field_error("/input/prompt", "must not be blank: it has no visible character")
    if image.quality not in spec.qualities:
        yield field_error("/input/quality", f"must be one of {', '.join(spec.qualities)}")
    if image.resolution not in spec.resolutions:
        yield field_error("/input/resolution", f"must be one of {', '.join(spec.resolutions)}")
    elif problem := models.size_error(image.size, image.resolution, spec):
        yield field_error("/input/size", problem)
    if len(image.image_urls) < spec.images_min:
        yield field_error("/input/image_urls", f"{request.model} needs at least one image address")
    for n, url in enumerate(image.image_urls):
        if problem := _image_url_error(url, public_base_url):
            yield field_error(f"/input/image_urls/{n}", problem)
    if problem := _encoding_error(request.callback_url or ""):
        yield field_error("/callback_url", problem)


def _budget_errors(request: CreateTaskRequest) -> Iterable[Mapping[str, str]]:
    if request.max_credits is None:
        return
    estimated_credits = models.estimate_credits(request.input.model_dump())
    if estimated_credits > Decimal(str(request.max_credits)):
        yield field_error("/max_credits", f"this order is estimated at {estimated_credits} credits")


def is_blank(text: str) -> bool:
    """Whether `text` has no visible character."""
    return not NOT_DRAWN.sub("", "".join(c for c in text if category(c) not in INVISIBLE))


def _image_url_error(url: str, public_base_url: str) -> str | None:
    """Why `url` cannot be one of an order's `image_urls`, or None if it can."""
    if url.lstrip()[:5].lower() == "data:":
        return "is a data: URL; send the file with POST /v1/uploads and use the `file_url` you get"
    if len(url) > MAX_URL_CHARS:
        return f"has {len(url):,} characters; an address may have {MAX_URL_CHARS:,}"
    if is_upload(url) or file_reference(url, public_base_url):
        return None
    if public_base_url and url.startswith(f"{public_base_url}/"):
        return "is an address of this service, but not the `file_url` of an image"
    if is_fetchable_url(url):
        return None
    return _encoding_error(url) or (
        "must be a public https address or upload://{id}, or the `file_url` of an image"
    )


def _encoding_error(url: str) -> str | None:
    """Why `url` is not written as URLs are (RFC 3986, section 2.1), or None if it is."""
    if NOT_IN_A_URI.search(url):
        return (
            "must be percent-encoded: a space is %20, and é is %C3%A9; in a host name, bücher is "
            "xn--bcher-kva"
        )
    return None
