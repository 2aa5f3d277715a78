"""A server on this machine that behaves as badly as it is told to, and counts who comes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Behaviour = Callable[[socket.socket, bytes], None]
Reading = Callable[[socket.socket], bytes]


class Origin:
    """One listening socket of 127.0.0.1: each connection is answered by the next behaviour.

    The last behaviour stays. `requests` holds every request's bytes as they came in, as far as
    `read` reads them.
    """

    def __init__(
        self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None, read: Reading | None = None
    ) -> None:
        self.behaviours = list(behaviours)
        self.requests: list[bytes] = []
        self.connections = 0
        self.closing = threading.Event()
        self._tls = tls
        self._read = read or whole
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
                return self._answer(connection, behaviour)
            with self._tls.wrap_socket(connection, server_side=True) as wrapped:
                return self._answer(wrapped, behaviour)

    def _answer(self, connection: socket.socket, behaviour: Behaviour) -> None:
        request = self._read(connection)
        if not request:
            return  # gone without having asked
        self.requests.append(request)
        behaviour(connection, request)


@contextmanager
def origin(
    *behaviours: Behaviour, tls: ssl.SSLContext | None = None, read: Reading | None = None
) -> Iterator[Origin]:
    """A server that runs as long as the block."""
    server = Origin(*behaviours, tls=tls, read=read)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def closed_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def whole(connection: socket.socket) -> bytes:
    """A whole request, its body as long as announced, or the hello of a TLS client."""
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


def sips(connection: socket.socket) -> bytes:
    """A little of the request now and then, and of a long one never the end."""
    request, pause = b"", threading.Event()
    for _ in range(400):
        request += connection.recv(65536)
        pause.wait(0.005)  # no single write of the sender's has to wait for long
    return request


# Behaviours


def answering(
    status: str, body: bytes = b"", *, announced: int | None = None, **headers: str
) -> Behaviour:
    """A plain answer; `announced` is another length than the body's, -1 for none at all."""

    def behave(connection: socket.socket, request: bytes) -> None:
        length = len(body) if announced is None else announced
        lines = [f"HTTP/1.1 {status}", "Connection: close"]
        lines += [f"Content-Length: {length}"] if length >= 0 else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return behave


def raw(content: bytes) -> Behaviour:
    """These bytes and the end."""

    def behave(connection: socket.socket, request: bytes) -> None:
        connection.sendall(content)

    return behave


def resetting(content: bytes = b"") -> Behaviour:
    """These bytes, then a reset."""

    def behave(connection: socket.socket, request: bytes) -> None:
        connection.sendall(content)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


def silent(seconds: float) -> Behaviour:
    """Nothing at all for a while."""

    def behave(connection: socket.socket, request: bytes) -> None:
        threading.Event().wait(seconds)

    return behave


def dribbling(head: bytes, piece: bytes, every_s: float, most_s: float) -> Behaviour:
    """`head` at once, then `piece` again and again, with pauses that no read timeout notices."""

    def behave(connection: socket.socket, request: bytes) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head)
        pause = threading.Event()
        for _ in range(round(most_s / every_s)):
            pause.wait(every_s)
            connection.sendall(piece)

    return behave


def endless(head: bytes, piece: bytes) -> Behaviour:
    """`head`, then `piece` as fast and as long as somebody reads."""

    def behave(connection: socket.socket, request: bytes) -> None:
        connection.sendall(head)
        for _ in range(1000):
            connection.sendall(piece)

    return behave
