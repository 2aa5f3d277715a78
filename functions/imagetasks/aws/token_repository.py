"""Browser tokens in DynamoDB: what they may do, and whether they were revoked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetasks.tasks.caller import TOKEN_ID, token_from_item, token_pk, token_to_item
from imagetasks.tasks.conditional_write import (
    Condition,
    ConditionFailed,
    PutItem,
    UpdateItem,
    absent,
    equals,
)

if TYPE_CHECKING:
    from imagetasks.aws.table import Table
    from imagetasks.tasks.caller import Token


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TokenRepository:
    """Every method raises DatabaseUnavailable when DynamoDB does not answer."""

    table: Table

    def create(self, token: Token) -> None:
        """Write a token that does not exist yet."""
        try:
            new = Condition((absent("pk"),))
            self.table.put(PutItem(item=token_to_item(token), condition=new))
        except ConditionFailed as failed:  # botocore repeated the write after a lost response
            if token_from_item(failed.item) != token:
                raise

    def get(self, token_id: str) -> Token | None:
        """The token as of now (strongly consistent), None if there is none, or if `token_id` cannot be one's
        id. A charge that comes when DynamoDB has removed the token leaves an item of sums alone."""
        if not TOKEN_ID.fullmatch(token_id):
            return None
        item = self.table.get(token_pk(token_id))
        return token_from_item(item) if "owner" in item else None

    def revoke(self, token_id: str, *, key: str, now: int) -> None:
        """Make the token of the server key `key` useless from now on; nothing changes if it is already,
        or if there is none. A transaction, because the table repeats one that collides with the order of
        a token in use."""
        valid = Condition((equals("key", key), absent("revoked_at")))
        update = UpdateItem(pk=token_pk(token_id), condition=valid, values={"revoked_at": now})
        try:
            self.table.transact_write([update])
        except ConditionFailed:
            return
