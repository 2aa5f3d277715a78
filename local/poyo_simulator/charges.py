"""What PoYo charges for an order: its price, or less where only the most that it can cost is known."""

from decimal import ROUND_UP, Decimal

from imagetasks.poyo.pricing import Price
from local.poyo_simulator.seeded_random import seeded_random

LEAST_SHARE = 50  # per cent of the bound
CENT = Decimal("0.01")


def charge(price: Price, *seed_parts: object) -> Decimal:
    """The credits charged, the same for the same seed; never more than the price."""
    if price.exact:
        return price.credits
    share = Decimal(seeded_random("charge", *seed_parts).randint(LEAST_SHARE, 100)) / 100
    return min(price.credits, (price.credits * share).quantize(CENT, ROUND_UP))
