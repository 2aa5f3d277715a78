"""A server on this machine that follows a script of responses, broken ones too, and records requests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Behaviour = Callable[[socket.socket, bytes], None]
RequestReader = Callable[[socket.socket], bytes]


class ScriptedServer:
    """A listening socket of 127.0.0.1. The next behaviour responds to each connection.

    The last behaviour is repeated. `requests` holds the bytes of every request, as far as `read`
    reads them.
    """

    def __init__(
        self,
        *behaviours: Behaviour,
        tls: ssl.SSLContext | None = None,
        read: RequestReader | None = None,
    ) -> None:
        self.behaviours = list(behaviours)
        self.requests: list[bytes] = []
        self.connections = 0
        self.closing = threading.Event()
        self._tls = tls
        self._read = read or read_request
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.01)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.closing.set()
        self._thread.join(10)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
            thread = threading.Thread(target=self._serve, args=(connection, behaviour), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, behaviour: Behaviour) -> None:
        connection.settimeout(10)
        with contextlib.suppress(OSError), connection:
            if not self._tls:
                return self._respond(connection, behaviour)
            with self._tls.wrap_socket(connection, server_side=True) as encrypted:
                return self._respond(encrypted, behaviour)

    def _respond(self, connection: socket.socket, behaviour: Behaviour) -> None:
        request = self._read(connection)
        if not request:
            return  # the client closed the connection without a request
        self.requests.append(request)
        behaviour(connection, request)


@contextmanager
def scripted_server(
    *behaviours: Behaviour, tls: ssl.SSLContext | None = None, read: RequestReader | None = None
) -> Iterator[ScriptedServer]:
    """A server that runs as long as the block."""
    server = ScriptedServer(*behaviours, tls=tls, read=read)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def closed_port() -> int:
    """A port of 127.0.0.1 that no server listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def read_request(connection: socket.socket) -> bytes:
    """A complete request with its announced body, or the first byte of a TLS handshake."""
    request = connection.recv(1)
    if request == b"\x16":
        return request
    while b"\r\n\r\n" not in request and (piece := connection.recv(65536)):
        request += piece
    if not request:
        return request
    head, _, body = request.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length and (piece := connection.recv(65536)):
        body += piece
    return head + b"\r\n\r\n" + body


def read_slowly(connection: socket.socket) -> bytes:
    """A part of the request every 5 ms. The end of a long request is never read."""
    request, pause = b"", threading.Event()
    for _ in range(400):
        request += connection.recv(65536)
        pause.wait(0.005)  # no single write of the sender has to wait for long
    return request


# Behaviours


def responding(
    status: str, body: bytes = b"", *, announced: int | None = None, **headers: str
) -> Behaviour:
    """A complete response; `announced` is a Content-Length that differs from the body's, -1 for none."""

    def behave(connection: socket.socket, request: bytes) -> None:
        length = len(body) if announced is None else announced
        lines = [f"HTTP/1.1 {status}", "Connection: close"]
        lines += [f"Content-Length: {length}"] if length >= 0 else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return behave


def sending_raw(content: bytes) -> Behaviour:
    """Send these bytes and close the connection."""

    def behave(connection: socket.socket, request: bytes) -> None:
        connection.sendall(content)

    return behave


def resetting(content: bytes = b"") -> Behaviour:
    """Send these bytes and reset the connection."""

    def behave(connection: socket.socket, request: bytes) -> None:
        connection.sendall(content)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


def silent(seconds: float) -> Behaviour:
    """Send nothing for `seconds`, then close the connection."""

    def behave(connection: socket.socket, request: bytes) -> None:
        threading.Event().wait(seconds)

    return behave


def trickling(head: bytes, piece: bytes, every_s: float, max_s: float) -> Behaviour:
    """Send `head` at once, then `piece` repeatedly, with pauses too short for a read timeout."""

    def behave(connection: socket.socket, request: bytes) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head)
        pause = threading.Event()
        for _ in range(round(max_s / every_s)):
            pause.wait(every_s)
            connection.sendall(piece)

    return behave


def endless(head: bytes, piece: bytes) -> Behaviour:
    """Send `head`, then `piece` as fast and as long as the client reads."""

    def behave(connection: socket.socket, request: bytes) -> None:
        connection.sendall(head)
        for _ in range(1000):
            connection.sendall(piece)

    return behave
