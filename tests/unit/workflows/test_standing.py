"""What a caller may spend: the limit that decides, and when a refused order may be repeated."""

from __future__ import annotations

from decimal import Decimal

import pytest

from imagetasks.errors import BudgetExhausted, OrdersPaused
from imagetasks.tasks.budgets import Limit, Spend, tightest
from imagetasks.workflows.spending import Standing

NOW = 1_000_000


def limit(scope: str, most: object, resets_at: int | None, **further: object) -> Limit:
    values: dict[str, object] = {"scope": scope, "pk": scope, "resets_at": resets_at, **further}
    return Limit(max_credits=Decimal(str(most)), **values)  # type: ignore[arg-type]


def standing(*limits: Limit, spent: int = 0, paused: bool = False) -> Standing:
    spends = {each.pk: Spend(tasks=1, charged=Decimal(spent)) for each in limits}
    return Standing(limits=limits, spends=spends, paused=paused, now=NOW)


def test_order_of_exactly_what_is_left_is_allowed_and_one_of_more_is_not() -> None:
    mine = standing(limit("owner", "10.5", NOW + 1000), spent=8)

    assert mine.refusal(Decimal("2.5")) is None
    assert isinstance(mine.refusal(Decimal("2.5001")), BudgetExhausted)


def test_pause_is_named_before_a_budget() -> None:
    mine = standing(limit("owner", 0, None), paused=True)

    assert isinstance(mine.refusal(Decimal(1)), OrdersPaused)


@pytest.mark.parametrize(
    ("limits", "scope", "wait_s"),
    [
        ([("a", 5, NOW + 2000), ("b", 5, NOW + 3000)], "b", 3),
        ([("a", 5, NOW + 3000), ("b", 5, NOW + 2000)], "a", 3),
        ([("a", 5, None), ("b", 5, NOW + 2000)], "a", None),
        ([("a", 1, NOW + 2000), ("b", 5, NOW + 3000)], "b", None),  # a never has room for 2
        ([("a", 1, NOW + 9000), ("b", 50, NOW + 3000)], "a", None),
        ([("a", 5, NOW + 2000), ("b", 50, None)], "a", 2),
    ],
)
def test_limit_that_is_reset_last_decides_and_all_full_ones_must_have_room_then(
    limits: list[tuple[str, int, int | None]], scope: str, wait_s: float | None
) -> None:
    refused = standing(*(limit(*each) for each in limits), spent=4).exhausted(Decimal(2))

    assert refused is not None
    assert (refused.scope, refused.wait_s) == (scope, wait_s)


def test_token_that_has_placed_all_its_orders_is_not_to_be_asked_again() -> None:
    mine = standing(limit("token", 100, None, max_tasks=1))

    refused = mine.exhausted(Decimal(1))

    assert refused is not None
    assert (refused.scope, refused.left, refused.wait_s) == ("token", Decimal(0), None)


def test_headroom_is_the_limit_that_leaves_least_or_the_one_that_refuses() -> None:
    mine = standing(limit("a", 10, NOW + 1000), limit("b", 9, None), spent=4)

    allowed, refused = mine.headroom(Decimal(5)), mine.headroom(Decimal(6))

    assert allowed is not None
    assert refused is not None
    assert (allowed.allowed, allowed.scope, allowed.left) == (True, "b", Decimal(5))
    assert (refused.allowed, refused.scope, refused.left) == (False, "b", Decimal(5))
    assert standing().headroom(Decimal(1)) is None


def test_headroom_of_a_token_does_not_tell_what_other_users_have_spent() -> None:
    others = [limit("key", 11, None), limit("stack", 10, None)]
    token, owner = limit("token", 20, None), limit("owner", 15, None)

    shown = [
        standing(*others, *own, spent=4).headroom(Decimal(1)) for own in ([token], [token, owner])
    ]
    refused = standing(*others, token, spent=4).headroom(Decimal(7))

    assert [(each.scope, int(each.left)) for each in shown if each] == [
        ("token", 16),
        ("owner", 11),
    ]
    assert refused is not None
    assert (refused.allowed, refused.scope) == (False, "stack")


def test_of_two_limits_of_one_item_the_lower_counts_with_the_lowest_soft_limit() -> None:
    ceiling = limit("stack", 10, None)
    higher = limit("stack", 20, None, soft_credits=Decimal(8))
    lower = limit("stack", 5, None, soft_credits=Decimal(9))

    for limits in ([ceiling, higher, lower], [lower, ceiling, higher], [higher, lower, ceiling]):
        [found] = tightest(limits)
        assert (found.max_credits, found.soft_credits) == (Decimal(5), Decimal(8))
    [found] = tightest([ceiling, higher])
    assert (found.max_credits, found.soft_credits) == (Decimal(10), Decimal(8))
    assert len(tightest([ceiling, limit("owner", 1, None)])) == 2
