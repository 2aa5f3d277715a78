"""Orders: parses and validates a submit as PoYo does, dropping the fields that PoYo drops."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from imagetasks.poyo.custom_size import Size
from imagetasks.poyo.model_catalog import Model, models
from imagetasks.poyo.pricing import Price
from local.poyo_simulator.fault_rules import FaultRule
from local.poyo_simulator.image_size import image_size
from local.poyo_simulator.prompt_marks import parse_marks
from local.poyo_simulator.responses import PoyoError, invalid

MAX_URL_CHARS = 2_048
POINTER = "/input/"
DEFAULT_FORMAT = "png"


@dataclass(frozen=True)
class Order:
    """One valid submit; ``sent`` holds its known fields only, ``input`` also the defaults."""

    spec: Model
    sent: dict[str, Any]
    callback_url: str | None
    idempotency_key: str | None
    marks: tuple[FaultRule, ...] = field(default=(), compare=False)

    @property
    def model(self) -> str:
        return self.spec.model_id

    @property
    def input(self) -> dict[str, Any]:
        return self.spec.effective(self.sent)

    @property
    def prompt(self) -> str:
        return str(self.sent["prompt"])

    @property
    def price(self) -> Price:
        return self.spec.price(self.sent)

    @property
    def credits(self) -> Decimal:
        """What the account must have; where it is no exact price, less is charged."""
        return self.price.credits

    @property
    def billed(self) -> str | None:
        return self.spec.billed_resolution(self.sent)

    @property
    def images(self) -> int:
        return self.spec.images(self.sent)

    @property
    def format(self) -> str:
        """``png``, ``jpeg`` or ``webp``."""
        return self.spec.output_format(self.sent) or DEFAULT_FORMAT

    @property
    def transparent(self) -> bool:
        return bool(self.input.get("background") == "transparent")

    @property
    def dimensions(self) -> Size:
        return image_size(self.spec, self.input)

    @property
    def correlation_key(self) -> str:
        """What repeated submits of one order have in common, before there is a task id."""
        return self.callback_url or self.idempotency_key or self.prompt


def read_order(
    body: object, idempotency_key: str | None, sold: Mapping[str, Model] | None = None
) -> Order:
    """Read the order in a submit's body, of one of the models that are ``sold`` (all bundled ones).

    Raises ``PoyoError`` where PoYo would respond with it. Unknown fields of the input are dropped.
    """
    if not isinstance(body, dict):
        raise invalid("Request body must be a JSON object")
    spec = _model(body.get("model"), models() if sold is None else sold)
    given = body.get("input")
    if not isinstance(given, dict):
        raise invalid("input is required")
    known = spec.present({name: each for name, each in given.items() if name in spec.fields})
    _check_input(spec, known)
    return Order(
        spec=spec,
        sent=known,
        callback_url=_callback_url(body.get("callback_url")),
        idempotency_key=idempotency_key,
        marks=parse_marks(known["prompt"]),
    )


def _model(name: object, sold: Mapping[str, Model]) -> Model:
    if not isinstance(name, str) or not name:
        raise invalid("model is required")
    if name not in sold:
        raise PoyoError(404, "resource_not_found_error", "Model not found")
    return sold[name]


def _check_input(spec: Model, known: dict[str, Any]) -> None:
    prompt = known.get("prompt")
    if isinstance(prompt, str) and len(prompt) > spec.prompt_max:
        message = f"prompt must be at most {spec.prompt_max} characters"
        raise PoyoError(400, "content_too_long_error", message)
    if isinstance(prompt, str) and not prompt.strip():
        raise invalid("prompt is required")
    for error in spec.errors(known):
        raise invalid(f"{error['pointer'].removeprefix(POINTER)}: {error['detail']}")
    for pointer, url in spec.addresses(known):
        if not _is_http(url):
            message = f"{pointer.removeprefix(POINTER)} must be a public http(s) URL"
            raise PoyoError(400, "file_format_error", message)


def _callback_url(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_URL_CHARS or not _is_http(value):
        raise invalid(f"callback_url must be an http(s) URL of at most {MAX_URL_CHARS} characters")
    return value


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
