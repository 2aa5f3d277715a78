"""One request, sent once: RequestNotSent if no byte left, ResponseLost if it may have arrived."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from imagetasks.api.request import MAX_BODY_BYTES
from imagetasks.errors import RequestNotSent, ResponseLost
from imagetasks.poyo import transport
from imagetasks.poyo.transport import MAX_RESPONSE_BYTES, HttpResponse
from tests.support.certificates import server_context
from tests.support.scripted_server import (
    Behaviour,
    closed_port,
    endless,
    resetting,
    responding,
    scripted_server,
    sending_raw,
    silent,
    trickling,
)

BODY = b'{"model":"gpt-image-2"}'
HEADERS = {"Authorization": "Bearer sk-real", "Content-Type": "application/json"}
READ_S = 0.6
OK = b"HTTP/1.1 200 OK\r\n"
PART = b'{"code":200,"data":{"task_id":"ABC",'


def post(url: str, read_s: float = READ_S) -> HttpResponse:
    return transport.send("POST", url, headers=HEADERS, body=BODY, read_s=read_s)


@contextmanager
def unreachable_server() -> Iterator[str]:
    """The URL of a port that accepts no connection, because its queue of connections is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(8)]
        try:
            for each in fillers:
                each.setblocking(False)
                each.connect_ex(address)
            yield f"http://127.0.0.1:{address[1]}"
        finally:
            for each in fillers:
                each.close()


def test_request_and_response_are_transmitted_completely() -> None:
    with scripted_server(responding("202 Accepted", b'{"code":200}')) as server:
        response = post(f"{server.url}/api/generate/submit?x=1")

    assert response == HttpResponse(202, b'{"code":200}')
    [request] = server.requests
    assert request.startswith(b"POST /api/generate/submit?x=1 HTTP/1.1\r\n")
    assert b"Authorization: Bearer sk-real\r\n" in request
    assert b"Accept-Encoding: identity\r\n" in request
    assert request.endswith(b"\r\n\r\n" + BODY)


@pytest.mark.parametrize("status", ["400 Bad", "401 Unauthorized", "429 Slow", "500 Oh", "503 No"])
def test_error_response_is_returned_and_the_request_is_not_repeated(status: str) -> None:
    with scripted_server(
        responding(status, b"why", Retry_After="0", WWW_Authenticate="Basic")
    ) as server:
        response = post(server.url)

    assert response == HttpResponse(int(status[:3]), b"why")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://no-such-host.invalid/",
        "https://no-such-host.invalid/",
        "http://127.0.0.1:{port}/",
        "https://127.0.0.1:{port}/",
        "http://[::1]:1/",
        "http://host_without.a..name/",
        "http://" + "a" * 64 + ".example/",
    ],
)
def test_failed_connection_raises_request_not_sent(url: str) -> None:
    with pytest.raises(RequestNotSent):
        post(url.format(port=closed_port()))


def test_connection_timeout_raises_request_not_sent() -> None:
    with unreachable_server() as url, pytest.raises(RequestNotSent):
        post(url)


@pytest.mark.parametrize(
    "behaviour",
    [
        sending_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        sending_raw(b"\x16\x03\x01\x00\x02\x02\x28"),
        resetting(),
    ],
    ids=["not TLS", "an alert", "reset"],
)
def test_failed_tls_handshake_raises_request_not_sent(behaviour: Behaviour) -> None:
    with scripted_server(behaviour) as server, pytest.raises(RequestNotSent):
        post(server.url.replace("http:", "https:"))

    assert all(b"sk-real" not in request for request in server.requests)


def test_untrusted_certificate_raises_request_not_sent(tls: ssl.SSLContext) -> None:
    with (
        scripted_server(responding("200 OK", b"{}"), tls=tls) as server,
        pytest.raises(RequestNotSent),
    ):
        post(server.url)

    assert server.requests == []


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return server_context(tmp_path_factory.mktemp("tls"), "127.0.0.1")[0]


LOST: dict[str, Behaviour] = {
    "closed at once": sending_raw(b""),
    "reset at once": resetting(),
    "reset in the status line": resetting(b"HTTP/1.1 2"),
    "reset in the headers": resetting(OK + b"Content-Length: 10\r\n"),
    "reset in the body": resetting(OK + b"Content-Length: 10\r\n\r\n{"),
    "closed in the body": sending_raw(OK + b"Content-Length: 10\r\n\r\n{"),
    "closed in a chunk": sending_raw(OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{"),
    "chunk with an invalid size": sending_raw(
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
    ),
    "garbage": sending_raw(b"\x00\xff" * 500),
    "another protocol": sending_raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "status that is no number": sending_raw(b"HTTP/1.1 OK 200\r\n\r\n"),
    "endless status line": sending_raw(b"HTTP/1.1 200 " + b"x" * 100_000),
    "endless header": sending_raw(OK + b"X: " + b"x" * 100_000),
    "a thousand headers": sending_raw(OK + b"X: x\r\n" * 1000 + b"\r\n"),
    "longer than 1 MiB": responding("200 OK", b" " * (MAX_RESPONSE_BYTES + 1)),
    "endless": endless(OK + b"\r\n", b" " * 65536),
    "endless chunks": endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\n    \r\n" * 999),
    "gzip that was not requested": sending_raw(
        OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nzzzz"
    ),
    "silence": silent(1.2),
    "silence after the headers": trickling(OK + b"Content-Length: 9\r\n\r\n", b"", 1.2, 1.2),
}


@pytest.mark.parametrize("behaviour", LOST.values(), ids=LOST)
def test_every_failure_after_sending_raises_response_lost_without_a_second_request(
    behaviour: Behaviour,
) -> None:
    with scripted_server(behaviour) as server, pytest.raises(ResponseLost):
        post(server.url)

    assert len(server.requests) == 1
    assert server.connections == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        trickling(OK + b"Content-Length: 9999\r\n\r\n", b" ", 0.2, 60),
        trickling(OK, b"X-More: 1\r\n", 0.2, 60),
        trickling(b"", b"HTTP/1.1 200 OK", 0.3, 60),
        trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.3, 60),
    ],
    ids=["body", "headers", "status line", "endless 100 Continue"],
)
def test_response_that_trickles_is_lost_at_the_deadline(behaviour: Behaviour) -> None:
    started = time.monotonic()
    with scripted_server(behaviour) as server:
        with pytest.raises(ResponseLost):
            post(server.url)
        took_s = time.monotonic() - started

    assert took_s < READ_S + 1.0
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "location"),
    [
        (301, "{elsewhere}/"),
        (302, "{elsewhere}/"),
        (303, "{elsewhere}/"),
        (307, "{elsewhere}/"),
        (308, "{elsewhere}/"),
        (308, "/again"),
        (302, "http://[broken/"),
        (302, "http://169.254.169.254/"),
        (307, ""),
        (302, "\xff\xfe"),
        (301, "ftp://x"),
    ],
)
def test_redirect_is_returned_and_not_followed(status: int, location: str) -> None:
    with scripted_server(responding("200 OK", b"{}")) as elsewhere:
        target = location.format(elsewhere=elsewhere.url).encode("latin-1")
        redirect = b"HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (
            status,
            target,
        )
        with scripted_server(sending_raw(redirect)) as server:
            assert post(server.url) == HttpResponse(status, b"")

    assert len(server.requests) == 1
    assert elsewhere.connections == 0


def test_endless_redirect_is_lost_like_any_response() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n"
    with scripted_server(endless(head, b" " * 65536)) as server, pytest.raises(ResponseLost):
        post(server.url)

    assert len(server.requests) == 1


def test_netrc_and_proxies_of_the_environment_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login canary password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with (
        scripted_server(responding("200 OK", b"{}")) as proxy,
        scripted_server(responding("200 OK", b"{}")) as server,
    ):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)

        post(server.url)

    assert proxy.connections == 0
    assert b"Bearer sk-real" in server.requests[0]
    assert b"Basic" not in server.requests[0]


def test_every_request_uses_a_new_connection() -> None:
    keep_alive = sending_raw(OK + b"Connection: keep-alive\r\nContent-Length: 2\r\n\r\n{}")
    with scripted_server(keep_alive) as server:
        post(server.url)
        post(server.url)

    assert server.connections == 2


def test_response_of_exactly_1_mib_is_read() -> None:
    with scripted_server(responding("200 OK", b" " * MAX_RESPONSE_BYTES)) as server:
        assert len(post(server.url, 5.0).body) == MAX_RESPONSE_BYTES


def test_more_is_read_of_an_answer_than_a_request_can_contain() -> None:
    """PoYo may repeat all of it, and its prompt and addresses once more in a message."""
    assert MAX_RESPONSE_BYTES > 3 * MAX_BODY_BYTES


@pytest.mark.parametrize(
    "behaviour",
    [
        sending_raw(OK + b"Content-Length: 99\r\n\r\n" + PART),
        sending_raw(OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\n" + PART),
        trickling(OK + b"Content-Length: 99\r\n\r\n" + PART, b"", 1.2, 1.2),
        responding("200 OK", PART + b" " * MAX_RESPONSE_BYTES),
    ],
    ids=["closed", "closed in a chunk", "late", "too long"],
)
def test_what_was_read_of_a_lost_response_is_kept(behaviour: Behaviour) -> None:
    with scripted_server(behaviour) as server, pytest.raises(ResponseLost) as lost:
        post(server.url, 1.0)

    assert lost.value.partial.startswith(PART)
    assert len(lost.value.partial) < 2 * MAX_RESPONSE_BYTES


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ("Retry-After: 7", 7),
        ("retry-after: Sat, 28 Nov 2026 06:00:40 GMT\r\nDate: Sat, 28 Nov 2026 06:00:00 GMT", 40),
        ("Retry-After: soon", None),
        ("X: x", None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_an_instant(
    headers: str, wait_s: float | None
) -> None:
    head = f"HTTP/1.1 429 Slow\r\n{headers}\r\nContent-Length: 2\r\n\r\n"
    with scripted_server(sending_raw(head.encode() + b"{}")) as server:
        assert post(server.url).retry_after_s == wait_s


@pytest.mark.parametrize("value", ["sk-\nx: y", "sk-é", "sk-\r"])
def test_header_that_cannot_be_sent_raises_request_not_sent(value: str) -> None:
    with scripted_server(responding("200 OK")) as server, pytest.raises(RequestNotSent):
        transport.send("GET", server.url, headers={"Authorization": value}, body=None, read_s=1)

    assert server.requests == []


def test_all_addresses_of_a_name_share_one_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only the attempts move, each by its whole timeout."""
    now_s, attempts = [1000.0], list[str]()

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        now_s[0] += 1.0
        return [(0, 0, 0, "", (f"203.0.113.{n}", port)) for n in range(1, 7)]

    def never_connect(address: tuple[str, int], timeout: float, **_: object) -> None:
        attempts.append(address[0])
        now_s[0] += timeout
        raise TimeoutError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(urllib3.util.connection, "create_connection", never_connect)
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])

    with pytest.raises(RequestNotSent):
        post("https://api.example/")

    assert attempts == [f"203.0.113.{n}" for n in range(1, 7)]
    assert now_s[0] == pytest.approx(1000.0 + transport.CONNECT_S)


def test_request_that_is_not_taken_is_lost_at_the_deadline() -> None:
    """The server reads nothing, so that a body larger than the buffers cannot be sent."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(ResponseLost):
            transport.send("POST", url, headers={}, body=b" " * 20_000_000, read_s=READ_S)

        assert time.monotonic() - started < 15


def test_chunked_response_is_read_completely() -> None:
    chunks = OK + b'Transfer-Encoding: chunked\r\n\r\n2\r\n{"\r\n4\r\na":1\r\n1\r\n}\r\n0\r\n\r\n'
    with scripted_server(sending_raw(chunks)) as server:
        assert post(server.url).body == b'{"a":1}'


def test_base_url_is_read_without_a_trailing_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POYO_BASE_URL", "https://api.poyo.ai/")

    assert transport.base_url_from_env() == "https://api.poyo.ai"
