"""Orders: parses and validates a submit as PoYo does, dropping the fields that PoYo drops."""

from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import urlsplit

from local.poyo_simulator.billing import (
    CREDITS,
    RATIOS,
    RESOLUTIONS,
    billed_resolution,
    custom_size_error,
    dimensions,
    parse_custom_size,
)
from local.poyo_simulator.fault_rules import FaultRule
from local.poyo_simulator.prompt_marks import parse_marks
from local.poyo_simulator.responses import PoyoError, invalid

MAX_PROMPT_CHARS = 20_000
MAX_URL_CHARS = 2_048


@dataclass(frozen=True)
class Model:
    """One model and how many reference images it takes."""

    name: str
    title: str
    min_images: int = 0
    max_images: int = 16


MODELS = {
    model.name: model
    for model in (
        Model("gpt-image-2", "GPT Image 2"),
        Model("gpt-image-2-edit", "GPT Image 2 Edit", min_images=1),
    )
}


@dataclass(frozen=True)
class Order:
    """One valid submit; ``input`` holds the known fields only."""

    model: str
    input: dict[str, object]
    callback_url: str | None
    idempotency_key: str | None
    quality: str
    size: str
    billed: str
    marks: tuple[FaultRule, ...] = field(default=(), compare=False)

    @property
    def prompt(self) -> str:
        return str(self.input["prompt"])

    @property
    def credits(self) -> Decimal:
        return CREDITS[self.quality][self.billed]

    @property
    def dimensions(self) -> tuple[int, int]:
        return dimensions(self.size, self.billed)

    @property
    def correlation_key(self) -> str:
        """What repeated submits of one order have in common, before there is a task id."""
        return self.callback_url or self.idempotency_key or self.prompt


def read_order(body: object, idempotency_key: str | None) -> Order:
    """Read the order in a submit's body; raises ``PoyoError`` where PoYo would respond with it."""
    if not isinstance(body, dict):
        raise invalid("Request body must be a JSON object")
    model = _model(body.get("model"))
    given = body.get("input")
    if not isinstance(given, dict):
        raise invalid("input is required")
    prompt = _prompt(given.get("prompt"))
    quality = _one_of("quality", given.get("quality"), tuple(CREDITS), "low")
    resolution = _one_of("resolution", given.get("resolution"), RESOLUTIONS, "1K")
    size = _size(given.get("size"), resolution)
    images = _images(given.get("image_urls"), model)
    known = {"prompt": prompt, "quality": quality, "resolution": resolution, "size": size}
    return Order(
        model=model.name,
        input={**known, "image_urls": images},
        callback_url=_callback_url(body.get("callback_url")),
        idempotency_key=idempotency_key,
        quality=quality,
        size=size,
        billed=billed_resolution(size, resolution),
        marks=parse_marks(prompt),
    )


def _model(name: object) -> Model:
    if not isinstance(name, str) or not name:
        raise invalid("model is required")
    if name not in MODELS:
        raise PoyoError(404, "resource_not_found_error", "Model not found")
    return MODELS[name]


def _prompt(prompt: object) -> str:
    if not isinstance(prompt, str) or not prompt.strip():
        raise invalid("prompt is required")
    if len(prompt) > MAX_PROMPT_CHARS:
        message = f"prompt must be at most {MAX_PROMPT_CHARS} characters"
        raise PoyoError(400, "content_too_long_error", message)
    return prompt


def _one_of(field_name: str, value: object, allowed: tuple[str, ...], default: str) -> str:
    if value is None:
        return default
    if not isinstance(value, str) or value not in allowed:
        raise invalid(f"{field_name} must be one of {', '.join(allowed)}")
    return value


def _size(value: object, resolution: str) -> str:
    if value is None:
        return "auto"
    sides = parse_custom_size(value) if isinstance(value, str) else None
    if sides is None:
        return _one_of("size", value, ("auto", *RATIOS), "auto")
    if resolution == "1K":
        raise invalid("A custom size needs resolution 2K or 4K")
    if error := custom_size_error(sides):
        raise invalid(f"Invalid size: {error}")
    return f"{sides[0]}x{sides[1]}"


def _images(value: object, model: Model) -> list[str]:
    images = [] if value is None else value
    if not isinstance(images, list) or not all(isinstance(url, str) for url in images):
        raise invalid("image_urls must be a list of URLs")
    if not model.min_images <= len(images) <= model.max_images:
        least, most = model.min_images, model.max_images
        raise invalid(f"image_urls must have {least} to {most} items for {model.name}")
    if not all(_is_http(url) for url in images):
        raise PoyoError(400, "file_format_error", "image_urls must be public http(s) URLs")
    return images


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
