"""What is wrong with an order's `input`: by the rules of its model, and by what PoYo can fetch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from unicodedata import category

from imagetasks.api.field_errors import MAX_URL_CHARS, field_error
from imagetasks.tasks.image_reference import (
    file_reference,
    is_fetchable_url,
    is_upload,
    task_file,
)

if TYPE_CHECKING:
    from imagetasks.poyo.model_catalog import Model

Problem = Mapping[str, str]

PROMPT = "/input/prompt"
NOT_IN_A_URI = re.compile(r"[^!-~]|\\")
# Unicode categories: control, format and surrogate characters, combining marks, separators.
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Mc", "Me", "Mn", "Zl", "Zp", "Zs"})
# Letters and symbols drawn as nothing, and unassigned characters that Unicode wants ignored.
NOT_DRAWN = re.compile(
    "[\u115f\u1160\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U0001d159\U000e0000-\U000e0fff]"
)


def input_errors(
    model: Model,
    image_input: Mapping[str, Any],
    public_base_url: str,
    elsewhere: Mapping[str, str],
) -> Iterator[Problem]:
    """What the model does not allow, and what PoYo could not use. A `file_url` of this service begins
    with `public_base_url`; `elsewhere`: see `Model.errors`."""
    found = model.errors(image_input, elsewhere)
    yield from found
    wrong = {each["pointer"] for each in found}
    if PROMPT not in wrong and is_blank(image_input["prompt"]):
        yield field_error(PROMPT, "must not be blank: it has no visible character")
    for pointer, url in model.addresses(image_input):
        if wrong.isdisjoint(_above(pointer)) and (problem := address_error(url, public_base_url)):
            yield field_error(pointer, problem)


def _above(pointer: str) -> Iterator[str]:
    """The pointer, and those of all that it is in."""
    while pointer:
        yield pointer
        pointer = pointer.rpartition("/")[0]


def estimate_error(
    model: Model, image_input: Mapping[str, Any], max_credits: float | None
) -> Problem | None:
    """Why a valid order may cost more than `max_credits`, or None if it may not."""
    if max_credits is None:
        return None
    price = model.price(image_input)
    if price.credits <= Decimal(str(max_credits)):
        return None
    costs = "is estimated at" if price.exact else "may cost up to"
    return field_error("/max_credits", f"this order {costs} {price.credits} credits")


def is_blank(text: str) -> bool:
    """Whether `text` has no visible character."""
    return not NOT_DRAWN.sub("", "".join(c for c in text if category(c) not in INVISIBLE))


def address_error(url: str, public_base_url: str) -> str | None:
    """Why `url` cannot be an address in an order's `input`, or None if it can."""
    if url.lstrip()[:5].lower() == "data:":
        return "is a data: URL; send the file with POST /v1/uploads and use the `file_url` you get"
    if len(url) > MAX_URL_CHARS:
        return f"has {len(url):,} characters; an address may have {MAX_URL_CHARS:,}"
    if is_upload(url) or task_file(url) or file_reference(url, public_base_url):
        return None
    if public_base_url and url.startswith(f"{public_base_url}/"):
        return "is an address of this service, but not the `file_url` of an image"
    if is_fetchable_url(url):
        return None
    return encoding_error(url) or (
        "must be a public https address, upload://{id}, task:{task_id}/{n} with n from 0, or the "
        "`file_url` of an image"
    )


def encoding_error(url: str) -> str | None:
    """Why `url` is not written as URLs are (RFC 3986, section 2.1), or None if it is."""
    if NOT_IN_A_URI.search(url):
        return (
            "must be percent-encoded: a space is %20, and é is %C3%A9; in a host name, bücher is "
            "xn--bcher-kva"
        )
    return None
