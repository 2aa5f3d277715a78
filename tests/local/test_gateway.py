"""The front: what it passes on, and what it leaves alone."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientSession, DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from local.gateway import MAX_BODY_BYTES, Front

type Talk = Callable[[TestClient[web.Request, web.Application]], Awaitable[None]]


async def api(request: web.Request) -> web.Response:
    """Says what it was asked, or redirects."""
    match request.path:
        case "/stage/v1/away":
            return web.Response(status=302, headers={"Location": "https://s3.example/x?a=%2F"})
        case "/stage/v1/here":
            location = str(request.url.origin()) + "/stage/v1/tasks/1"
            return web.Response(status=202, headers={"Location": location})
        case "/stage/v1/packed":
            headers = {"Content-Encoding": "gzip", "X-Two": "1"}
            return web.Response(body=b"\x1f\x8b raw", headers=headers)
    said = {
        "method": request.method,
        "raw": request.raw_path,
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "body": (await request.read()).decode(),
    }
    return web.json_response(said, status=418)


def through_the_front(talk: Talk, options: str = "") -> None:
    """Run `talk` with a client of a front before the API above; OPTIONS may go to a path of it."""

    async def everything() -> None:
        behind = web.Application()
        behind.router.add_route("*", "/{path:.*}", api)
        async with (
            TestServer(behind, host="127.0.0.1") as server,
            ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar()) as session,
        ):
            app = web.Application(client_max_size=MAX_BODY_BYTES)
            elsewhere = str(server.make_url(options)) if options else ""
            front = Front(str(server.make_url("/stage")), session, elsewhere)
            app.router.add_route("*", "/{path:.*}", front.handle)
            async with TestClient(TestServer(app, host="127.0.0.1")) as client:
                await talk(client)

    asyncio.run(everything())


def test_method_path_query_headers_body_and_status_go_through() -> None:
    async def talk(client: TestClient[web.Request, web.Application]) -> None:
        answer = await client.delete(
            "/v1/tasks/a%2Fb?x=1&x=%20", data=b"{}", headers={"Idempotency-Key": "k"}
        )

        assert answer.status == 418
        said = await answer.json()
        assert said["method"] == "DELETE"
        assert said["raw"] == "/stage/v1/tasks/a%2Fb?x=1&x=%20"
        assert said["headers"]["idempotency-key"] == "k"
        assert said["headers"]["x-forwarded-for"] == "127.0.0.1"
        assert said["body"] == "{}"

    through_the_front(talk)


@pytest.mark.parametrize(("options", "where"), [("", "/stage"), ("/function", "/function")])
def test_options_goes_to_the_api_unless_it_has_an_address_of_its_own(
    options: str, where: str
) -> None:
    async def talk(client: TestClient[web.Request, web.Application]) -> None:
        asked = await (await client.options("/v1/tasks?x=1")).json()
        other = await (await client.get("/v1/tasks?x=1")).json()

        assert (asked["method"], asked["raw"]) == ("OPTIONS", f"{where}/v1/tasks?x=1")
        assert other["raw"] == "/stage/v1/tasks?x=1"

    through_the_front(talk, options)


def test_a_redirect_is_handed_back_as_it_is() -> None:
    async def talk(client: TestClient[web.Request, web.Application]) -> None:
        answer = await client.get("/v1/away", allow_redirects=False)

        assert answer.status == 302
        assert answer.headers["Location"] == "https://s3.example/x?a=%2F"

    through_the_front(talk)


def test_a_location_inside_the_emulator_becomes_one_that_a_browser_reaches() -> None:
    async def talk(client: TestClient[web.Request, web.Application]) -> None:
        answer = await client.post("/v1/here", allow_redirects=False)

        assert answer.headers["Location"] == "/v1/tasks/1"

    through_the_front(talk)


def test_a_packed_body_stays_packed() -> None:
    async def talk(client: TestClient[web.Request, web.Application]) -> None:
        client.session._auto_decompress = False
        answer = await client.get("/v1/packed")

        assert answer.headers["Content-Encoding"] == "gzip"
        assert await answer.read() == b"\x1f\x8b raw"

    through_the_front(talk)


@pytest.mark.parametrize("path", ["/", "/v2", "/v10/tasks", "/control/tasks", "/_aws/x"])
def test_what_is_not_the_api_is_not_reached(path: str) -> None:
    async def talk(client: TestClient[web.Request, web.Application]) -> None:
        answer = await client.get(path)

        assert answer.status == 404
        assert answer.content_type == "application/problem+json"

    through_the_front(talk)


def test_an_api_that_does_not_answer_is_a_502() -> None:
    async def everything() -> None:
        async with ClientSession() as session:
            app = web.Application()
            front = Front("http://127.0.0.1:1/stage", session)
            app.router.add_route("*", "/{path:.*}", front.handle)
            async with TestClient(TestServer(app, host="127.0.0.1")) as client:
                answer = await client.get("/health")

                assert answer.status == 502
                assert answer.content_type == "application/problem+json"

    asyncio.run(everything())
