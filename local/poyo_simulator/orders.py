"""An order: a submit as PoYo understands it, with its leniency and its strictness."""

from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import urlsplit

from local.poyo_simulator.billing import (
    CREDITS,
    RATIOS,
    RESOLUTIONS,
    billed,
    custom,
    custom_trouble,
    dimensions,
)
from local.poyo_simulator.fault_rules import Rule, marked
from local.poyo_simulator.responses import PoyoError, invalid

LONGEST_PROMPT = 20_000
LONGEST_URL = 2_048


@dataclass(frozen=True)
class Model:
    """What one model asks of its input."""

    name: str
    title: str
    fewest_images: int = 0
    most_images: int = 16


MODELS = {
    model.name: model
    for model in (
        Model("gpt-image-2", "GPT Image 2"),
        Model("gpt-image-2-edit", "GPT Image 2 Edit", fewest_images=1),
    )
}


@dataclass(frozen=True)
class Order:
    """One valid submit; unknown fields have already vanished from ``input``."""

    model: str
    input: dict[str, object]
    callback_url: str | None
    idempotency_key: str | None
    quality: str
    size: str
    billed: str
    marks: tuple[Rule, ...] = field(default=(), compare=False)

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
    def subject(self) -> str:
        """What two submits of the same thing share, before there is a task id."""
        return self.callback_url or self.idempotency_key or self.prompt


def read_order(body: object, idempotency_key: str | None) -> Order:
    """The order in a submit's body; ``PoyoError`` as PoYo would refuse it."""
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
        billed=billed(size, resolution),
        marks=marked(prompt),
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
    if len(prompt) > LONGEST_PROMPT:
        message = f"prompt must be at most {LONGEST_PROMPT} characters"
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
    edges = custom(value) if isinstance(value, str) else None
    if edges is None:
        return _one_of("size", value, ("auto", *RATIOS), "auto")
    if resolution == "1K":
        raise invalid("A custom size needs resolution 2K or 4K")
    if trouble := custom_trouble(edges):
        raise invalid(f"Invalid size: {trouble}")
    return f"{edges[0]}x{edges[1]}"


def _images(value: object, model: Model) -> list[str]:
    images = [] if value is None else value
    if not isinstance(images, list) or not all(isinstance(url, str) for url in images):
        raise invalid("image_urls must be a list of URLs")
    if not model.fewest_images <= len(images) <= model.most_images:
        few, many = model.fewest_images, model.most_images
        raise invalid(f"image_urls must have {few} to {many} items for {model.name}")
    if not all(_is_http(url) for url in images):
        raise PoyoError(400, "file_format_error", "image_urls must be public http(s) URLs")
    return images


def _callback_url(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST_URL or not _is_http(value):
        raise invalid(f"callback_url must be an http(s) URL of at most {LONGEST_URL} characters")
    return value


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
