"""A client's own callback: signed, sent once, and never to where a stranger must not lead us."""

import socket
import time
from itertools import pairwise
from pathlib import Path

import certifi
import pytest

from imagetasks.errors import NotificationFailed, NotificationForbidden
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.outbound.url_policy import Target
from imagetasks.poyo.signature import headers, verify
from tests.fixtures.urls import FORBIDDEN_HOST_NAME_URLS, FORBIDDEN_URLS, NON_PUBLIC_ADDRESSES
from tests.support.certificates import server_context
from tests.support.connection_audit import audited_connections
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
VECTOR = "qqzOEP5mSb02XNuqZNFOUhvhuj+hSHI3GW7s2UaOpCU="
LISTED = ("cdn.doculator.org", "*.poyo.ai", "https://files.example:8443")
EVERYBODY = ("*", "https://files.example:8443")
URL = "https://hooks.example.com/done?task=1"
BODY = b'{"task_id":"task","status":"finished"}'
TOTAL_S = 1.0
OK = b"HTTP/1.1 200 OK\r\n"


class Names:
    """A resolver that answers what it was told to, and remembers what it was asked."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def local(server: ScriptedServer) -> NotificationSender:
    """Nobody but `server` may be called, and everybody whom a redirect of its might name."""
    return NotificationSender(
        hosts=(server.url, *EVERYBODY), connect_s=0.8, total_s=TOTAL_S, resolve=Names(["8.8.8.8"])
    )


def deliver(deliveries: NotificationSender, url: str, body: bytes = BODY) -> None:
    deliveries.send(url, body, headers=headers(KEY, "task", 1783680000))


def failure(server: ScriptedServer, body: bytes = BODY) -> str:
    """The code of the failure; more than a second and a bit is too long for it."""
    began = time.monotonic()
    with pytest.raises(NotificationFailed) as failed:
        deliver(local(server), f"{server.url}/hook", body)
    assert time.monotonic() - began < TOTAL_S + 0.5
    assert type(failed.value) is NotificationFailed
    return failed.value.code


# What proves that it was us


def test_the_published_check_vector_is_what_we_sign() -> None:
    assert headers(KEY, "TESTTASK00000001", 1783680000) == {
        "X-Webhook-Timestamp": "1783680000",
        "X-Webhook-Signature": VECTOR,
    }


@pytest.mark.parametrize("key", [KEY, "", "ключ"])
def test_what_we_sign_is_what_a_receiver_of_poyos_callbacks_accepts(key: str) -> None:
    signed = {name.lower(): value for name, value in headers(key, "task", 1).items()}

    assert verify(key, "task", signed)
    assert not verify(key, "another", signed)
    assert not verify(f"{key}x", "task", signed)


# Whom we may call


@pytest.mark.parametrize("url", FORBIDDEN_URLS)
def test_an_address_that_is_not_listed_is_neither_resolved_nor_connected_to(url: str) -> None:
    names = Names(["8.8.8.8"])
    with audited_connections() as seen, pytest.raises(NotificationForbidden):
        deliver(NotificationSender(hosts=LISTED, resolve=names), url)

    assert (names.asked, seen.lookups, seen.connects) == ([], [], [])


@pytest.mark.parametrize(
    "url", [url for url in FORBIDDEN_URLS if url not in FORBIDDEN_HOST_NAME_URLS]
)
def test_who_may_call_everybody_may_still_not_call_what_is_no_public_name(url: str) -> None:
    names = Names(["8.8.8.8"])
    with audited_connections() as seen, pytest.raises(NotificationForbidden):
        deliver(NotificationSender(hosts=EVERYBODY, resolve=names), url)

    assert (names.asked, seen.lookups, seen.connects) == ([], [], [])


@pytest.mark.parametrize("url", FORBIDDEN_HOST_NAME_URLS)
def test_who_may_call_everybody_calls_a_stranger_at_the_address_that_was_checked(url: str) -> None:
    names = Names(["93.184.216.34"], ["127.0.0.1"])
    with audited_connections() as seen, pytest.raises(NotificationFailed, match="unreachable"):
        deliver(NotificationSender(hosts=EVERYBODY, resolve=names), url)

    assert len(names.asked) == 1
    assert seen.connects == [("93.184.216.34", 443)]


@pytest.mark.parametrize("address", NON_PUBLIC_ADDRESSES)
@pytest.mark.parametrize("hosts", [("*",), ("*.example.com",), ("hooks.example.com",)])
def test_a_name_that_leads_inside_is_not_connected_to(hosts: tuple[str], address: str) -> None:
    for answer in ([address], ["8.8.8.8", address], [address, "8.8.8.8"], []):
        with audited_connections() as seen, pytest.raises(NotificationForbidden):
            deliver(NotificationSender(hosts=hosts, resolve=Names(answer)), URL)
        assert seen.connects == []


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:9000/", "https://files.example:8443/"])
def test_without_a_list_nobody_is_called(url: str) -> None:
    names = Names(["8.8.8.8"])
    with audited_connections() as seen, pytest.raises(NotificationForbidden):
        deliver(NotificationSender(hosts=(), resolve=names), url)

    assert (names.asked, seen.connects) == ([], [])


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        (" Hooks.example.com, ,*.example.org,", ("hooks.example.com", "*.example.org")),
        ("*,http://127.0.0.1:9000", ("*", "http://127.0.0.1:9000")),
        ("", ()),
    ],
)
def test_the_list_is_read_from_the_environment(
    text: str, hosts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATION_HOSTS", text)

    assert NotificationSender.from_env().hosts == hosts


def test_a_list_that_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFICATION_HOSTS", raising=False)
    with pytest.raises(KeyError, match="NOTIFICATION_HOSTS"):
        NotificationSender.from_env()


@pytest.mark.parametrize("url", FORBIDDEN_URLS)
def test_what_is_accepted_is_what_may_be_called_unless_its_name_leads_inside(url: str) -> None:
    names = Names(["8.8.8.8"])
    with audited_connections() as seen:
        accepted = NotificationSender(hosts=EVERYBODY, resolve=names).allows(url)

        assert accepted == (url in FORBIDDEN_HOST_NAME_URLS)
        assert not NotificationSender(hosts=LISTED, resolve=names).allows(url)
        assert not NotificationSender(hosts=(), resolve=names).allows(url)

    assert (names.asked, seen.lookups, seen.connects) == ([], [], [])


@pytest.mark.parametrize(
    "url", [URL, "https://a.poyo.ai", "https://files.example:8443/x", "HTTPS://Hooks.Example.COM/"]
)
def test_what_is_listed_is_accepted(url: str) -> None:
    assert NotificationSender(hosts=("hooks.example.com", *LISTED)).allows(url)


def test_an_address_can_be_checked_without_calling_it() -> None:
    names = Names(["93.184.216.34"])
    with audited_connections() as seen:
        target = NotificationSender(hosts=("*.example.com",), resolve=names).resolve_target(
            f"{URL}#part"
        )
        with pytest.raises(NotificationForbidden, match="host_not_listed"):
            NotificationSender(hosts=("*.example.org",), resolve=names).resolve_target(URL)

    path = "/done?task=1"
    assert target == Target("https", "hooks.example.com", 443, path, ("93.184.216.34",))
    assert seen.connects == []


def test_a_name_that_nobody_knows_is_called_again_later() -> None:
    with pytest.raises(NotificationFailed, match="unresolved") as failed:
        deliver(NotificationSender(hosts=("*",)), "https://no-such-host.invalid/")

    assert not isinstance(failed.value, NotificationForbidden)
    assert failed.value.code == "unresolved"


@pytest.mark.parametrize(
    "url", [url for url in FORBIDDEN_URLS if url == url.strip() and "\n" not in url]
)
def test_a_redirect_leads_nowhere(url: str) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"
    with scripted_server(sending_raw(answer.encode())) as server:
        env = ("127.0.0.1", server.port)
        deliveries = local(server)
        with audited_connections(env) as seen, pytest.raises(NotificationFailed, match="http_302"):
            deliver(deliveries, f"{server.url}/hook")

    assert seen.connects == [env]
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["localhost", "other.example"])
def test_a_server_that_proves_to_be_another_hears_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = server_context(tmp_path, name)
    monkeypatch.setattr(certifi, "where", lambda: str(authority))
    with scripted_server(responding("200 OK"), tls=context) as server:
        env = f"https://localhost:{server.port}"
        deliveries = NotificationSender(hosts=(env,), total_s=TOTAL_S)
        if name == "localhost":
            deliver(deliveries, f"{env}/hook")
        else:
            with pytest.raises(NotificationFailed, match="unreachable"):
                deliver(deliveries, f"{env}/hook")

    assert len(server.requests) == (name == "localhost")


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with scripted_server(responding("200 OK")) as server:
        deliver(local(server), f"{server.url}/hook")

    assert len(server.requests) == 1


# What is sent


@pytest.mark.parametrize("body", [BODY, b"", bytes(range(256)) * 4000])
def test_a_delivery_is_one_post_of_the_body_and_its_signature(body: bytes) -> None:
    with scripted_server(responding("200 OK")) as server:
        deliver(local(server), f"{server.url}/a/b?c=d#e", body)

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


# Whether it was taken


@pytest.mark.parametrize("said", ["200 OK", "200", "201 Created", "202 Yes", "204 No", "299 ü"])
def test_an_answer_in_the_two_hundreds_means_that_it_was_taken(said: str) -> None:
    with scripted_server(responding(said)) as server:
        deliver(local(server), f"{server.url}/hook")

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "code", [300, 301, 302, 303, 304, 307, 308, 400, 401, 404, 410, 413, 429, 500, 503, 599, 999]
)
def test_any_other_answer_means_that_it_was_not(code: int) -> None:
    with scripted_server(responding(f"{code} Oh", b"x", Location="/other")) as server:
        assert failure(server) == f"http_{code}"

    assert len(server.requests) == 1


TAKEN: dict[str, Behaviour] = {
    "closed within the status": sending_raw(b"HTTP/1.1 200"),
    "a sign": sending_raw(b"HTTP/1.1 +200 OK\r\n\r\n"),
    "and the end": sending_raw(OK),
    "and a reset later": trickling(OK, b"", 0.1, 0.2),
    "bare line feeds": sending_raw(b"HTTP/1.0 200 OK\n\n"),
    "headers that are none": sending_raw(OK + b"\x00\xff no colon\r\n\r\n"),
    "a body without end": endless(OK + b"\r\n", bytes(60_000)),
    "a body that dribbles": trickling(OK + b"Content-Length: 9\r\n\r\n", b"x", 0.1, 3),
    "a body that never comes": trickling(OK + b"Content-Length: 9\r\n\r\n", b"", 1, 1),
    "after 100": sending_raw(b"HTTP/1.1 100 Continue\r\n\r\n" + OK),
    "after 103 and 102": sending_raw(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nX: y\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + OK
    ),
}


@pytest.mark.parametrize("behaviour", TAKEN.values(), ids=TAKEN)
def test_behind_the_status_nothing_is_waited_for(behaviour: Behaviour) -> None:
    with scripted_server(behaviour) as server:
        began = time.monotonic()
        deliver(local(server), f"{server.url}/hook")
        took_s = time.monotonic() - began

    assert took_s < 0.5
    assert len(server.requests) == 1


NOT_TAKEN: dict[str, Behaviour] = {
    "headers without end": endless(OK, b"X: " + b"x" * 60_000 + b"\r\n"),
    "headers that dribble": trickling(OK, b"X: y\r\n", 0.1, 3),
    "one huge header": endless(OK + b"X: ", b"x" * 60_000),
    "two lengths": sending_raw(OK + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\n"),
    "closed at once": sending_raw(b""),
    "reset at once": resetting(),
    "reset within the status": resetting(b"HTTP/1.1 20"),
    "silence": silent(1.5),
    "garbage": sending_raw(b"\x00" * 500 + b"\r\n"),
    "garbage without end": endless(b"", b"x" * 60_000),
    "a status line without end": endless(b"HTTP/1.1 200 ", b"x" * 60_000),
    "a page without headers": sending_raw(b"<!doctype html>\n<title>200 OK</title>\n"),
    "an empty line first": sending_raw(b"\r\n" + OK + b"\r\n"),
    "HTTP/2": sending_raw(b"HTTP/2 200\r\n\r\n"),
    "two digits": sending_raw(b"HTTP/1.1 20 OK\r\n\r\n"),
    "four digits": sending_raw(b"HTTP/1.1 2000 OK\r\n\r\n"),
    "other digits": sending_raw("HTTP/1.1 ٢٠٠ OK\r\n\r\n".encode()),
    "status 0": sending_raw(b"HTTP/1.1 000 OK\r\n\r\n"),
    "only 100": sending_raw(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100, and 200 as a header": sending_raw(b"HTTP/1.1 100 Continue\r\n" + OK + b"\r\n"),
    "100 without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500),
    "103 whose headers have no end": endless(b"HTTP/1.1 103 Hints\r\n", b"X: y\r\n" * 500),
    "101": trickling(b"HTTP/1.1 101 Switching\r\n\r\n", b"\x00", 0.1, 3),
    "a status that dribbles": trickling(b"", b"HTTP/1.1 200", 0.1, 3),
    "100s that dribble": trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1, 3),
    "headers of 103 that dribble": trickling(b"HTTP/1.1 103 Hints\r\n", b"X: y\r\n", 0.1, 3),
}


@pytest.mark.parametrize("behaviour", NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_what_has_no_status_was_not_taken(behaviour: Behaviour) -> None:
    with scripted_server(behaviour) as server:
        assert failure(server) in ("unreachable", "http_101")

    assert len(server.requests) == 1


def test_a_server_that_is_not_there_took_nothing() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(NotificationFailed) as failed:
        deliver(NotificationSender(hosts=(url,)), f"{url}/hook")

    assert failed.value.code == "unreachable"


@pytest.mark.parametrize("secure", [True, False])
def test_a_server_that_sips_at_a_long_body_is_left(
    secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = server_context(tmp_path, "127.0.0.1")
    monkeypatch.setattr(certifi, "where", lambda: str(authority))
    tls = context if secure else None
    with scripted_server(responding("200 OK"), tls=tls, read=read_slowly) as server:
        assert failure(server, bytes(30_000_000)) == "unreachable"


def test_a_server_that_leaves_in_the_middle_of_a_long_body_took_nothing() -> None:
    def leaves(connection: socket.socket) -> bytes:
        return connection.recv(100)

    with scripted_server(resetting(), read=leaves) as server:
        assert failure(server, bytes(30_000_000)) == "unreachable"


def test_resolving_is_a_part_of_the_time_that_there_is() -> None:
    def slowly(host: str, port: int) -> list[str]:
        time.sleep(0.2)
        return ["93.184.216.34"]

    with audited_connections() as seen, pytest.raises(NotificationFailed, match="too_late"):
        deliver(NotificationSender(hosts=("*",), total_s=0.1, resolve=slowly), URL)

    assert seen.connects == []


def test_a_server_that_recovered_is_told() -> None:
    with scripted_server(responding("500 Oh"), responding("200 OK")) as server:
        assert failure(server) == "http_500"
        deliver(local(server), f"{server.url}/hook")

    assert all(one == other for one, other in pairwise(server.requests))
    assert len(server.requests) == 2
