"""A response is complete by its deadline, and interim responses are skipped."""

from __future__ import annotations

import gc
import http.client
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from imagetasks.outbound.deadline import deadline_response, set_remaining_timeout

FINAL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's and the server's end of a connection."""
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def read_response(client: socket.socket, left_s: Callable[[], float]) -> http.client.HTTPResponse:
    response = deadline_response(client, method="GET", left_s=left_s)
    response.begin()
    return response


@pytest.mark.parametrize("interim", [100, 102, 103, 199])
def test_interim_responses_are_skipped(
    sockets: tuple[socket.socket, socket.socket], interim: int
) -> None:
    client, server = sockets
    server.sendall(f"HTTP/1.1 {interim} Interim\r\nLink: </a.css>\r\n\r\n".encode() * 2 + FINAL)

    with read_response(client, lambda: 5.0) as response:
        assert (response.status, response.read()) == (200, b"ok")
        assert response.getheader("Link") is None


def test_101_is_a_final_response(sockets: tuple[socket.socket, socket.socket]) -> None:
    client, server = sockets
    server.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + FINAL)

    with read_response(client, lambda: 5.0) as response:
        assert response.status == 101


def test_response_that_is_not_complete_in_time_raises_timeout_error(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    client, server = sockets
    server.sendall(FINAL[:-1])
    seconds_left = iter([5.0, 0.01, 0.0])

    with (
        pytest.raises(TimeoutError),
        read_response(client, lambda: next(seconds_left)) as response,
    ):
        response.read()


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_operation_starts_after_the_deadline(
    sockets: tuple[socket.socket, socket.socket], seconds: float
) -> None:
    with pytest.raises(TimeoutError):
        set_remaining_timeout(sockets[0], lambda: seconds)


def test_each_operation_gets_the_time_that_is_left(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    set_remaining_timeout(sockets[0], lambda: 1.5)

    assert sockets[0].gettimeout() == 1.5


def test_response_that_is_interrupted_before_it_reads_is_closed_silently(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    class Interrupted(socket.socket):
        def makefile(self, *_: object, **__: object) -> Any:
            raise KeyboardInterrupt

    with Interrupted() as client, pytest.raises(KeyboardInterrupt):
        deadline_response(client, left_s=lambda: 1.0)
    gc.collect()

    assert unraisable == []
