"""What can be set: on the command line at the start, and through the control API later."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from decimal import Decimal

from local.poyo_simulator.responses import bad_request

LARGEST = 1e9  # seconds, credits, whatever: beyond thirty years a date has no room


@dataclass(frozen=True)
class Settings:
    """How this PoYo behaves when no fault is ordered; times are in seconds of its own clock."""

    keys: tuple[str, ...] = ("sk-local-poyo",)
    webhook_key: str | None = None
    callback_retries: int = 5
    callback_first_wait: float = 60.0
    seconds: tuple[float, float] = (2.0, 6.0)
    file_hours: float = 24.0
    rate: int = 20
    rate_seconds: float = 10.0
    credits: Decimal = Decimal(10_000)
    wrapped: bool = False
    idempotency: str = "ignore"

    def view(self) -> dict[str, object]:
        """Everything but the secrets, of which only their presence is told."""
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        shown |= {"credits": float(self.credits), "webhook_key": self.webhook_key is not None}
        del shown["keys"]
        return shown


class UnfitError(Exception):
    """A value its setting cannot take; the message says what it must be."""


def number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LARGEST:
        raise UnfitError("must be a number, not negative")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UnfitError("must be a whole number, not negative")
    return value


def _credits(value: object) -> Decimal:
    return Decimal(str(number(value)))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise UnfitError("must be true or false")
    return value


def _range(value: object) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise UnfitError("must be [least, most]")
    least, most = number(value[0]), number(value[1])
    if least > most:
        raise UnfitError("must be [least, most]")
    return least, most


def _key(value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise UnfitError("must be a text, or null")
    return value


def _idempotency(value: object) -> str:
    if value not in ("honour", "ignore"):
        raise UnfitError("must be honour or ignore")
    return str(value)


READERS: dict[str, Callable[[object], object]] = {
    "webhook_key": _key,
    "callback_retries": _whole,
    "callback_first_wait": number,
    "seconds": _range,
    "file_hours": number,
    "rate": _whole,
    "rate_seconds": number,
    "credits": _credits,
    "wrapped": _flag,
    "idempotency": _idempotency,
}


def changed(settings: Settings, body: object) -> Settings:
    """The settings with a control request's changes; ``PoyoError`` names what does not fit."""
    if not isinstance(body, dict):
        raise bad_request("send an object of settings")
    if strange := set(body) - set(READERS):
        known = ", ".join(READERS)
        raise bad_request(f"unknown setting {', '.join(sorted(strange))}; there are: {known}")
    values: dict[str, object] = {}
    for name, given in body.items():
        try:
            values[name] = READERS[name](given)
        except UnfitError as error:
            raise bad_request(f"{name} {error}") from error
    return replace(settings, **values)  # type: ignore[arg-type]  # each reader returns its type
