"""A reverse proxy for the deployed API: python -m local.gateway --port N --api URL [--options URL].

It gives the API a short URL instead of the long one in the emulator. Method, path, query, headers,
body and status pass through unchanged; redirects are returned to the client. OPTIONS requests can go
to a separate URL, because the emulated API Gateway does not pass them on to a function.
"""

import argparse
import asyncio
import signal
from collections.abc import Mapping

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, web
from multidict import CIMultiDict
from yarl import URL

from local.settings import HOST

API_PREFIXES = ("/v1", "/api", "/callbacks", "/files", "/health", "/openapi.json")
MAX_BODY_BYTES = 10 * 1024 * 1024  # API Gateway's own limit for a payload
API_TIMEOUT_S = 35  # slightly more than API Gateway's 30 s
# The emulator starts a process for each concurrent invocation and unpacks the layer for it. Without a limit
# a burst of callbacks starts dozens of processes, which slow each other down.
MAX_CONCURRENT_CALLBACKS = 4

# RFC 9110, section 7.6.1: these headers belong to one connection, not to the request.
HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
REQUEST_REPLACED = frozenset({"host", "content-length"})  # set again for the request to the API
RESPONSE_REPLACED = frozenset({"content-length", "date", "server"})  # set again for the client


class Gateway:
    """Forwards requests to one deployed API."""

    def __init__(self, api_url: str, session: ClientSession, options_url: str = "") -> None:
        self._api_url = api_url
        self._options_url = options_url or api_url
        self._session = session
        self._callbacks = asyncio.Semaphore(MAX_CONCURRENT_CALLBACKS)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Return the API's response; 404 for a path outside the API, 502 if the API does not respond."""
        path = request.raw_path.partition("?")[0]
        if not any(path == known or path.startswith(f"{known}/") for known in API_PREFIXES):
            return _problem(404, f"not found; the API is under {', '.join(API_PREFIXES)}")
        if not path.startswith("/callbacks/"):
            return await self._forward(request)
        async with self._callbacks:
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
            return _problem(502, f"the deployed API did not respond: {type(error).__name__}")

    def _rewrite_location(self, headers: CIMultiDict[str]) -> CIMultiDict[str]:
        """Replace a Location inside the emulated API with its path; keep any other."""
        location = headers.get("Location", "")
        if location.startswith(f"{self._api_url}/"):
            headers["Location"] = location.removeprefix(self._api_url)
        return headers


def _without(headers: Mapping[str, str], dropped: frozenset[str]) -> CIMultiDict[str]:
    kept = CIMultiDict[str]()
    for name, value in headers.items():
        if name.lower() not in HOP_BY_HOP | dropped:
            kept.add(name, value)
    return kept


def _forwarded_for(request: web.Request) -> str:
    before = request.headers.get("X-Forwarded-For")
    return f"{before}, {request.remote}" if before else str(request.remote)


def _problem(status: int, detail: str) -> web.Response:
    body = {"type": "about:blank", "status": status, "detail": detail}
    return web.json_response(body, status=status, content_type="application/problem+json")


async def serve(port: int, api_url: str, options_url: str) -> None:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    timeout = ClientTimeout(total=API_TIMEOUT_S)
    async with ClientSession(
        timeout=timeout, auto_decompress=False, cookie_jar=DummyCookieJar()
    ) as session:
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", r"/{path:[\s\S]*}", Gateway(api_url, session, options_url).handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
            await stop.wait()
        finally:
            await runner.cleanup()


def main() -> None:
    """Run the gateway from the command line."""
    parser = argparse.ArgumentParser(prog="python -m local.gateway", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--api", required=True, help="the deployed API's URL, including its stage")
    parser.add_argument("--options", default="", help="URL for OPTIONS requests (the API's)")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.api.rstrip("/"), options.options.rstrip("/")))


if __name__ == "__main__":
    main()
