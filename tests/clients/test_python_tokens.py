"""The Python clients with tokens of a callback: one serves until 80 % of its life, all requests share the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from imagetasks_client import ApiError, AsyncClient, Client, ConnectionFailed, Patience
from tests.clients.scripted_service import (
    KEY,
    TASK_ID,
    Blocking,
    ScriptedService,
    answer,
    problem,
    task,
    token,
)

ORDER = ("gpt-image-2", {"prompt": "A paper boat"})
URL = "https://images.example"


class Issuer:
    """Issues tokens, which differ, or fails; counts them."""

    def __init__(self) -> None:
        self.count = 0
        self.user = "ann"
        self.error: Exception | None = None

    def __call__(self) -> dict[str, str]:
        if self.error:
            raise self.error
        self.count += 1
        return {"token": token(self.count, self.user)}

    async def awaited(self) -> dict[str, str]:
        await asyncio.sleep(0)
        return self()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def patience(service: ScriptedService) -> Patience:
    return Patience(120, clock=lambda: service.now, spread=lambda: 0.0)


@pytest.fixture(params=["sync", "async"])
def client(
    request: pytest.FixtureRequest, service: ScriptedService, issuer: Issuer, patience: Patience
) -> Iterator[Any]:
    """Both clients, called in the same way."""
    options: dict[str, Any] = {"patience": patience, "transport": service}
    if request.param == "sync":
        with Client(URL, auth_callback=issuer, **options) as made:
            yield made
        return
    with asyncio.Runner() as runner:
        made_async = AsyncClient(URL, auth_callback=issuer.awaited, **options)
        yield Blocking(made_async, runner.get_loop())
        runner.run(made_async.close())


def sent(service: ScriptedService) -> list[str]:
    """The token of each request."""
    return [str(each).removeprefix("Bearer ") for each in service.sent("Authorization")]


def test_token_serves_until_80_percent_of_its_life(client: Any, service: ScriptedService) -> None:
    service.answers = [answer(task())]
    handle = client.get_handle(TASK_ID)
    for now in (0, 799, 800, 1599, 1600):
        service.now = 1000.0 + now
        handle.status()
    assert sent(service) == [token(n) for n in (1, 1, 2, 2, 3)]


def test_order_is_sent_again_under_its_key_with_another_token_after_a_401(
    client: Any, service: ScriptedService
) -> None:
    service.answers = [problem(401, "unauthorized", "never"), answer(task("not_started"), 202)]
    handle = client.submit(*ORDER)
    assert sent(service) == [token(1), token(2)]
    assert service.sent("Idempotency-Key") == [handle.idempotency_key] * 2
    assert service.requests[0].content == service.requests[1].content


def test_order_is_never_sent_again_with_the_token_of_another_user(
    client: Any, service: ScriptedService, issuer: Issuer
) -> None:
    def lose(_: httpx.Request) -> httpx.Response:
        issuer.user = "bob"
        raise httpx.ReadError("the answer was lost")

    refused = problem(401, "unauthorized", "never")
    service.answers = [lose, refused, answer(task("not_started"), 202)]
    with pytest.raises(ApiError, match="another user") as raised:
        client.submit(*ORDER, idempotency_key="k-1")
    assert (raised.value.status, raised.value.code) == (401, "another_user")
    assert (raised.value.idempotency_key, raised.value.charged) == ("k-1", None)
    assert sent(service) == [token(1)] * 2


def test_second_401_is_raised(client: Any, service: ScriptedService, issuer: Issuer) -> None:
    service.answers = [problem(401, "unauthorized", "never")]
    with pytest.raises(ApiError) as raised:
        client.submit(*ORDER)
    assert (raised.value.status, issuer.count, len(service.requests)) == (401, 2, 2)


def test_token_serves_until_its_end_while_no_other_can_be_had(
    client: Any, service: ScriptedService, issuer: Issuer
) -> None:
    service.answers = [answer(task())]
    handle = client.get_handle(TASK_ID)
    handle.status()
    issuer.error = httpx.ConnectError("refused")
    service.now += 999
    handle.status()
    assert sent(service) == [token(1)] * 2
    service.now += 1
    with pytest.raises(ConnectionFailed):
        handle.status()
    assert len(service.requests) == 2
    assert sum(service.pauses) > 60


def test_refusal_of_the_callbacks_route_reaches_the_caller_once_the_token_has_ended(
    client: Any, service: ScriptedService, issuer: Issuer
) -> None:
    service.answers = [answer(task())]
    handle = client.get_handle(TASK_ID)
    handle.status()
    request = httpx.Request("POST", "https://shop.example/api/token")
    issuer.error = httpx.HTTPStatusError("401", request=request, response=httpx.Response(401))
    service.now += 999
    handle.status()
    service.now += 1
    with pytest.raises(httpx.HTTPStatusError):
        handle.status()
    assert sent(service) == [token(1)] * 2


@pytest.mark.parametrize("issued", ["opaque", {"token": "opaque", "max_credits": 5}])
def test_token_without_claims_is_renewed_by_a_401_only(
    issued: Any, service: ScriptedService, patience: Patience
) -> None:
    service.answers = [answer(task())]
    with Client(URL, auth_callback=lambda: issued, patience=patience, transport=service) as client:
        client.get_handle(TASK_ID).status()
        service.now += 1e6
        client.get_handle(TASK_ID).status()
    assert sent(service) == ["opaque"] * 2


def test_callback_takes_the_place_of_a_key(
    service: ScriptedService, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGETASKS_KEY", KEY)
    service.answers = [answer(task())]
    with Client(URL, auth_callback=issuer, transport=service) as client:
        client.get_handle(TASK_ID).status()
    assert sent(service) == [token(1)]


def test_threads_share_a_new_token(
    service: ScriptedService, issuer: Issuer, patience: Patience
) -> None:
    service.answers = [answer(task())]
    with (
        Client(URL, auth_callback=issuer, patience=patience, transport=service) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        read: Callable[[int], Any] = lambda _: client.get_handle(TASK_ID).status()  # noqa: E731
        list(pool.map(read, range(32)))
    assert set(sent(service)) == {token(1)}
    assert issuer.count == 1


def test_coroutines_share_a_new_token(
    service: ScriptedService, issuer: Issuer, patience: Patience
) -> None:
    service.answers = [answer(task())]

    async def read_all() -> None:
        async with AsyncClient(
            URL, auth_callback=issuer.awaited, patience=patience, transport=service
        ) as client:
            await asyncio.gather(*(client.get_handle(TASK_ID).status() for _ in range(8)))

    asyncio.run(read_all())
    assert (len(service.requests), issuer.count) == (8, 1)
