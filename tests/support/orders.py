"""Bodies of orders, and the errors that the validation finds in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagetasks.api import order_request
from imagetasks.errors import InvalidOrder

SMALLEST_INPUT: dict[str, Any] = {"prompt": "A lighthouse"}
IMAGE_URL = "https://example.com/a.png"
UPLOAD_URL = f"upload://{'a' * 26}"


def order_body(model: str = "gpt-image-2", **image_input: object) -> dict[str, object]:
    """The body of an order with these fields of `input`."""
    return {"model": model, "input": SMALLEST_INPUT | image_input}


def parse_order(body: object) -> order_request.CreateTaskRequest:
    """The order in `body`, which is sent as it is or as JSON."""
    return order_request.parse(body if isinstance(body, bytes) else json.dumps(body).encode())


def errors_by_pointer(body: object) -> dict[str, str]:
    """The errors of an invalid order: what is wrong, by JSON pointer."""
    with pytest.raises(InvalidOrder) as invalid:
        parse_order(body)
    return {each["pointer"]: each["detail"] for each in invalid.value.problems}
