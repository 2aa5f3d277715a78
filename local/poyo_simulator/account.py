"""The account: whose key it is, what is left on it, and how fast it may submit."""

from collections import deque
from decimal import Decimal

from aiohttp import web

from local.poyo_simulator.clock import Clock
from local.poyo_simulator.responses import Answer, PoyoError, success
from local.poyo_simulator.settings import Settings

EMAIL = "local@poyo.test"


class Account:
    """One customer with some keys, one balance and one rate limit."""

    def __init__(self, clock: Clock) -> None:
        self.spent = Decimal(0)
        self._clock = clock
        self._submits: deque[float] = deque()

    def left(self, settings: Settings) -> Decimal:
        return settings.credits - self.spent

    def pay(self, amount: Decimal, settings: Settings) -> None:
        """Takes the credits, or is ``PoyoError`` when there are not enough."""
        if amount > self.left(settings):
            raise PoyoError(402, "insufficient_credits_error", "Insufficient credits")
        self.spent += amount

    def give_back(self, amount: Decimal) -> None:
        self.spent -= amount

    def pace(self, settings: Settings) -> None:
        """Counts one submit, or is ``PoyoError`` when there were too many; rate 0 has no limit."""
        now = self._clock.now()
        while self._submits and self._submits[0] <= now - settings.rate_seconds:
            self._submits.popleft()
        if settings.rate and len(self._submits) >= settings.rate:
            raise too_many(self._submits[0] + settings.rate_seconds - now)
        self._submits.append(now)


def too_many(seconds: float) -> PoyoError:
    message = f"Rate limit exceeded, please try again in {max(1, round(seconds))} seconds"
    return PoyoError(429, "rate_limit_error", message)


def wrong_key() -> PoyoError:
    return PoyoError(401, "authentication_error", "Invalid API key")


def check_key(request: web.Request, settings: Settings) -> None:
    """``PoyoError`` unless the request carries ``Bearer`` and one of our keys."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or key not in settings.keys:
        raise wrong_key()


def balance(account: Account, settings: Settings) -> Answer:
    return success({"email": EMAIL, "credits_amount": float(account.left(settings))})
