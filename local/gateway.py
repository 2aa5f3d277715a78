"""The front door: python -m local.gateway --port N --api URL [--options URL].

Passes requests on to the deployed API, whose own address in the emulator nobody wants to type.
Method, path, query, headers, body and status go through as they are; redirects are handed back.
OPTIONS may have an address of its own, since the emulated gateway keeps it from a function.
"""

import argparse
import asyncio
import signal
from collections.abc import Mapping

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, web
from multidict import CIMultiDict
from yarl import URL

from local.settings import HOST

PASSED_ON = ("/v1", "/api", "/callbacks", "/files", "/health", "/openapi.json")
MAX_BODY_BYTES = 10 * 1024 * 1024  # API Gateway's own limit for a payload
API_TIMEOUT_S = 35  # a little over API Gateway's 30 s

# RFC 9110, section 7.6.1: these speak of one connection, not of the request.
HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
OURS = frozenset({"host", "content-length"})  # said anew for the second connection
THEIRS = frozenset({"content-length", "date", "server"})  # said anew for the first


class Front:
    """One deployed API behind a plain address."""

    def __init__(self, api_url: str, session: ClientSession, options_url: str = "") -> None:
        self._api_url = api_url
        self._options_url = options_url or api_url
        self._session = session

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The API's answer; 404 for a path that is none of its, 502 when it gives none."""
        path = request.raw_path.partition("?")[0]
        if not any(path == known or path.startswith(f"{known}/") for known in PASSED_ON):
            return _problem(404, f"nothing here; the API is under {', '.join(PASSED_ON)}")
        body = await request.read()
        headers = _without(request.headers, OURS)
        headers["X-Forwarded-For"] = _forwarded_for(request)
        behind = self._options_url if request.method == "OPTIONS" else self._api_url
        try:
            async with self._session.request(
                request.method,
                URL(behind + request.raw_path, encoded=True),
                headers=headers,
                data=body or None,
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            ) as answer:
                headers = self._reachable(_without(answer.headers, THEIRS))
                content = await answer.read()
                return web.Response(status=answer.status, headers=headers, body=content)
        except (ClientError, TimeoutError) as error:
            return _problem(502, f"the deployed API did not answer: {type(error).__name__}")

    def _reachable(self, headers: CIMultiDict[str]) -> CIMultiDict[str]:
        """A Location inside the emulated API becomes a path here; any other stays."""
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
        app.router.add_route("*", r"/{path:[\s\S]*}", Front(api_url, session, options_url).handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
            await stop.wait()
        finally:
            await runner.cleanup()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m local.gateway", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where to listen on 127.0.0.1")
    parser.add_argument("--api", required=True, help="the deployed API's URL, stage included")
    parser.add_argument("--options", default="", help="where OPTIONS goes if not to the API")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.api.rstrip("/"), options.options.rstrip("/")))


if __name__ == "__main__":
    main()
