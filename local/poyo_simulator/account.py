"""The PoYo account: its keys, its credit balance and its rate limit."""

from collections import deque
from decimal import Decimal

from aiohttp import web

from local.poyo_simulator.clock import Clock
from local.poyo_simulator.responses import HttpResponse, PoyoError, success
from local.poyo_simulator.settings import Settings

EMAIL = "local@poyo.test"


class Account:
    """One account with several keys, one balance and one rate limit."""

    def __init__(self, clock: Clock) -> None:
        self.spent = Decimal(0)
        self._clock = clock
        self._submits: deque[float] = deque()

    def balance(self, settings: Settings) -> Decimal:
        return settings.credits - self.spent

    def charge(self, amount: Decimal, settings: Settings) -> None:
        """Take credits; raises ``PoyoError`` if the balance is too low."""
        if amount > self.balance(settings):
            raise PoyoError(402, "insufficient_credits_error", "Insufficient credits")
        self.spent += amount

    def refund(self, amount: Decimal) -> None:
        self.spent -= amount

    def count_submit(self, settings: Settings) -> None:
        """Count one submit; raises ``PoyoError`` above the rate limit. Rate 0 is unlimited."""
        now = self._clock.now()
        while self._submits and self._submits[0] <= now - settings.rate_seconds:
            self._submits.popleft()
        if settings.rate and len(self._submits) >= settings.rate:
            raise rate_limit_error(self._submits[0] + settings.rate_seconds - now)
        self._submits.append(now)


def rate_limit_error(seconds: float) -> PoyoError:
    message = f"Rate limit exceeded, please try again in {max(1, round(seconds))} seconds"
    return PoyoError(429, "rate_limit_error", message)


def invalid_key_error() -> PoyoError:
    return PoyoError(401, "authentication_error", "Invalid API key")


def require_key(request: web.Request, settings: Settings) -> None:
    """Raise ``PoyoError`` unless the request carries ``Bearer`` and one of the account's keys."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or key not in settings.keys:
        raise invalid_key_error()


def balance_response(account: Account, settings: Settings) -> HttpResponse:
    return success({"email": EMAIL, "credits_amount": float(account.balance(settings))})
