"""A reverse proxy for the deployed API: python -m local.gateway --port N --api URL.

It gives the API a short URL instead of the long one in the emulator. Method, path, query, headers,
body and status pass through unchanged; redirects are returned to the client. Like API Gateway it applies
the throttle and CORS. It forwards as many requests at once as the emulator can serve; further ones wait
their turn. Each request is one line of its log.
"""

import argparse
import asyncio
import signal
import time
import uuid
from collections.abc import Mapping

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, web
from multidict import CIMultiDict
from yarl import URL

from local.cors import PREFLIGHT, Cors
from local.page_tokens import PageTokens
from local.settings import HOST
from local.throttle import Throttle

MAX_BODY_BYTES = 10 * 1024 * 1024  # API Gateway's own limit for a payload
API_TIMEOUT_S = 35  # slightly more than API Gateway's 30 s
# The emulator starts a process for each concurrent invocation. Without limits a burst starts dozens of
# processes, which slow each other down until requests time out. Callbacks and requests that wait for a
# change have places of their own, so that neither keeps other requests waiting.
MAX_CONCURRENT = {"callback": 4, "wait": 4, "request": 4}

# RFC 9110, section 7.6.1: these headers belong to one connection, not to the request.
HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
REQUEST_REPLACED = frozenset({"host", "content-length"})  # set again for the request to the API
RESPONSE_REPLACED = frozenset({"content-length", "date", "server"})  # set again for the client
SIGNED_PATHS = ("/callbacks/", "/files/")  # their last part is a secret


class Gateway:
    """Forwards requests to one deployed API."""

    def __init__(
        self,
        api_url: str,
        session: ClientSession,
        *,
        options_url: str = "",
        cors: Cors | None = None,
        throttle: Throttle | None = None,
        page_tokens: PageTokens | None = None,
    ) -> None:
        self._api_url = api_url
        self._options_url = options_url or api_url
        self._session = session
        self._cors = cors
        self._throttle = throttle
        self._page_tokens = page_tokens
        self._places = {kind: asyncio.Semaphore(most) for kind, most in MAX_CONCURRENT.items()}

    async def handle(self, request: web.Request) -> web.Response:
        """The API's response, or API Gateway's own: to a preflight, and when the throttle is full."""
        began = time.monotonic()
        try:
            response = await self._respond(request)
        except web.HTTPRequestEntityTooLarge:
            response = _problem(413, "body_too_large", "The request body is larger than 10 MiB.")
        if self._cors:
            response.headers.update(self._cors.headers(request.headers.get("Origin", "")))
        _log(request, response.status, time.monotonic() - began)
        return response

    async def _respond(self, request: web.Request) -> web.Response:
        if self._cors and request.method == "OPTIONS" and PREFLIGHT in request.headers:
            headers = self._cors.preflight_headers(request.headers.get("Origin", ""))
            return web.Response(status=204 if headers else 403, headers=headers)
        if self._throttle and not self._throttle.admits():
            return web.json_response({"message": "Too Many Requests"}, status=429)
        if self._page_tokens and self._page_tokens.asks(request):
            return await self._page_tokens.issue()
        async with self._places[_kind(request)]:
            if request.transport is None or request.transport.is_closing():
                return web.Response(status=499)  # the client left while it waited for its turn
            return await self._forward(request)

    async def _forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = _without(request.headers, REQUEST_REPLACED)
        headers["X-Forwarded-For"] = _forwarded_for(request)
        target = self._options_url if request.method == "OPTIONS" else self._api_url
        try:
            async with self._session.request(
                request.method,
                URL(target + request.raw_path, encoded=True),
                headers=headers,
                data=body or None,
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            ) as response:
                headers = self._rewrite_location(_without(response.headers, RESPONSE_REPLACED))
                content = await response.read()
                return web.Response(status=response.status, headers=headers, body=content)
        except (ClientError, TimeoutError) as error:
            detail = (
                f"The deployed API did not respond: {type(error).__name__}. Repeat the request."
            )
            return _problem(502, "no_response", detail)

    def _rewrite_location(self, headers: CIMultiDict[str]) -> CIMultiDict[str]:
        """Replace a Location inside the emulated API with its path; keep any other."""
        location = headers.get("Location", "")
        if location.startswith(f"{self._api_url}/"):
            headers["Location"] = location.removeprefix(self._api_url)
        return headers


def _kind(request: web.Request) -> str:
    """Which places a request takes: those of callbacks, of waiting requests, or of all others."""
    if request.path.startswith("/callbacks/"):
        return "callback"
    return "wait" if request.query.get("wait", "0") != "0" else "request"


def _without(headers: Mapping[str, str], dropped: frozenset[str]) -> CIMultiDict[str]:
    kept = CIMultiDict[str]()
    for name, value in headers.items():
        if name.lower() not in HOP_BY_HOP | dropped:
            kept.add(name, value)
    return kept


def _forwarded_for(request: web.Request) -> str:
    before = request.headers.get("X-Forwarded-For")
    return f"{before}, {request.remote}" if before else str(request.remote)


def _problem(status: int, code: str, detail: str) -> web.Response:
    """A problem in the API's own format. Whether an order was charged is unknown without a response."""
    request_id = str(uuid.uuid4())
    body = {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": detail,
        "retry": "same_key" if status >= 500 else "never",
        "charged": None if status >= 500 else False,
        "request_id": request_id,
    }
    headers = {"apigw-requestid": request_id} | ({"Retry-After": "5"} if status >= 500 else {})
    content_type = "application/problem+json"
    return web.json_response(body, status=status, headers=headers, content_type=content_type)


def _log(request: web.Request, status: int, seconds: float) -> None:
    """One line: time, method, path without query and signature, status, milliseconds."""
    path = request.raw_path.partition("?")[0]
    if path.startswith(SIGNED_PATHS):
        path = path.rpartition("/")[0] + "/…"
    now = time.strftime("%H:%M:%S")
    print(f"{now} {request.method} {path[:200]} {status} {seconds * 1000:.0f} ms", flush=True)


async def serve(options: argparse.Namespace) -> None:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    timeout = ClientTimeout(total=API_TIMEOUT_S)
    async with ClientSession(
        timeout=timeout, auto_decompress=False, cookie_jar=DummyCookieJar()
    ) as session:
        gateway = Gateway(
            options.api.rstrip("/"),
            session,
            options_url=options.options.rstrip("/"),
            cors=Cors.from_json(options.cors) if options.cors else None,
            throttle=Throttle(options.rate) if options.rate else None,
            page_tokens=PageTokens.from_env(options.api.rstrip("/"), session),
        )
        runner = runner_of(gateway)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, options.port).start()
            await stop.wait()
        finally:
            await runner.cleanup()


def runner_of(gateway: Gateway) -> web.AppRunner:
    """The server of `gateway`. A compressed body is forwarded as it came."""
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", r"/{path:[\s\S]*}", gateway.handle)
    return web.AppRunner(app, access_log=None, shutdown_timeout=1, auto_decompress=False)


def main() -> None:
    """Run the gateway from the command line."""
    parser = argparse.ArgumentParser(prog="python -m local.gateway", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--api", required=True, help="the deployed API's URL, including its stage")
    parser.add_argument("--options", default="", help="URL for OPTIONS requests (the API's)")
    parser.add_argument("--cors", default="", help="the API's CorsConfiguration as JSON (no CORS)")
    parser.add_argument("--rate", type=int, default=0, help="requests a second (no limit)")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
