"""The simulator's settings: given on the command line, changed later through the control API."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from decimal import Decimal

from local.poyo_simulator.responses import bad_request

MAX_NUMBER = 1e9  # for seconds, credits and the rest: about thirty years, so that dates stay valid


@dataclass(frozen=True)
class Settings:
    """How this PoYo behaves without faults; durations are seconds of its own clock."""

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

    def public_values(self) -> dict[str, object]:
        """Return every setting except the keys; of the webhook key only whether it is set."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {"credits": float(self.credits), "webhook_key": self.webhook_key is not None}
        del values["keys"]
        return values


class InvalidValueError(Exception):
    """A value that its setting does not allow; the message states what is allowed."""


def number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_NUMBER:
        raise InvalidValueError("must be a number, not negative")
    return value


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidValueError("must be a whole number, not negative")
    return value


def _credits(value: object) -> Decimal:
    return Decimal(str(number(value)))


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidValueError("must be true or false")
    return value


def _range(value: object) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise InvalidValueError("must be [least, most]")
    least, most = number(value[0]), number(value[1])
    if least > most:
        raise InvalidValueError("must be [least, most]")
    return least, most


def _key(value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise InvalidValueError("must be a text, or null")
    return value


def _idempotency(value: object) -> str:
    if value not in ("honour", "ignore"):
        raise InvalidValueError("must be honour or ignore")
    return str(value)


PARSERS: dict[str, Callable[[object], object]] = {
    "webhook_key": _key,
    "callback_retries": _integer,
    "callback_first_wait": number,
    "seconds": _range,
    "file_hours": number,
    "rate": _integer,
    "rate_seconds": number,
    "credits": _credits,
    "wrapped": _boolean,
    "idempotency": _idempotency,
}


def updated(settings: Settings, body: object) -> Settings:
    """Return the settings with a control request's changes; ``PoyoError`` names a bad value."""
    if not isinstance(body, dict):
        raise bad_request("send an object of settings")
    if unknown := set(body) - set(PARSERS):
        known = ", ".join(PARSERS)
        raise bad_request(f"unknown setting {', '.join(sorted(unknown))}; known settings: {known}")
    values: dict[str, object] = {}
    for name, value in body.items():
        try:
            values[name] = PARSERS[name](value)
        except InvalidValueError as error:
            raise bad_request(f"{name} {error}") from error
    return replace(settings, **values)  # type: ignore[arg-type]  # each parser returns its type
