"""The way out: the address that was checked, the name that was meant, and no waiting for ever."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest

from imagetasks.errors import HostUnreachable
from imagetasks.outbound.connection import RESOLVE_S, host_header, open_connection, resolve
from imagetasks.outbound.url_policy import Target
from tests.support.certificates import server_context
from tests.support.connection_audit import audited_connections
from tests.support.scripted_server import (
    Behaviour,
    closed_port,
    responding,
    scripted_server,
    silent,
    trickling,
)

NAME = "cdn.doculator.org"


def plenty() -> float:
    return 30.0


def seconds_of(attempt: Callable[[], object]) -> float:
    began = time.monotonic()
    with pytest.raises(HostUnreachable):
        attempt()
    return time.monotonic() - began


def connected(target: Target, connect_s: float, left_s: Callable[[], float] = plenty) -> None:
    with open_connection(target, connect_s=connect_s, left_s=left_s):
        pass


# Names


@pytest.fixture
def deaf_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system's resolver answers for numbers, and for names only when the test is over."""
    real, over = socket.getaddrinfo, threading.Event()

    def late(host: str, *arguments: Any, **options: Any) -> Any:
        if not host[0].isdigit():
            over.wait(30)
        return real("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", late)
    yield
    over.set()


def test_a_name_has_addresses_or_is_unresolved() -> None:
    assert resolve("127.0.0.1", 443) == ["127.0.0.1"]
    assert "127.0.0.1" in resolve("localhost", 443)
    for name in ("no-such-host.invalid", "a" * 64 + ".example"):
        with pytest.raises(HostUnreachable, match="unresolved"):
            resolve(name, 443)


@pytest.mark.usefixtures("deaf_resolver")
def test_a_resolver_that_does_not_answer_is_not_waited_for() -> None:
    before = set(threading.enumerate())

    assert seconds_of(lambda: resolve("slow.example", 443, within_s=0.2)) < 0.7
    assert all(thread.daemon for thread in set(threading.enumerate()) - before)
    assert resolve("127.0.0.1", 443) == ["127.0.0.1"]


@pytest.mark.usefixtures("deaf_resolver")
def test_an_origin_that_is_listed_by_name_is_not_waited_for_either() -> None:
    target = Target("http", "localhost", closed_port(), "/", ("localhost",))

    assert seconds_of(lambda: connected(target, 1.0)) < RESOLVE_S + 0.5


# Connections


@pytest.mark.parametrize("name", [NAME, "other.example", "127.0.0.1"])
def test_tls_wants_the_name_although_the_address_is_connected_to(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = server_context(tmp_path, name)
    monkeypatch.setattr(certifi, "where", lambda: str(authority))
    asked_for: list[str | None] = []
    context.sni_callback = lambda _, asked, __: asked_for.append(asked)
    with scripted_server(responding("200 OK"), tls=context) as server:
        target = Target("https", NAME, server.port, "/x.png", ("127.0.0.1",))
        with audited_connections(("127.0.0.1", server.port)) as seen:
            if name == NAME:
                with open_connection(target, connect_s=1.0, left_s=plenty) as standing:
                    standing.request("GET", "/x.png", headers={"Host": host_header(target)})
                    assert standing.getresponse().status == 200
                assert standing.is_closed
            else:
                with pytest.raises(HostUnreachable):
                    connected(target, 1.0)

    assert seen.connects == [("127.0.0.1", server.port)]
    assert seen.lookups == ["127.0.0.1"]
    assert asked_for == [NAME]
    assert len(server.requests) == (name == NAME)


def test_a_certificate_that_nobody_vouches_for_is_none(tmp_path: Path) -> None:
    context, _ = server_context(tmp_path, NAME)
    with (
        scripted_server(responding("200 OK"), tls=context) as server,
        pytest.raises(HostUnreachable),
    ):
        connected(Target("https", NAME, server.port, "/", ("127.0.0.1",)), 1.0)

    assert server.requests == []


def test_a_connection_ends_with_its_block_whatever_happens_there() -> None:
    with scripted_server(responding("200 OK")) as server:
        target = Target("http", "files.example", server.port, "/", ("127.0.0.1",))
        block = open_connection(target, connect_s=1.0, left_s=plenty)
        standing = block.__enter__()
        assert not standing.is_closed
        assert not block.__exit__(ValueError, ValueError("ours"), None)

    assert standing.is_closed


HANDSHAKES: dict[str, Behaviour] = {
    "silence": silent(1.5),
    "a dribble": trickling(b"\x16\x03\x03\x40\x00", b"\x00", 0.1, 1.5),
}


@pytest.mark.parametrize("handshake", HANDSHAKES.values(), ids=HANDSHAKES)
@pytest.mark.parametrize(("connect_s", "left_s"), [(0.4, 30.0), (30.0, 0.8)])
def test_a_handshake_that_does_not_end_is_left(
    handshake: Behaviour, connect_s: float, left_s: float
) -> None:
    with scripted_server(handshake) as server:
        target = Target("https", NAME, server.port, "/", ("127.0.0.1",))

        assert 0.3 < seconds_of(lambda: connected(target, connect_s, lambda: left_s)) < 0.8


def test_all_addresses_together_get_no_more_than_what_is_left() -> None:
    with scripted_server(silent(1.5)) as server:
        target = Target("https", NAME, server.port, "/", ("127.0.0.1", "127.0.0.1", "127.0.0.1"))
        until = time.monotonic() + 1.0

        took_s = seconds_of(lambda: connected(target, 30.0, lambda: until - time.monotonic()))

    assert took_s < 1.1
    assert server.connections == 2


@pytest.mark.parametrize("left_s", [0.0, -1.0])
def test_who_comes_too_late_does_not_connect(left_s: float) -> None:
    target = Target("https", NAME, 443, "/", ("93.184.216.34",))
    with audited_connections() as seen, pytest.raises(HostUnreachable, match="too_late"):
        connected(target, 1.0, lambda: left_s)

    assert seen.connects == []


@pytest.mark.parametrize(
    ("scheme", "host", "port", "header"),
    [
        ("https", NAME, 443, NAME),
        ("https", NAME, 8443, f"{NAME}:8443"),
        ("http", "127.0.0.1", 80, "127.0.0.1"),
        ("http", "127.0.0.1", 443, "127.0.0.1:443"),
        ("http", "::1", 9000, "[::1]:9000"),
    ],
)
def test_a_server_is_told_its_name(scheme: str, host: str, port: int, header: str) -> None:
    assert host_header(Target(scheme, host, port, "/", (host,))) == header
