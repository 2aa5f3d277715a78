"""The gateway: which requests it forwards, and what it changes in them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientSession, DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from local.gateway import MAX_BODY_BYTES, Gateway

type Exchange = Callable[[TestClient[web.Request, web.Application]], Awaitable[None]]


async def api(request: web.Request) -> web.Response:
    """Return the received request as JSON, or a redirect, or a compressed body."""
    match request.path:
        case "/stage/v1/away":
            return web.Response(status=302, headers={"Location": "https://s3.example/x?a=%2F"})
        case "/stage/v1/here":
            location = str(request.url.origin()) + "/stage/v1/tasks/1"
            return web.Response(status=202, headers={"Location": location})
        case "/stage/v1/compressed":
            headers = {"Content-Encoding": "gzip", "X-Two": "1"}
            return web.Response(body=b"\x1f\x8b raw", headers=headers)
    received = {
        "method": request.method,
        "raw": request.raw_path,
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "body": (await request.read()).decode(),
    }
    return web.json_response(received, status=418)


def through_the_gateway(exchange: Exchange, options: str = "") -> None:
    """Run `exchange` with a client of a gateway for the API above.

    `options` is the path of the API to which OPTIONS requests go; if empty, they go where all others go.
    """

    async def run() -> None:
        upstream = web.Application()
        upstream.router.add_route("*", "/{path:.*}", api)
        async with (
            TestServer(upstream, host="127.0.0.1") as server,
            ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar()) as session,
        ):
            app = web.Application(client_max_size=MAX_BODY_BYTES)
            options_url = str(server.make_url(options)) if options else ""
            gateway = Gateway(str(server.make_url("/stage")), session, options_url)
            app.router.add_route("*", "/{path:.*}", gateway.handle)
            async with TestClient(TestServer(app, host="127.0.0.1")) as client:
                await exchange(client)

    asyncio.run(run())


def test_method_path_query_headers_body_and_status_pass_through() -> None:
    async def exchange(client: TestClient[web.Request, web.Application]) -> None:
        response = await client.delete(
            "/v1/tasks/a%2Fb?x=1&x=%20", data=b"{}", headers={"Idempotency-Key": "k"}
        )

        assert response.status == 418
        received = await response.json()
        assert received["method"] == "DELETE"
        assert received["raw"] == "/stage/v1/tasks/a%2Fb?x=1&x=%20"
        assert received["headers"]["idempotency-key"] == "k"
        assert received["headers"]["x-forwarded-for"] == "127.0.0.1"
        assert received["body"] == "{}"

    through_the_gateway(exchange)


@pytest.mark.parametrize(("options", "where"), [("", "/stage"), ("/function", "/function")])
def test_options_goes_to_its_own_url_if_there_is_one(options: str, where: str) -> None:
    async def exchange(client: TestClient[web.Request, web.Application]) -> None:
        preflight = await (await client.options("/v1/tasks?x=1")).json()
        other = await (await client.get("/v1/tasks?x=1")).json()

        assert (preflight["method"], preflight["raw"]) == ("OPTIONS", f"{where}/v1/tasks?x=1")
        assert other["raw"] == "/stage/v1/tasks?x=1"

    through_the_gateway(exchange, options)


def test_a_redirect_is_returned_unchanged() -> None:
    async def exchange(client: TestClient[web.Request, web.Application]) -> None:
        response = await client.get("/v1/away", allow_redirects=False)

        assert response.status == 302
        assert response.headers["Location"] == "https://s3.example/x?a=%2F"

    through_the_gateway(exchange)


def test_a_location_inside_the_emulator_becomes_a_path_of_the_gateway() -> None:
    async def exchange(client: TestClient[web.Request, web.Application]) -> None:
        response = await client.post("/v1/here", allow_redirects=False)

        assert response.headers["Location"] == "/v1/tasks/1"

    through_the_gateway(exchange)


def test_a_compressed_body_stays_compressed() -> None:
    async def exchange(client: TestClient[web.Request, web.Application]) -> None:
        client.session._auto_decompress = False
        response = await client.get("/v1/compressed")

        assert response.headers["Content-Encoding"] == "gzip"
        assert await response.read() == b"\x1f\x8b raw"

    through_the_gateway(exchange)


@pytest.mark.parametrize("path", ["/", "/v2", "/v10/tasks", "/control/tasks", "/_aws/x"])
def test_a_path_outside_the_api_gets_404(path: str) -> None:
    async def exchange(client: TestClient[web.Request, web.Application]) -> None:
        response = await client.get(path)

        assert response.status == 404
        assert response.content_type == "application/problem+json"

    through_the_gateway(exchange)


def test_an_api_that_does_not_respond_gives_502() -> None:
    async def run() -> None:
        async with ClientSession() as session:
            app = web.Application()
            gateway = Gateway("http://127.0.0.1:1/stage", session)
            app.router.add_route("*", "/{path:.*}", gateway.handle)
            async with TestClient(TestServer(app, host="127.0.0.1")) as client:
                response = await client.get("/health")

                assert response.status == 502
                assert response.content_type == "application/problem+json"

    asyncio.run(run())
