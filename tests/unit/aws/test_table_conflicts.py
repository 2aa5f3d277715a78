"""A conflict of transactions wrote nothing and is retried for some seconds; nothing else is retried."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from imagetasks.aws.client import CLIENT_CONFIG
from imagetasks.aws.table import CONFLICT_S, CONFLICT_WAITS_S, Table
from imagetasks.errors import DatabaseUnavailable
from imagetasks.limits import Limits
from imagetasks.tasks.conditional_write import Condition, ConditionFailed, PutItem, UpdateItem
from tests.support.fakes import cancelled_transaction, client_error
from tests.support.lambdas import captured_logs

UPDATE = UpdateItem(pk="a", condition=Condition(), values={}, added={"n": Decimal(1)})
PUT = PutItem(item={"pk": "a"}, condition=Condition())
SINGLE = client_error("TransactionConflictException")


CONFLICT = cancelled_transaction("None", "TransactionConflict")


@dataclass
class Engine:
    """DynamoDB with prepared outcomes, of which the last repeats; each call takes `takes_s`."""

    outcomes: list[Exception | None]
    takes_s: float = 0.0
    now_s: float = 1000.0
    calls: int = 0
    slept_s: list[float] = field(default_factory=list)

    def __getattr__(self, _: str) -> Callable[..., Any]:
        return self._call

    def _call(self, **_: Any) -> Any:
        self.now_s += self.takes_s
        outcome = self.outcomes[min(self.calls, len(self.outcomes) - 1)]
        self.calls += 1
        if outcome is not None:
            raise outcome
        return {"Attributes": {"n": {"N": "1"}}}

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds

    def table(self) -> Table:
        return Table(
            cast(Any, self),
            "tasks",
            sleep=self.sleep,
            monotonic_s=lambda: self.now_s,
            jitter=lambda _, most: most,
        )


WRITES: dict[str, tuple[Callable[[Table], object], ClientError]] = {
    "transaction": (lambda table: table.transact_write([PUT, UPDATE]), CONFLICT),
    "update": (lambda table: table.update(UPDATE), SINGLE),
    "blind update": (lambda table: table.update_blind(UPDATE), SINGLE),
    "put": (lambda table: table.put(PUT), SINGLE),
}


@pytest.mark.parametrize("kind", WRITES)
def test_write_that_conflicts_is_repeated_until_it_does_not(kind: str) -> None:
    write, conflict = WRITES[kind]
    engine = Engine([conflict, conflict, conflict, None])

    write(engine.table())

    assert engine.calls == 4
    assert engine.slept_s == [0.01, 0.02, 0.04]


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize("takes_s", [0.0, 0.05, 2.0, 30.0])
def test_conflicts_are_given_up_within_the_time_of_a_call(kind: str, takes_s: float) -> None:
    write, conflict = WRITES[kind]
    engine = Engine([conflict], takes_s=takes_s)

    with pytest.raises(DatabaseUnavailable, match="TransactionConflict"):
        write(engine.table())

    assert engine.now_s - 1000 - takes_s <= CONFLICT_S + max(CONFLICT_WAITS_S)
    assert engine.calls <= 1 + len(CONFLICT_WAITS_S)


def test_slow_answer_after_conflicts_ends_within_the_time_of_a_call() -> None:
    config: Any = CLIENT_CONFIG
    slow_s = config.connect_timeout + config.read_timeout

    assert CONFLICT_S + max(CONFLICT_WAITS_S) + slow_s <= Limits().aws_call_s


def test_transaction_that_is_not_made_says_which_items_were_in_use_and_names_no_user() -> None:
    names = ("spend#1d#0#owner:website/ann", "spend#1d#0#stack", "usage#2026-11-28#m#website/ann")
    updates = [UpdateItem(pk=pk, condition=Condition(), values={}) for pk in names]
    conflict = "TransactionConflict"
    engine = Engine([cancelled_transaction("None", conflict, conflict, "None")], takes_s=1)

    with captured_logs() as logs, pytest.raises(DatabaseUnavailable):
        engine.table().transact_write([PUT, *updates])

    line = json.loads(logs.getvalue())
    assert line["message"] == "transaction_not_made"
    assert (line["code"], line["items"]) == (conflict, "spend:owner spend:stack")


UNKNOWN: dict[str, Exception] = {
    "no answer": ReadTimeoutError(endpoint_url="x"),
    "no connection": ConnectTimeoutError(endpoint_url="x"),
    "500": client_error("InternalServerError", 500),
    "in progress": client_error("TransactionInProgressException"),
    "throttled": client_error("ProvisionedThroughputExceededException"),
    "throttled transaction": cancelled_transaction("None", "ThrottlingError"),
    "invalid": client_error("ValidationException"),
}


@pytest.mark.parametrize("outcome", UNKNOWN)
@pytest.mark.parametrize("conflicts", [0, 2])
def test_nothing_is_repeated_after_an_unknown_outcome(outcome: str, conflicts: int) -> None:
    engine = Engine([*[CONFLICT] * conflicts, UNKNOWN[outcome], None])

    with pytest.raises(DatabaseUnavailable):
        engine.table().transact_write([PUT, UPDATE])

    assert engine.calls == conflicts + 1


def test_condition_that_fails_beside_a_conflict_decides() -> None:
    engine = Engine([cancelled_transaction("TransactionConflict", "ConditionalCheckFailed"), None])

    with pytest.raises(ConditionFailed) as failed:
        engine.table().transact_write([PUT, UPDATE])

    assert failed.value.which == 1
    assert engine.calls == 1
