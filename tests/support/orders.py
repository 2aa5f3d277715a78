"""Bodies of orders, and the errors that the validation finds in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagetasks.api import order_request
from imagetasks.errors import InvalidOrder
from imagetasks.poyo.model_catalog import allowed, model
from imagetasks.workflows.order import Order

SMALLEST_INPUT: dict[str, Any] = {"prompt": "A lighthouse"}
IMAGE_URL = "https://example.com/a.png"
UPLOAD_URL = f"upload://{'a' * 26}"


def order_body(model: str = "gpt-image-2", **image_input: object) -> dict[str, object]:
    """The body of an order with these fields of `input`."""
    return {"model": model, "input": SMALLEST_INPUT | image_input}


def parse_order(body: object) -> order_request.CreateTaskRequest:
    """The order in `body`, which is sent as it is or as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return order_request.parse(sent, allowed("gpt-image-*"))


def order_of(body: object) -> Order:
    """The order that the owner `owner` places with a valid `body`."""
    request = parse_order(body)
    return order_request.to_order(
        request,
        model(request.model),
        owner="owner",
        idempotency_key="key",
        fingerprint="",
        public_base_url="https://img.example",
    )


def errors_by_pointer(body: object) -> dict[str, str]:
    """The errors of an invalid order: what is wrong, by JSON pointer."""
    with pytest.raises(InvalidOrder) as invalid:
        parse_order(body)
    return {each["pointer"]: each["detail"] for each in invalid.value.problems}
