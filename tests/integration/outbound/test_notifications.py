"""Notifications: one signed POST, and which responses mean that the receiver accepted it."""

import socket
import time
from itertools import pairwise
from pathlib import Path

import certifi
import pytest

from imagetasks.errors import NotificationFailed
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.poyo.signature import headers
from tests.support.certificates import server_context
from tests.support.connection_audit import audited_connections
from tests.support.fake_resolver import FakeResolver
from tests.support.scripted_server import (
    Behaviour,
    ScriptedServer,
    closed_port,
    endless,
    read_slowly,
    resetting,
    responding,
    scripted_server,
    sending_raw,
    silent,
    trickling,
)

KEY = "whsec_test_0123456789abcdef"
URL = "https://hooks.example.com/done?task=1"
BODY = b'{"task_id":"task","status":"finished"}'
TOTAL_S = 1.0
OK = b"HTTP/1.1 200 OK\r\n"


def sender_for(server: ScriptedServer) -> NotificationSender:
    """A sender that may connect to `server`, and to every public host in case of a redirect."""
    return NotificationSender(
        hosts=(server.url, "*"),
        connect_s=0.8,
        total_s=TOTAL_S,
        resolve=FakeResolver(["8.8.8.8"]),
    )


def send(sender: NotificationSender, url: str, body: bytes = BODY) -> None:
    sender.send(url, body, headers=headers(KEY, "task", 1783680000))


def failure_code(server: ScriptedServer, body: bytes = BODY) -> str:
    """The code of the failure, which comes soon after the deadline at the latest."""
    started = time.monotonic()
    with pytest.raises(NotificationFailed) as failed:
        send(sender_for(server), f"{server.url}/hook", body)
    assert time.monotonic() - started < TOTAL_S + 10
    assert type(failed.value) is NotificationFailed
    return failed.value.code


@pytest.mark.parametrize("body", [BODY, b"", bytes(range(256)) * 4000])
def test_notification_is_one_post_of_the_body_with_its_signature(body: bytes) -> None:
    with scripted_server(responding("200 OK")) as server:
        send(sender_for(server), f"{server.url}/a/b?c=d#e", body)

    [request] = server.requests
    head, _, sent = request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert sent == body
    assert lines[0] == b"POST /a/b?c=d HTTP/1.1"
    assert set(lines[1:]) == {
        f"Host: 127.0.0.1:{server.port}".encode(),
        b"Accept-Encoding: identity",
        b"Connection: close",
        b"Content-Length: %d" % len(body),
        b"Content-Type: application/json",
        b"User-Agent: imagetasks/1",
        b"X-Webhook-Timestamp: 1783680000",
        b"X-Webhook-Signature: " + headers(KEY, "task", 1783680000)["X-Webhook-Signature"].encode(),
    }


# Whether the receiver accepted it


@pytest.mark.parametrize("status", ["200 OK", "200", "201 Created", "202 Yes", "204 No", "299 ü"])
def test_2xx_response_means_accepted(status: str) -> None:
    with scripted_server(responding(status)) as server:
        send(sender_for(server), f"{server.url}/hook")

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "code", [300, 301, 302, 303, 304, 307, 308, 400, 401, 404, 410, 413, 429, 500, 503, 599, 999]
)
def test_any_other_status_means_not_accepted(code: int) -> None:
    with scripted_server(responding(f"{code} Oh", b"x", Location="/other")) as server:
        assert failure_code(server) == f"http_{code}"

    assert len(server.requests) == 1


ACCEPTED: dict[str, Behaviour] = {
    "closed within the status": sending_raw(b"HTTP/1.1 200"),
    "a status with a sign": sending_raw(b"HTTP/1.1 +200 OK\r\n\r\n"),
    "closed after the status line": sending_raw(OK),
    "reset after the status line": trickling(OK, b"", 0.1, 0.2),
    "bare line feeds": sending_raw(b"HTTP/1.0 200 OK\n\n"),
    "invalid headers": sending_raw(OK + b"\x00\xff no colon\r\n\r\n"),
    "endless body": endless(OK + b"\r\n", bytes(60_000)),
    "trickling body": trickling(OK + b"Content-Length: 9\r\n\r\n", b"x", 0.1, 30),
    "missing body": trickling(OK + b"Content-Length: 9\r\n\r\n", b"", 1, 1),
    "after 100": sending_raw(b"HTTP/1.1 100 Continue\r\n\r\n" + OK),
    "after 103 and 102": sending_raw(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nX: y\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + OK
    ),
}


@pytest.mark.parametrize("behaviour", ACCEPTED.values(), ids=ACCEPTED)
def test_2xx_status_with_complete_headers_is_accepted_without_waiting_for_the_body(
    behaviour: Behaviour,
) -> None:
    with scripted_server(behaviour) as server:
        started = time.monotonic()
        send(sender_for(server), f"{server.url}/hook")
        took_s = time.monotonic() - started

    assert took_s < 0.5
    assert len(server.requests) == 1


NOT_ACCEPTED: dict[str, Behaviour] = {
    "endless headers": endless(OK, b"X: " + b"x" * 60_000 + b"\r\n"),
    "trickling headers": trickling(OK, b"X: y\r\n", 0.1, 30),
    "one huge header": endless(OK + b"X: ", b"x" * 60_000),
    "two lengths": sending_raw(OK + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\n"),
    "closed at once": sending_raw(b""),
    "reset at once": resetting(),
    "reset within the status": resetting(b"HTTP/1.1 20"),
    "silence": silent(1.5),
    "garbage": sending_raw(b"\x00" * 500 + b"\r\n"),
    "endless garbage": endless(b"", b"x" * 60_000),
    "endless status line": endless(b"HTTP/1.1 200 ", b"x" * 60_000),
    "html without headers": sending_raw(b"<!doctype html>\n<title>200 OK</title>\n"),
    "an empty line first": sending_raw(b"\r\n" + OK + b"\r\n"),
    "HTTP/2": sending_raw(b"HTTP/2 200\r\n\r\n"),
    "two digits": sending_raw(b"HTTP/1.1 20 OK\r\n\r\n"),
    "four digits": sending_raw(b"HTTP/1.1 2000 OK\r\n\r\n"),
    "other digits": sending_raw("HTTP/1.1 ٢٠٠ OK\r\n\r\n".encode()),
    "status 0": sending_raw(b"HTTP/1.1 000 OK\r\n\r\n"),
    "only 100": sending_raw(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100, and 200 as a header": sending_raw(b"HTTP/1.1 100 Continue\r\n" + OK + b"\r\n"),
    "endless 100s": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500),
    "103 with endless headers": endless(b"HTTP/1.1 103 Hints\r\n", b"X: y\r\n" * 500),
    "101": trickling(b"HTTP/1.1 101 Switching\r\n\r\n", b"\x00", 0.1, 30),
    "trickling status line": trickling(b"", b"HTTP/1.1 200", 0.1, 30),
    "trickling 100s": trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1, 30),
    "103 with trickling headers": trickling(b"HTTP/1.1 103 Hints\r\n", b"X: y\r\n", 0.1, 30),
}


@pytest.mark.parametrize("behaviour", NOT_ACCEPTED.values(), ids=NOT_ACCEPTED)
def test_response_without_a_complete_head_is_not_accepted(behaviour: Behaviour) -> None:
    with scripted_server(behaviour) as server:
        assert failure_code(server) in ("unreachable", "http_101")

    assert len(server.requests) == 1


def test_unreachable_server_did_not_accept() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(NotificationFailed) as failed:
        send(NotificationSender(hosts=(url,)), f"{url}/hook")

    assert failed.value.code == "unreachable"


@pytest.mark.parametrize("secure", [True, False])
def test_server_that_reads_a_long_body_slowly_is_given_up_at_the_deadline(
    secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = server_context(tmp_path, "127.0.0.1")
    monkeypatch.setattr(certifi, "where", lambda: str(authority))
    tls = context if secure else None
    with scripted_server(responding("200 OK"), tls=tls, read=read_slowly) as server:
        assert failure_code(server, bytes(30_000_000)) == "unreachable"


def test_server_that_resets_during_a_long_body_did_not_accept() -> None:
    def read_a_part(connection: socket.socket) -> bytes:
        return connection.recv(100)

    with scripted_server(resetting(), read=read_a_part) as server:
        assert failure_code(server, bytes(30_000_000)) == "unreachable"


def test_name_resolution_counts_towards_the_deadline() -> None:
    def resolve_slowly(host: str, port: int) -> list[str]:
        time.sleep(0.2)
        return ["93.184.216.34"]

    with audited_connections() as audit, pytest.raises(NotificationFailed, match="too_late"):
        send(NotificationSender(hosts=("*",), total_s=0.1, resolve=resolve_slowly), URL)

    assert audit.connects == []


def test_next_attempt_succeeds_after_the_server_recovered() -> None:
    with scripted_server(responding("500 Oh"), responding("200 OK")) as server:
        assert failure_code(server) == "http_500"
        send(sender_for(server), f"{server.url}/hook")

    assert all(one == other for one, other in pairwise(server.requests))
    assert len(server.requests) == 2
