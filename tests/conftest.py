"""One deployed stack for all tests that need one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local.settings import from_environment
from local.system import System, running
from tests.support.notification_receiver import NotificationReceiver, notification_receiver

FIRST_POLL_SECONDS = 5  # 90 by default, which no test waits for
SUBMITS_PER_10S = (
    1000  # no order waits for PoYo's limit, which integration tests and the chaos run cover
)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listened on a moment ago, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def environment(**further: str) -> dict[str, str]:
    """Settings for a system of its own, beside whatever else runs on this machine."""
    names = ("PORT", "CLOUD_PORT", "POYO_PORT")
    ports = dict(zip(names, map(str, free_ports(3)), strict=True))
    return {**ports, "FIRST_POLL_SECONDS": str(FIRST_POLL_SECONDS), "DEMO": "0", **further}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under xdist all tests of the deployed stack go to one worker, so there is one stack."""
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("stack"))


class _EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = (
            b"<!doctype html><meta charset=utf-8><title>A page</title><link rel=icon href=data:,>"
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_request(self, *_said: object) -> None:
        """Say nothing."""


@contextmanager
def serving_a_page() -> Iterator[str]:
    """An empty page on an origin of its own, for a browser to do something in: that origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.fixture(scope="session")
def allowed_page() -> Iterator[str]:
    """The origin of a page that the stack allows to call it."""
    with serving_a_page() as origin:
        yield origin


@pytest.fixture(scope="session")
def receiver() -> Iterator[NotificationReceiver]:
    """Whom the stack may call back, and nobody else on this machine."""
    with notification_receiver() as listening:
        yield listening


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, allowed_page: str, receiver: NotificationReceiver
) -> Iterator[System]:
    """The whole system as `make run` starts it, on free ports, with a PoYo in a hurry.

    Gives url, cloud_url, poyo_url, api_key, outputs, client(service), settings, processes.
    """
    environ = environment(
        CORS_ORIGINS=f"https://pages.example, {allowed_page}",
        NOTIFICATION_HOSTS=f"*,{receiver.url}",
    )
    hurry = ("--seconds", "0.2", "0.5", "--rate", "0", "--callback-first-wait", "1")
    state = tmp_path_factory.mktemp("stack")
    with running(from_environment(environ), state, simulator=hurry) as system:
        yield system
