"""The deployed stack that tests share, and what its tests need on this machine."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from botocore.loaders import JSONFileLoader

from local.chaos.system_under_test import temporary_state
from local.ports import free_ports
from local.settings import from_environment
from local.system import System, running
from tests.support.notification_receiver import NotificationReceiver, notification_receiver

FIRST_POLL_SECONDS = 5  # 90 by default, which no test waits for
SUBMITS_PER_10S = (
    1000  # no order waits for PoYo's limit, which integration tests and the chaos run cover
)
REQUESTS_PER_SECOND = 10_000  # no test waits for the throttle, which the gateway's own tests cover


def environment(**further: str) -> dict[str, str]:
    """The variables of a separate system whose ports are free."""
    names = ("PORT", "CLOUD_PORT", "POYO_PORT")
    ports = dict(zip(names, map(str, free_ports(3)), strict=True))
    return {**ports, "FIRST_POLL_SECONDS": str(FIRST_POLL_SECONDS), "DEMO": "0", **further}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "run_last: it waits for something that happens while other tests run"
    )
    read_once = cache(JSONFileLoader().load_file)
    # Every session of boto3 reads the descriptions of its services again, a quarter of the time of some tests.
    cast(Any, JSONFileLoader).load_file = lambda _, path: read_once(path)


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of every later garbage collection: it stays alive,
    and looking through it again and again took a twentieth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all tests of the shared stack to one xdist worker, which starts it once.

    xdist starts the largest groups first, so the work of the other workers fills the remaining time.
    """
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("stack"))
    items.sort(key=lambda item: item.get_closest_marker("run_last") is not None)


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

    def log_request(self, *_: object) -> None:
        """Log no requests."""


@contextmanager
def empty_page() -> Iterator[str]:
    """Serve an empty page on a separate origin, for code in a browser; yields the origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.fixture(scope="session")
def allowed_page() -> Iterator[str]:
    """The origin of a page that the stack's CORS rules allow."""
    with empty_page() as origin:
        yield origin


@pytest.fixture(scope="session")
def site_origin() -> str:
    """A free port of an origin that the stack's CORS rules allow, for a test's own web server."""
    return f"http://127.0.0.1:{free_ports(1)[0]}"


@pytest.fixture(scope="session")
def receiver() -> Iterator[NotificationReceiver]:
    """The only server on this machine that the stack may send notifications to."""
    with notification_receiver() as listening:
        yield listening


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    allowed_page: str,
    site_origin: str,
    receiver: NotificationReceiver,
) -> Iterator[System]:
    """The whole system as `make run` starts it, on free ports, with a fast PoYo.

    Gives url, cloud_url, poyo_url, api_key, outputs, client(service), settings, processes.
    """
    environ = environment()
    own = f"http://127.0.0.1:{environ['PORT']}"  # of the page at /
    environ |= {
        "CORS_ORIGINS": f"https://pages.example, {own}, {allowed_page}, {site_origin}",
        "NOTIFICATION_HOSTS": f"*,{receiver.url}",
    }
    settings = replace(
        from_environment(environ),
        poyo_submits_per_10s=SUBMITS_PER_10S,
        requests_per_second=REQUESTS_PER_SECOND,
    )
    options = ("--seconds", "0.2", "0.5", "--rate", "0", "--callback-first-wait", "1")
    logs = tmp_path_factory.mktemp("stack") / "logs"
    with temporary_state(logs) as state, running(settings, state, simulator=options) as system:
        yield system
