"""One order, one row, one POST: every way it can come out, and none of them paid twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from imagetasks.aws.task_repository import Outcome, Store
from imagetasks.errors import (
    AnswerLost,
    KeyReused,
    NotSent,
    QueueUnavailable,
    SecretInvalid,
    StoreUnavailable,
)
from imagetasks.limits import Limits
from imagetasks.poyo.reply import Reply
from imagetasks.tasks import signed_urls
from imagetasks.tasks.message import Ring
from imagetasks.tasks.task import derive_task_id
from imagetasks.tasks.transitions import Change
from imagetasks.workflows.submit import Submitter
from tests.fixtures import poyo_responses
from tests.support.environment import CALLBACK_KEY, World, order, world
from tests.support.fakes import POYO_ID, POYO_KEY, PROMPT, START, accepted, poyo, reply
from tests.support.lambdas import logged

LIMITS = Limits()


@pytest.fixture
def here() -> Iterator[World]:
    with world() as made:
        made.upstream.answers("POST", accepted())
        yield made


@dataclass(frozen=True)
class Away(Store):
    """A store whose table goes away once PoYo has answered."""

    fails: frozenset[str] = frozenset({"bind", "apply"})

    def bind(self, change: Change, poyo_id: str) -> Outcome:
        if "bind" in self.fails:
            raise StoreUnavailable("away")
        return super().bind(change, poyo_id)

    def apply(self, change: Change) -> Outcome:
        if "apply" in self.fails:
            raise StoreUnavailable("away")
        return super().apply(change)


class Dumb:
    """A bell that cannot be rung."""

    def ring(self, ring: Ring, *, delay_s: float = 0) -> None:
        raise QueueUnavailable("dumb")


def submitting(here: World, **replaced: Any) -> Submitter:
    return replace(here.submitter, **replaced)


def test_an_accepted_order_runs_under_poyos_id(here: World) -> None:
    made, replayed = here.submitter.submit(order())

    assert not replayed
    assert made == here.read(made)
    assert (made.state, made.poyo_id, made.attempt) == ("running", POYO_ID, 1)
    assert made.due_at == START + LIMITS.first_look_s * 1000
    assert [line["event"] for line in made.history] == ["accepted", "submitted"]
    assert here.due(made)


def test_the_post_carries_our_id_and_a_callback_that_opens_the_door(here: World) -> None:
    made, _ = here.submitter.submit(order())

    [sent] = here.upstream.sent
    path = signed_urls.callback_path("k1", CALLBACK_KEY, made.task_id)
    assert sent.content == {
        "model": "gpt-image-2",
        "callback_url": f"https://img.example{path}",
        "input": dict(order().input),
    }
    assert sent.headers["Idempotency-Key"] == made.task_id


def test_the_row_is_there_before_poyo_hears_of_it(here: World) -> None:
    seen: list[str] = []

    def asked() -> Reply:
        row = here.store.read(derive_task_id("owner", "key"))
        seen.append(row.state)
        assert here.due(row)
        return accepted()

    here.upstream.answers("POST", asked)
    here.submitter.submit(order())

    assert seen == ["submitting"]


OUTCOMES: dict[str, tuple[Reply | Exception, str, str | None]] = {
    **{
        f"accepted: {name}": (Reply(200, b), "running", None)
        for name, b in poyo_responses.ACCEPTED.items()
    },
    **{
        f"refused: {n}": (Reply(s, b), "failed", r)
        for n, (s, b, r) in poyo_responses.REFUSED.items()
    },
    **{
        f"later: {n}": (Reply(s, b), "pending", None)
        for n, (s, b, _) in poyo_responses.LATER.items()
    },
    **{
        f"ambiguous: {n}": (Reply(s, b), "unknown", None)
        for n, (s, b) in poyo_responses.AMBIGUOUS.items()
    },
    "not sent": (NotSent("ConnectTimeout"), "pending", None),
    "answer lost": (AnswerLost("ReadTimeout"), "unknown", None),
}


@pytest.mark.parametrize(("answer", "state", "reason"), OUTCOMES.values(), ids=OUTCOMES)
def test_each_outcome_of_the_one_post(
    here: World, answer: Reply | Exception, state: str, reason: str | None
) -> None:
    here.upstream.answers("POST", answer, accepted("NEVER"))

    made, _ = here.submitter.submit(order())
    again, replayed = here.submitter.submit(order())

    assert (made.state, made.reason) == (state, reason)
    assert replayed
    assert again == made == here.read(made)
    assert here.upstream.count("POST") == 1
    assert here.due(made) is (state != "failed")


def test_what_poyo_would_not_take_yet_waits_as_long_as_it_asks(here: World) -> None:
    said = {"code": 429, "error": {"message": "Please try again in 20 seconds."}}
    here.upstream.answers("POST", reply(said, 429))

    made, _ = here.submitter.submit(order())

    assert made.not_before is not None
    assert 20_000 <= made.not_before - START <= 30_000
    assert made.due_at == made.not_before + LIMITS.backup_s * 1000
    assert here.cloud.rings() == [{"delayed": True}]


def test_a_wait_that_poyo_asks_for_has_a_bound(here: World) -> None:
    said = {"code": 429, "error": {"message": "try again in 9999 seconds"}}
    here.upstream.answers("POST", reply(said, 429))

    made, _ = here.submitter.submit(order())

    assert made.not_before == START + LIMITS.submit_backoff_s[1] * 1000


def test_an_ambiguous_submit_is_given_an_hour(here: World) -> None:
    here.upstream.answers("POST", AnswerLost("ReadTimeout"))

    made, _ = here.submitter.submit(order())

    assert made.due_at == START + LIMITS.unconfirmed_after_s * 1000
    assert made.detail == "answer lost: ReadTimeout"
    assert here.cloud.rings() == []


def test_the_same_key_with_another_body_is_refused(here: World) -> None:
    here.submitter.submit(order())

    for other in (
        order(input={"prompt": "another"}),
        order(model="gpt-image-2-edit"),
        order(metadata={"a": "b"}),
    ):
        with pytest.raises(KeyReused):
            here.submitter.submit(other)
    assert here.upstream.count("POST") == 1


def test_another_owner_with_the_same_key_has_another_task(here: World) -> None:
    here.upstream.answers("POST", accepted("ONE"), accepted("TWO"))

    mine, _ = here.submitter.submit(order())
    theirs, replayed = here.submitter.submit(order(owner="stranger", input={"prompt": "theirs"}))

    assert not replayed
    assert mine.task_id != theirs.task_id


def test_without_keys_nothing_is_written(here: World) -> None:
    def missing() -> str:
        raise SecretInvalid("poyo_api_key")

    keyless = replace(poyo(here.upstream), key=missing)

    with pytest.raises(SecretInvalid):
        submitting(here, poyo=keyless).submit(order())
    assert here.cloud.rows() == []


def test_an_id_that_could_not_be_written_goes_to_the_bell(here: World) -> None:
    made, _ = submitting(here, store=Away(here.table)).submit(order())

    assert made.state == "submitting"
    assert here.cloud.rings() == [{"task_id": made.task_id, "by": "submit", "poyo_id": POYO_ID}]


def test_an_id_that_no_bell_takes_either_goes_to_the_log(here: World) -> None:
    with logged() as log:
        made, _ = submitting(here, store=Away(here.table), doorbell=Dumb()).submit(order())

    assert made.state == "submitting"
    assert POYO_ID in log.getvalue()
    assert '"level":"ERROR"' in log.getvalue().replace(" ", "")


@pytest.mark.parametrize(
    "answer", [AnswerLost("x"), NotSent("x"), Reply(429, b""), Reply(400, b""), Reply(500, b"")]
)
def test_after_the_post_nothing_raises(here: World, answer: Reply | Exception) -> None:
    here.upstream.answers("POST", answer)
    deaf = submitting(here, store=Away(here.table), doorbell=Dumb())

    made, replayed = deaf.submit(order())

    assert (made.state, replayed) == ("submitting", False)
    assert here.due(made)


def test_an_id_that_another_task_owns_is_not_taken(here: World) -> None:
    first, _ = here.submitter.submit(order("first"))
    with logged() as log:
        second, _ = here.submitter.submit(order("second"))

    assert (second.state, second.poyo_id) == ("unknown", None)
    assert here.read(first).poyo_id == POYO_ID
    assert "poyo_id_taken" in log.getvalue()


def test_a_callback_that_bound_the_task_first_is_no_loss(here: World) -> None:
    def asked() -> Reply:
        early = here.store.read(derive_task_id("owner", "key"))
        here.upstream.answers("GET", reply({"code": 200, "data": {"status": "running"}}))
        here.look(early, by="callback", poyo_id=POYO_ID)
        return accepted()

    here.upstream.answers("POST", asked)
    with logged() as log:
        made, _ = here.submitter.submit(order())

    assert (made.state, made.poyo_id) == ("running", POYO_ID)
    assert "paid_without_task" not in log.getvalue()
    assert [line["event"] for line in made.history] == ["accepted", "submitted"]


def test_two_ids_for_one_task_page_the_operator(here: World) -> None:
    def asked() -> Reply:
        early = here.store.read(derive_task_id("owner", "key"))
        here.upstream.answers("GET", reply({"code": 200, "data": {"status": "running"}}))
        here.look(early, by="callback", poyo_id="FIRST")
        return accepted("SECOND")

    here.upstream.answers("POST", asked)
    with logged() as log:
        made, _ = here.submitter.submit(order())

    assert made.poyo_id == "FIRST"
    assert "paid_without_task" in log.getvalue()


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "unavailable"), (403, "unavailable"), (402, "insufficient_credits")],
)
def test_a_refused_account_pages_the_operator(here: World, status: int, reason: str) -> None:
    here.upstream.answers("POST", Reply(status, b""))
    with logged() as log:
        made, _ = here.submitter.submit(order())

    assert made.reason == reason
    assert "account_refused" in log.getvalue()


@pytest.mark.parametrize(
    "answer",
    [
        accepted(),
        reply({"code": 400, "error": {"message": f"{PROMPT} {POYO_KEY}"}}, 400),
        reply({"code": 401, "error": {"message": f"{PROMPT} {POYO_KEY}"}}, 401),
        reply({"code": 429, "error": {"message": f"{PROMPT} {POYO_KEY}"}}, 429),
        reply({"code": 500, "error": {"message": f"{PROMPT} {POYO_KEY}"}}, 500),
        AnswerLost("x"),
        NotSent("x"),
    ],
)
@pytest.mark.parametrize("away", [False, True])
def test_no_log_line_of_a_submit_tells_a_secret(
    here: World, answer: Reply | Exception, away: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    here.upstream.answers("POST", answer)
    used = submitting(here, store=Away(here.table), doorbell=Dumb()) if away else here.submitter
    with logged() as log:
        made, _ = used.submit(order())

    said = log.getvalue() + capsys.readouterr().out
    mac = signed_urls.mac(CALLBACK_KEY, made.task_id)
    assert made.task_id in said
    for canary in (PROMPT, POYO_KEY, CALLBACK_KEY, mac, "https://", "/callbacks/"):
        assert canary not in said


def test_the_same_order_at_once_is_one_post(here: World) -> None:
    seen: list[bool] = []

    def asked() -> Reply:
        seen.append(here.submitter.submit(order())[1])
        return accepted()

    here.upstream.answers("POST", asked)
    here.submitter.submit(order())

    assert seen == [True]
    assert here.upstream.count("POST") == 1
