"""The gateway: which requests it forwards, and what it changes in them."""

import asyncio
import gzip
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from local.cors import LOCALHOST, Cors, to_json
from local.gateway import MAX_BODY_BYTES, MAX_CONCURRENT, Gateway, runner_of
from local.throttle import Throttle

type Client = TestClient[web.Request, web.Application]
type Exchange = Callable[[Client], Awaitable[None]]
CORS = Cors.from_json(
    to_json({"AllowMethods": ["GET"], "ExposeHeaders": ["etag"], "MaxAge": 600}, LOCALHOST)
)


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
        case "/stage/v1/bytes":
            headers = {name.lower(): value for name, value in request.headers.items()}
            return web.json_response({"body": (await request.read()).hex(), "headers": headers})
    received = {
        "method": request.method,
        "raw": request.raw_path,
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "body": (await request.read()).decode(),
    }
    return web.json_response(received, status=418)


def through_the_gateway(exchange: Exchange, options: str = "", **arguments: Any) -> None:
    """Run `exchange` with a client of a gateway for the API above.

    `options` is the path of the API to which OPTIONS requests go; if empty, they go where all others go.
    """

    async def run() -> None:
        upstream = web.Application()
        upstream.router.add_route("*", "/{path:.*}", api)
        server = TestServer(upstream, host="127.0.0.1")
        await server.start_server(auto_decompress=False)
        async with (
            server,
            ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar()) as session,
        ):
            options_url = str(server.make_url(options)) if options else ""
            url = str(server.make_url("/stage"))
            gateway = Gateway(url, session, options_url=options_url, **arguments)
            async with client_of(gateway) as client:
                await exchange(client)

    asyncio.run(run())


@asynccontextmanager
async def client_of(gateway: Gateway) -> AsyncIterator[Client]:
    """A client of the server that the gateway really runs in."""
    runner = runner_of(gateway)
    assert runner.app is not None
    server = TestServer(runner.app, host="127.0.0.1")
    await server.start_server(auto_decompress=False)
    async with TestClient(server) as client:
        yield client


def test_method_path_query_headers_body_and_status_pass_through() -> None:
    async def exchange(client: Client) -> None:
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
    async def exchange(client: Client) -> None:
        preflight = await (await client.options("/v1/tasks?x=1")).json()
        other = await (await client.get("/v1/tasks?x=1")).json()

        assert (preflight["method"], preflight["raw"]) == ("OPTIONS", f"{where}/v1/tasks?x=1")
        assert other["raw"] == "/stage/v1/tasks?x=1"

    through_the_gateway(exchange, options)


def test_a_redirect_is_returned_unchanged() -> None:
    async def exchange(client: Client) -> None:
        response = await client.get("/v1/away", allow_redirects=False)

        assert response.status == 302
        assert response.headers["Location"] == "https://s3.example/x?a=%2F"

    through_the_gateway(exchange)


def test_a_location_inside_the_emulator_becomes_a_path_of_the_gateway() -> None:
    async def exchange(client: Client) -> None:
        response = await client.post("/v1/here", allow_redirects=False)

        assert response.headers["Location"] == "/v1/tasks/1"

    through_the_gateway(exchange)


def test_a_compressed_body_stays_compressed() -> None:
    async def exchange(client: Client) -> None:
        client.session._auto_decompress = False
        response = await client.get("/v1/compressed")

        assert response.headers["Content-Encoding"] == "gzip"
        assert await response.read() == b"\x1f\x8b raw"

    through_the_gateway(exchange)


@pytest.mark.parametrize("path", ["/", "/v2", "/v10/tasks", "/control/tasks", "/_aws/x"])
def test_a_path_outside_the_api_is_answered_by_the_api(path: str) -> None:
    async def exchange(client: Client) -> None:
        received = await (await client.get(path)).json()

        assert received["raw"] == f"/stage{path}"

    through_the_gateway(exchange)


def test_a_compressed_request_is_forwarded_as_it_came() -> None:
    async def exchange(client: Client) -> None:
        compressed = gzip.compress(b"{}")
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        received = await (await client.post("/v1/bytes", data=compressed, headers=headers)).json()

        assert bytes.fromhex(received["body"]) == compressed
        assert received["headers"]["content-encoding"] == "gzip"

    through_the_gateway(exchange)


def test_an_api_that_does_not_respond_gives_a_problem_that_pages_can_read() -> None:
    async def run() -> None:
        async with ClientSession() as session:
            gateway = Gateway("http://127.0.0.1:1/stage", session, cors=CORS)
            async with client_of(gateway) as client:
                response = await client.get("/health", headers={"Origin": "http://localhost:1"})

                assert response.status == 502
                assert response.content_type == "application/problem+json"
                assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:1"
                problem = await response.json()
                assert problem["code"] == "no_response"
                assert problem["retry"] == "same_key"
                assert problem["charged"] is None
                assert problem["request_id"] == response.headers["apigw-requestid"]

    asyncio.run(run())


def test_a_body_beyond_api_gateways_limit_gives_a_problem() -> None:
    async def exchange(client: Client) -> None:
        response = await client.post("/v1/tasks", data=io.BytesIO(bytes(MAX_BODY_BYTES + 1)))

        assert response.status == 413
        assert (await response.json())["code"] == "body_too_large"

    through_the_gateway(exchange)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost", True),
        ("http://localhost:3000", True),
        ("https://127.0.0.1:8443", True),
        ("http://[::1]:5173", True),
        ("http://localhost.evil.example", False),
        ("http://localhost:3000.evil.example", False),
        ("http://localhost:", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_pages_of_any_port_of_this_machine_and_no_others_are_allowed(
    origin: str, allowed: bool
) -> None:
    async def exchange(client: Client) -> None:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = await client.options("/v1/tasks", headers=headers)
        response = await client.get("/v1/tasks", headers={"Origin": origin})

        assert preflight.status == (204 if allowed else 403)
        for each in (preflight, response):
            assert each.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
        assert ("Access-Control-Allow-Methods" in preflight.headers) is allowed
        assert ("Access-Control-Expose-Headers" in response.headers) is allowed

    through_the_gateway(exchange, cors=CORS)


def test_more_requests_than_the_throttle_admits_get_what_api_gateway_answers() -> None:
    async def exchange(client: Client) -> None:
        statuses = [(await client.get("/v1/tasks")).status for _ in range(3)]
        refused = await client.get("/v1/tasks", headers={"Origin": "http://localhost:3000"})

        assert statuses == [418, 418, 429]
        assert await refused.json() == {"message": "Too Many Requests"}
        assert refused.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"

    through_the_gateway(exchange, cors=CORS, throttle=Throttle(2, now=lambda: 0.0))


def test_throttle_admits_its_rate_again_as_time_passes() -> None:
    now = [0.0]
    throttle = Throttle(2, now=lambda: now[0])

    assert [throttle.admits() for _ in range(3)] == [True, True, False]
    now[0] = 0.5
    assert [throttle.admits() for _ in range(2)] == [True, False]
    now[0] = 100
    assert [throttle.admits() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/tasks", "request"),
        ("/v1/tasks/x?wait=20", "wait"),
        ("/callbacks/poyo/k/t/m", "callback"),
    ],
)
def test_no_more_requests_reach_the_api_at_once_than_it_can_serve(path: str, kind: str) -> None:
    async def run() -> None:
        running, most, full = 0, 0, asyncio.Event()

        async def slow(_: web.Request) -> web.Response:
            nonlocal running, most
            running += 1
            most = max(most, running)
            if running == MAX_CONCURRENT[kind]:
                full.set()
            await full.wait()
            running -= 1
            return web.Response()

        upstream = web.Application()
        upstream.router.add_route("*", "/{path:.*}", slow)
        async with (
            TestServer(upstream, host="127.0.0.1") as server,
            ClientSession() as session,
            client_of(Gateway(str(server.make_url("")).rstrip("/"), session)) as client,
        ):
            sent = [client.post(path) for _ in range(3 * MAX_CONCURRENT[kind])]
            responses = await asyncio.gather(*sent)

        assert {response.status for response in responses} == {200}
        assert most == MAX_CONCURRENT[kind]

    asyncio.run(run())


def test_each_request_is_one_line_without_query_and_signature(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def exchange(client: Client) -> None:
        await client.get("/v1/tasks?cursor=c")
        await client.get("/files/task/0/signature")

    through_the_gateway(exchange)

    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d GET /v1/tasks 418 \d+ ms", first)
    assert " GET /files/task/0/… 418 " in second
