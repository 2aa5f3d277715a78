"""One HTTP exchange with a server that is not ours: a new connection to an address that was checked,
one request, one response, all within a deadline."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import cache, partial
from typing import Any, cast

import certifi
import urllib3
import urllib3.connection
from urllib3.util.ssl_ import create_urllib3_context

from imagetasks.errors import AddressForbidden, HostUnreachable, ImageTasksError
from imagetasks.outbound.deadline import deadline_response, set_remaining_timeout
from imagetasks.outbound.url_policy import PORTS, Target

RESOLVE_S = 3.0
MAX_ADDRESSES = 2  # of one name, tried in order
CHUNK_BYTES = 16 * 1024

ErrorFactory = Callable[[str, str], ImageTasksError]


def resolve(host: str, port: int, *, within_s: float = RESOLVE_S) -> list[str]:
    """Every address of `host`. Raises HostUnreachable if it has none, or none in time."""
    # The system's resolver takes no timeout, so it runs in a thread. A late thread is abandoned and
    # ends by itself when the resolver gives up some seconds later.
    found: Future[Sequence[Any]] = Future()
    threading.Thread(target=_look_up, args=(host, port, found), daemon=True).start()
    try:
        entries = found.result(within_s)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label of more than 63 characters
        raise HostUnreachable("unresolved", host) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


@contextmanager
def exchange(
    method: str,
    target: Target,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    connect_s: float,
    left_s: Callable[[], float],
    read_s: float | None = None,
) -> Iterator[urllib3.BaseHTTPResponse]:
    """Send one request to `target` and yield its response, whose body is not read yet.

    The exchange may last `left_s()` seconds, a single read `read_s` seconds of them if given. Raises
    HostUnreachable if there is no complete response head in time.
    """

    with (
        open_connection(target, connect_s=connect_s, left_s=left_s) as connection,
        request(
            connection, method, target, headers=headers, body=body, left_s=left_s, read_s=read_s
        ) as response,
    ):
        yield response


@contextmanager
def open_connection(
    target: Target,
    *,
    connect_s: float,
    left_s: Callable[[], float],
    max_addresses: int = MAX_ADDRESSES,
) -> Iterator[urllib3.connection.HTTPConnection]:
    """An established connection to `target`, closed at the end of the block; TLS has verified its
    name. Raises HostUnreachable if it is not established within `connect_s` and `left_s()` seconds,
    the name, all addresses and TLS together."""
    with closing(_connected(target, connect_s, left_s, max_addresses)) as connection:
        yield connection


@contextmanager
def request(
    connection: urllib3.connection.HTTPConnection,
    method: str,
    target: Target,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    left_s: Callable[[], float],
    read_s: float | None = None,
) -> Iterator[urllib3.BaseHTTPResponse]:
    """Send one request over `connection` and yield its response, as `exchange` does."""

    def read_left_s() -> float:
        return left_s() if read_s is None else min(read_s, left_s())

    response_class: Any = partial(deadline_response, left_s=read_left_s)
    connection.response_class = response_class
    with map_network_errors():
        set_remaining_timeout(connection.sock, left_s)
        connection.request(
            method,
            target.path,
            headers={**headers, "Host": host_header(target)},
            body=None if body is None else _chunks(connection, body, left_s),
            preload_content=False,
            decode_content=False,
        )
        response = connection.getresponse()
    with closing(response):
        yield response


@contextmanager
def map_network_errors() -> Iterator[None]:
    """Turn every failure of the network or of the server's HTTP in the block into HostUnreachable."""
    try:
        yield
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
        raise HostUnreachable("unreachable", type(error).__name__) from error


@contextmanager
def map_errors(failed: ErrorFactory, forbidden: ErrorFactory) -> Iterator[None]:
    """Turn AddressForbidden in the block into `forbidden` and HostUnreachable into `failed`, the
    errors of the client that makes the exchange."""
    try:
        yield
    except AddressForbidden as error:
        raise forbidden(error.code, error.detail) from error
    except HostUnreachable as error:
        raise failed(error.code, error.detail) from error


def host_header(target: Target) -> str:
    """The value of the Host header for `target`."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == PORTS[target.scheme] else f"{host}:{target.port}"


def _chunks(
    connection: urllib3.connection.HTTPConnection, body: bytes, left_s: Callable[[], float]
) -> Iterator[bytes]:
    """The body in pieces, each sent with the remaining timeout: over TLS a timeout restarts with
    every piece."""
    for start in range(0, len(body), CHUNK_BYTES):
        set_remaining_timeout(connection.sock, left_s)
        yield body[start : start + CHUNK_BYTES]


def _look_up(host: str, port: int, found: Future[Sequence[Any]]) -> None:
    try:
        found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        found.set_exception(error)


def _connected(
    target: Target, connect_s: float, left_s: Callable[[], float], max_addresses: int
) -> urllib3.connection.HTTPConnection:
    """A connection to one of the first addresses, exactly as they were checked. Each gets an equal
    share of what is left of the time, so that a silent one does not use up the others' time."""
    until = time.monotonic() + connect_s

    def connect_left_s() -> float:
        return min(until - time.monotonic(), left_s())

    addresses = _addresses(target, connect_left_s)[:max_addresses]
    for number, address in enumerate(addresses):
        share_s = connect_left_s() / (len(addresses) - number)
        if share_s <= 0:
            raise HostUnreachable("too_late", target.host)
        connection = _connection(target, address, share_s)
        try:
            connection.connect()
        except (
            OSError,
            ValueError,  # the certificate is another host's
            urllib3.exceptions.HTTPError,
        ):
            connection.close()
        else:
            return connection
    raise HostUnreachable("unreachable", target.host)


def _addresses(target: Target, left_s: Callable[[], float]) -> Sequence[str]:
    """Addresses of `target`; the name in a whole origin of the allow-list is resolved only now."""
    try:
        ipaddress.ip_address(target.addresses[0])
    except ValueError:
        return resolve(target.host, target.port, within_s=min(RESOLVE_S, left_s()))
    return target.addresses


class _HTTPSConnection(urllib3.connection.HTTPSConnection):
    """Gives TLS what TCP has left of `timeout`; urllib3 gives it to each of them."""

    def _new_conn(self) -> socket.socket:
        until = time.monotonic() + cast(float, self.timeout)
        connected = super()._new_conn()
        set_remaining_timeout(connected, lambda: until - time.monotonic())
        return connected


def _connection(
    target: Target, address: str, timeout_s: float
) -> urllib3.connection.HTTPConnection:
    if target.scheme == "http":
        return urllib3.connection.HTTPConnection(address, target.port, timeout=timeout_s)
    return _HTTPSConnection(
        address,
        target.port,
        timeout=timeout_s,
        ssl_context=_tls_context(certifi.where()),
        server_hostname=target.host,
        assert_hostname=target.host,
    )


@cache
def _tls_context(authorities: str) -> ssl.SSLContext:
    """Verifies servers by the certificates in the file `authorities`. Parsing them takes more CPU time
    than everything else of an exchange, so that all connections of the process share the result."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(authorities)
    return context
