"""Connections to other servers: to the checked address, with the intended TLS name, within a deadline."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import certifi
import pytest
import urllib3

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


def half_a_minute() -> float:
    return 30.0


def seconds_to_fail(attempt: Callable[[], object]) -> float:
    """Seconds until `attempt` raises HostUnreachable."""
    started = time.monotonic()
    with pytest.raises(HostUnreachable):
        attempt()
    return time.monotonic() - started


def connect(target: Target, connect_s: float, left_s: Callable[[], float] = half_a_minute) -> None:
    with open_connection(target, connect_s=connect_s, left_s=left_s):
        pass


# Names


@pytest.fixture
def silent_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A system resolver that resolves IP addresses at once, and names only when the test is over."""
    getaddrinfo, end_of_test = socket.getaddrinfo, threading.Event()

    def resolve_late(host: str, *arguments: Any, **options: Any) -> Any:
        if not host[0].isdigit():
            end_of_test.wait(30)
        return getaddrinfo("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_late)
    yield
    end_of_test.set()


def test_name_is_resolved_or_raises_host_unreachable() -> None:
    assert resolve("127.0.0.1", 443) == ["127.0.0.1"]
    assert "127.0.0.1" in resolve("localhost", 443)
    for name in ("no-such-host.invalid", "a" * 64 + ".example"):
        with pytest.raises(HostUnreachable, match="unresolved"):
            resolve(name, 443)


@pytest.mark.usefixtures("silent_resolver")
def test_silent_resolver_is_given_up_after_its_timeout() -> None:
    before = set(threading.enumerate())

    assert seconds_to_fail(lambda: resolve("slow.example", 443, within_s=0.2)) < 0.7
    assert all(thread.daemon for thread in set(threading.enumerate()) - before)
    assert resolve("127.0.0.1", 443) == ["127.0.0.1"]


@pytest.mark.usefixtures("silent_resolver")
def test_name_of_a_whole_origin_is_given_up_after_the_timeout_too() -> None:
    target = Target("http", "localhost", closed_port(), "/", ("localhost",))

    assert seconds_to_fail(lambda: connect(target, 1.0)) < RESOLVE_S + 0.5


# Connections


@pytest.mark.parametrize("name", [NAME, "other.example", "127.0.0.1"])
def test_tls_verifies_the_name_although_the_connection_goes_to_an_address(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = server_context(tmp_path, name)
    monkeypatch.setattr(certifi, "where", lambda: str(authority))
    requested_names: list[str | None] = []
    context.sni_callback = lambda _, requested, __: requested_names.append(requested)
    with scripted_server(responding("200 OK"), tls=context) as server:
        target = Target("https", NAME, server.port, "/x.png", ("127.0.0.1",))
        with audited_connections(("127.0.0.1", server.port)) as audit:
            if name == NAME:
                with open_connection(target, connect_s=1.0, left_s=half_a_minute) as connection:
                    connection.request("GET", "/x.png", headers={"Host": host_header(target)})
                    assert connection.getresponse().status == 200
                assert connection.is_closed
            else:
                with pytest.raises(HostUnreachable):
                    connect(target, 1.0)

    assert audit.connects == [("127.0.0.1", server.port)]
    assert audit.lookups == ["127.0.0.1"]
    assert requested_names == [NAME]
    assert len(server.requests) == (name == NAME)


def test_connections_share_one_tls_context_and_each_verifies_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = server_context(tmp_path, NAME)
    monkeypatch.setattr(certifi, "where", lambda: str(authority))
    contexts: list[Any] = []
    with scripted_server(responding("200 OK"), tls=context) as server:
        target = Target("https", NAME, server.port, "/", ("127.0.0.1",))
        for _ in range(2):
            with open_connection(target, connect_s=1.0, left_s=half_a_minute) as connection:
                sock: Any = connection.sock
                contexts.append(sock.context)
        other = replace(target, host="other.example")
        with pytest.raises(HostUnreachable):
            connect(other, 1.0)

    assert contexts[0] is contexts[1]


def test_untrusted_certificate_raises_host_unreachable(tmp_path: Path) -> None:
    context, _ = server_context(tmp_path, NAME)
    with (
        scripted_server(responding("200 OK"), tls=context) as server,
        pytest.raises(HostUnreachable),
    ):
        connect(Target("https", NAME, server.port, "/", ("127.0.0.1",)), 1.0)

    assert server.requests == []


def test_connection_is_closed_at_the_end_of_its_block_also_after_an_error() -> None:
    with scripted_server(responding("200 OK")) as server:
        target = Target("http", "files.example", server.port, "/", ("127.0.0.1",))
        block = open_connection(target, connect_s=1.0, left_s=half_a_minute)
        connection = block.__enter__()
        assert not connection.is_closed
        assert not block.__exit__(ValueError, ValueError("in the block"), None)

    assert connection.is_closed


HANDSHAKES: dict[str, Behaviour] = {
    "silence": silent(1.5),
    "trickling": trickling(b"\x16\x03\x03\x40\x00", b"\x00", 0.1, 1.5),
}


@pytest.mark.parametrize("handshake", HANDSHAKES.values(), ids=HANDSHAKES)
@pytest.mark.parametrize(("connect_s", "left_s"), [(0.4, 30.0), (30.0, 0.4)])
def test_handshake_that_does_not_end_is_aborted_at_its_deadline(
    handshake: Behaviour, connect_s: float, left_s: float
) -> None:
    with scripted_server(handshake) as server:
        target = Target("https", NAME, server.port, "/", ("127.0.0.1",))

        assert 0.3 < seconds_to_fail(lambda: connect(target, connect_s, lambda: left_s)) < 0.8


def test_all_addresses_together_get_the_time_that_is_left() -> None:
    with scripted_server(silent(1.5)) as server:
        target = Target("https", NAME, server.port, "/", ("127.0.0.1", "127.0.0.1", "127.0.0.1"))
        until = time.monotonic() + 1.0

        took_s = seconds_to_fail(lambda: connect(target, 30.0, lambda: until - time.monotonic()))

    assert took_s < 1.3
    assert server.connections == 2


def test_connecting_has_one_total_over_all_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only the attempts move, each by its whole timeout."""
    now_s, attempts = [1000.0], list[str]()

    def never_connect(address: tuple[str, int], timeout: float, **_: object) -> None:
        attempts.append(address[0])
        now_s[0] += timeout
        raise TimeoutError

    monkeypatch.setattr(urllib3.util.connection, "create_connection", never_connect)
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    addresses = tuple(f"203.0.113.{n}" for n in range(1, 6))
    target = Target("https", NAME, 443, "/", addresses)

    with (
        pytest.raises(HostUnreachable, match="unreachable"),
        open_connection(target, connect_s=3.0, left_s=half_a_minute, max_addresses=4),
    ):
        pass

    assert attempts == list(addresses[:4])
    assert now_s[0] == pytest.approx(1003.0)


@pytest.mark.parametrize("left_s", [0.0, -1.0])
def test_no_connection_is_made_after_the_deadline(left_s: float) -> None:
    target = Target("https", NAME, 443, "/", ("93.184.216.34",))
    with audited_connections() as audit, pytest.raises(HostUnreachable, match="too_late"):
        connect(target, 1.0, lambda: left_s)

    assert audit.connects == []


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
def test_host_header_has_the_name_and_a_port_that_is_not_the_default(
    scheme: str, host: str, port: int, header: str
) -> None:
    assert host_header(Target(scheme, host, port, "/", (host,))) == header
