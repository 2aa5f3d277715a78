"""Browser tokens in DynamoDB."""

from __future__ import annotations

from decimal import Decimal

from imagetasks.aws.token_repository import TokenRepository
from imagetasks.tasks.caller import token_pk
from imagetasks.tasks.conditional_write import Condition, UpdateItem
from tests.support.environment import new_environment
from tests.support.lambdas import recorded_aws_calls


def test_sums_that_a_late_charge_left_behind_a_removed_token_are_no_token() -> None:
    with new_environment() as env:
        late = {"charged": Decimal(2), "committed": Decimal(2)}
        charge = UpdateItem(pk=token_pk("0" * 32), condition=Condition(), values={}, added=late)
        env.table.transact_write([charge])

        assert TokenRepository(env.table).get("0" * 32) is None


def test_text_that_cannot_be_an_id_is_never_a_key() -> None:
    with new_environment() as env:
        calls = recorded_aws_calls(env.table.client)

        for text in ("", "x", "A" * 32, "0" * 31, "0" * 2100, "0" * 32 + "\n"):
            assert TokenRepository(env.table).get(text) is None

        assert calls == []
