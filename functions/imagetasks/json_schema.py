"""JSON Schema keywords beside a type: read when openapi.json is generated, unused at run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any


class JsonSchema:
    """JSON Schema keywords for an `Annotated` type; pydantic finds them by the method's name."""

    def __init__(self, **keywords: Any) -> None:
        self.keywords = keywords

    def __get_pydantic_json_schema__(
        self, schema: Any, handler: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        return {**handler(schema), **self.keywords}


Instant = Annotated[str, JsonSchema(format="date-time")]
Uri = Annotated[str, JsonSchema(format="uri")]
Count = Annotated[int, JsonSchema(minimum=0)]
Number = Annotated[float, JsonSchema(minimum=0)]
