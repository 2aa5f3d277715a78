"""The body of a quote: the price of an order, and whether its caller may spend that now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from imagetasks.api.schemas import OrderWarning, Seconds, json_number, rfc3339, warnings
from imagetasks.json_schema import Instant, JsonSchema, Number
from imagetasks.tasks.credit_price import usd

if TYPE_CHECKING:
    from imagetasks.poyo.model_catalog import Model
    from imagetasks.workflows.spending import Headroom, Standing


LimitName = Annotated[str, JsonSchema(enum=["stack", "key", "owner", "token"])]


class QuoteBudget(TypedDict):
    """Whether the budgets allow the order now. `scope` is the budget that has no room, else the one that
    has the least `left`, until `resets_at` (null: it never resets)."""

    allowed: bool
    scope: LimitName
    left: Number
    resets_at: Instant | None


class Quote(TypedDict):
    """What an order would cost; nothing was submitted. Unless `exact`, it costs `credits` or less, which are
    `usd` by PoYo's list price. It usually takes `typical_seconds`, null if that is not known.
    `billed_resolution` is null for a model without a resolution, `budget` if nothing limits the caller;
    while orders are `paused` every order is refused."""

    model: str
    credits: Number
    usd: Number
    exact: bool
    typical_seconds: Seconds | None
    billed_resolution: str | None
    budget: QuoteBudget | None
    paused: bool
    warnings: Sequence[OrderWarning]


def quote(model: Model, image_input: Mapping[str, Any], standing: Standing) -> Quote:
    """What an order with this valid input would cost a caller with this standing."""
    price, billed = model.price(image_input), model.billed_resolution(image_input)
    return {
        "model": model.model_id,
        "credits": json_number(price.credits) or 0,
        "usd": json_number(usd(price.credits)) or 0,
        "exact": price.exact,
        "typical_seconds": model.typical_seconds(image_input),
        "billed_resolution": billed,
        "budget": _budget(standing.headroom(price.credits)),
        "paused": standing.paused,
        "warnings": warnings(model.effective(image_input), billed),
    }


def _budget(found: Headroom | None) -> QuoteBudget | None:
    if found is None:
        return None
    return {
        "allowed": found.allowed,
        "scope": found.scope,
        "left": json_number(found.left) or 0,
        "resets_at": None if found.resets_at is None else rfc3339(found.resets_at),
    }
