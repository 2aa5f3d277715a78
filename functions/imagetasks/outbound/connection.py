"""The way out to other people's servers: one connection to an address that was checked."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from typing import Any

import certifi
import urllib3
import urllib3.connection

from imagetasks.errors import AddressForbidden, HostUnreachable, ImageTasksError
from imagetasks.outbound.url_policy import PORTS, Target

RESOLVE_S = 3.0
ADDRESSES = 2  # of a name's, tried in their order

Told = Callable[[str, str], ImageTasksError]


def resolve(host: str, port: int, *, within_s: float = RESOLVE_S) -> list[str]:
    """Every address of `host`, asked once. Raises Unreachable when it has none, or none in time."""
    # The system's resolver takes no timeout, so a thread asks. It is left behind when it is late,
    # and ends when the resolver's own patience does, some seconds later.
    asked: Future[Sequence[Any]] = Future()
    threading.Thread(target=_look_up, args=(host, port, asked), daemon=True).start()
    try:
        found = asked.result(within_s)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label of more than 63 characters
        raise HostUnreachable("unresolved", host) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@contextmanager
def open_connection(
    target: Target, *, connect_s: float, left_s: Callable[[], float]
) -> Iterator[urllib3.connection.HTTPConnection]:
    """A standing connection to `target`, closed when the block is left; TLS has seen its name.

    It stands before the `left_s` seconds are over, or Unreachable is raised.
    """
    with closing(_connected(target, connect_s, left_s)) as standing:
        yield standing


@contextmanager
def map_network_errors() -> Iterator[None]:
    """Whatever the other side does wrong while the block talks to it is Unreachable."""
    try:
        yield
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
        raise HostUnreachable("unreachable", type(error).__name__) from error


@contextmanager
def map_errors(failed: Told, forbidden: Told) -> Iterator[None]:
    """What goes wrong on the way out in the block, in the words of the edge that went."""
    try:
        yield
    except AddressForbidden as error:
        raise forbidden(error.code, error.detail) from error
    except HostUnreachable as error:
        raise failed(error.code, error.detail) from error


def host_header(target: Target) -> str:
    """What the server is told that it is called."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == PORTS[target.scheme] else f"{host}:{target.port}"


def _look_up(host: str, port: int, asked: Future[Sequence[Any]]) -> None:
    try:
        asked.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        asked.set_exception(error)


def _connected(
    target: Target, connect_s: float, left_s: Callable[[], float]
) -> urllib3.connection.HTTPConnection:
    """A standing connection to one of the first addresses, exactly as they were checked."""
    for address in _numbers(target)[:ADDRESSES]:
        timeout_s = min(connect_s, left_s() / 2)  # it is granted twice: to TCP and to TLS
        if timeout_s <= 0:
            raise HostUnreachable("too_late", target.host)
        standing = _connection(target, address, timeout_s)
        try:
            standing.connect()
        except (
            OSError,
            ValueError,
            urllib3.exceptions.HTTPError,
        ):  # ValueError: another's certificate
            standing.close()
        else:
            return standing
    raise HostUnreachable("unreachable", target.host)


def _numbers(target: Target) -> Sequence[str]:
    """Addresses of `target`; an origin that is listed whole is still a name, looked up only now."""
    try:
        ipaddress.ip_address(target.addresses[0])
    except ValueError:
        return resolve(target.host, target.port)
    return target.addresses


def _connection(
    target: Target, address: str, timeout_s: float
) -> urllib3.connection.HTTPConnection:
    if target.scheme == "http":
        return urllib3.connection.HTTPConnection(address, target.port, timeout=timeout_s)
    return urllib3.connection.HTTPSConnection(
        address,
        target.port,
        timeout=timeout_s,
        cert_reqs="CERT_REQUIRED",
        ca_certs=certifi.where(),
        server_hostname=target.host,
        assert_hostname=target.host,
    )
