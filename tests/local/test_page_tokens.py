"""Tokens of the local page: for this origin's own page, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from local.gateway import Gateway, runner_of
from local.page_tokens import KEY_VARIABLE, PATH, PageTokens

OWN = {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8787"}


def answered(method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str, str]:
    """Status and body of the gateway's response, and what the API got as authorization."""
    received: list[str] = []

    async def api(request: web.Request) -> web.Response:
        received.append(request.headers.get("Authorization", ""))
        return web.json_response({"path": request.path}, status=201)

    async def run() -> tuple[int, str]:
        upstream = web.Application()
        upstream.router.add_route("*", "/{path:.*}", api)
        async with TestServer(upstream, host="127.0.0.1") as server, ClientSession() as session:
            url = str(server.make_url("")).rstrip("/")
            gateway = Gateway(url, session, page_tokens=PageTokens(url, session, "the-key"))
            runner = runner_of(gateway)
            assert runner.app is not None
            async with TestClient(TestServer(runner.app, host="127.0.0.1")) as client:
                response = await client.request(method, path, headers=headers)
                return response.status, await response.text()

    status, body = asyncio.run(run())
    return status, body, "".join(received)


def test_own_page_gets_a_token_made_with_the_local_key() -> None:
    assert answered("POST", PATH, OWN) == (201, '{"path": "/v1/tokens"}', "Bearer the-key")


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", PATH, {}),
        ("POST", PATH, {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}),
        ("POST", PATH, OWN | {"Sec-Fetch-Site": "same-site"}),
        ("POST", PATH, {"Sec-Fetch-Site": "same-origin"}),
        ("POST", PATH, OWN | {"Host": "tunnel.example"}),
        ("POST", PATH, OWN | {"Host": "[::1"}),
        (
            "POST",
            PATH,
            OWN | {"Host": "rebound.example:8787", "Origin": "http://rebound.example:8787"},
        ),
        ("POST", PATH, OWN | {"Origin": "https://tunnel.example"}),
        ("POST", PATH, OWN | {"Origin": "null"}),
        ("GET", PATH, OWN),
        ("POST", "/page/token/", OWN),
    ],
)
def test_any_other_request_is_forwarded_without_the_key(
    method: str, path: str, headers: dict[str, str]
) -> None:
    _, body, authorization = answered(method, path, headers)
    assert "/v1/tokens" not in body
    assert authorization == ""


def test_gateway_without_a_key_issues_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)

    async def made() -> PageTokens | None:
        async with ClientSession() as session:
            return PageTokens.from_env("http://127.0.0.1:1", session)

    assert asyncio.run(made()) is None
