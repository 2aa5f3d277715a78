"""What DynamoDB leaves out of a batch for lack of capacity is requested again, after a pause."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from imagetasks.aws.table import BATCH_WAITS_S, Table
from imagetasks.errors import DatabaseUnavailable


@dataclass
class Engine:
    """DynamoDB that returns one item of each batch, and the rest as unprocessed until `most` calls."""

    most: int
    requests: list[list[str]] = field(default_factory=list)
    slept_s: list[float] = field(default_factory=list)

    def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: N803  # botocore's name
        batch = RequestItems["tasks"]
        assert batch["ConsistentRead"] is True
        self.requests.append([key["pk"]["S"] for key in batch["Keys"]])
        done = len(batch["Keys"]) if len(self.requests) >= self.most else 1
        left = {"tasks": {"Keys": batch["Keys"][done:]}} if batch["Keys"][done:] else {}
        return {"Responses": {"tasks": batch["Keys"][:done]}, "UnprocessedKeys": left}

    def table(self) -> Table:
        return Table(
            cast(Any, self), "tasks", sleep=self.slept_s.append, jitter=lambda _, most: most
        )


def test_items_that_were_left_out_are_requested_again() -> None:
    engine = Engine(most=len(BATCH_WAITS_S))
    pks = [f"task#{n}" for n in range(8)]

    assert sorted(engine.table().batch_get(pks)) == pks
    assert engine.requests == [pks[n:] for n in range(len(BATCH_WAITS_S))]
    assert engine.slept_s == list(BATCH_WAITS_S[:-1])


def test_batch_that_stays_incomplete_is_no_result() -> None:
    engine = Engine(most=100)

    with pytest.raises(DatabaseUnavailable, match="UnprocessedKeys"):
        engine.table().batch_get([f"task#{n}" for n in range(8)])

    assert len(engine.requests) == len(BATCH_WAITS_S)
