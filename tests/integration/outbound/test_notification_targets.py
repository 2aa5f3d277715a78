"""Which URLs and addresses a notification may be sent to."""

from pathlib import Path

import certifi
import pytest

from imagetasks.errors import NotificationFailed, NotificationForbidden
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.outbound.url_policy import Target
from tests.fixtures.urls import FORBIDDEN_HOST_NAME_URLS, FORBIDDEN_URLS, NON_PUBLIC_ADDRESSES
from tests.support.certificates import server_context
from tests.support.connection_audit import audited_connections
from tests.support.fake_resolver import FakeResolver
from tests.support.scripted_server import (
    ScriptedServer,
    closed_port,
    responding,
    scripted_server,
    sending_raw,
)

ALLOWED_HOSTS = ("cdn.doculator.org", "*.poyo.ai", "https://files.example:8443")
EVERY_PUBLIC_HOST = ("*", "https://files.example:8443")
URL = "https://hooks.example.com/done?task=1"
TOTAL_S = 1.0


def send(sender: NotificationSender, url: str) -> None:
    sender.send(url, b"{}", headers={})


def sender_for(server: ScriptedServer) -> NotificationSender:
    """A sender that may connect to `server`, and to every public host in case of a redirect."""
    hosts = (server.url, *EVERY_PUBLIC_HOST)
    return NotificationSender(
        hosts=hosts, connect_s=0.8, total_s=TOTAL_S, resolve=FakeResolver(["8.8.8.8"])
    )


@pytest.mark.parametrize("url", FORBIDDEN_URLS)
def test_forbidden_url_is_neither_resolved_nor_connected_to(url: str) -> None:
    resolver = FakeResolver(["8.8.8.8"])
    with audited_connections() as audit, pytest.raises(NotificationForbidden):
        send(NotificationSender(hosts=ALLOWED_HOSTS, resolve=resolver), url)

    assert (resolver.lookups, audit.lookups, audit.connects) == ([], [], [])


@pytest.mark.parametrize(
    "url", [url for url in FORBIDDEN_URLS if url not in FORBIDDEN_HOST_NAME_URLS]
)
def test_url_without_a_public_name_is_forbidden_although_every_public_host_is_allowed(
    url: str,
) -> None:
    resolver = FakeResolver(["8.8.8.8"])
    with audited_connections() as audit, pytest.raises(NotificationForbidden):
        send(NotificationSender(hosts=EVERY_PUBLIC_HOST, resolve=resolver), url)

    assert (resolver.lookups, audit.lookups, audit.connects) == ([], [], [])


@pytest.mark.parametrize("url", FORBIDDEN_HOST_NAME_URLS)
def test_public_name_is_resolved_once_and_the_checked_address_is_connected_to(url: str) -> None:
    resolver = FakeResolver(["93.184.216.34"], ["127.0.0.1"])
    with audited_connections() as audit, pytest.raises(NotificationFailed, match="unreachable"):
        send(NotificationSender(hosts=EVERY_PUBLIC_HOST, resolve=resolver), url)

    assert len(resolver.lookups) == 1
    assert audit.connects == [("93.184.216.34", 443)]


@pytest.mark.parametrize("address", NON_PUBLIC_ADDRESSES)
@pytest.mark.parametrize("hosts", [("*",), ("*.example.com",), ("hooks.example.com",)])
def test_name_with_a_non_public_address_is_not_connected_to(
    hosts: tuple[str], address: str
) -> None:
    for addresses in ([address], ["8.8.8.8", address], [address, "8.8.8.8"], []):
        with audited_connections() as audit, pytest.raises(NotificationForbidden):
            send(NotificationSender(hosts=hosts, resolve=FakeResolver(addresses)), URL)
        assert audit.connects == []


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:9000/", "https://files.example:8443/"])
def test_every_url_is_forbidden_without_an_allow_list(url: str) -> None:
    resolver = FakeResolver(["8.8.8.8"])
    with audited_connections() as audit, pytest.raises(NotificationForbidden):
        send(NotificationSender(hosts=(), resolve=resolver), url)

    assert (resolver.lookups, audit.connects) == ([], [])


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        (" Hooks.example.com, ,*.example.org,", ("hooks.example.com", "*.example.org")),
        ("*,http://127.0.0.1:9000", ("*", "http://127.0.0.1:9000")),
        ("", ()),
    ],
)
def test_allow_list_is_read_from_the_environment(
    text: str, hosts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATION_HOSTS", text)

    assert NotificationSender.from_env().hosts == hosts


def test_missing_allow_list_raises_key_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFICATION_HOSTS", raising=False)
    with pytest.raises(KeyError, match="NOTIFICATION_HOSTS"):
        NotificationSender.from_env()


@pytest.mark.parametrize("url", FORBIDDEN_URLS)
def test_orders_may_name_exactly_the_urls_that_the_allow_list_permits(url: str) -> None:
    resolver = FakeResolver(["8.8.8.8"])
    with audited_connections() as audit:
        allowed = NotificationSender(hosts=EVERY_PUBLIC_HOST, resolve=resolver).allows(url)

        assert allowed == (url in FORBIDDEN_HOST_NAME_URLS)
        assert not NotificationSender(hosts=ALLOWED_HOSTS, resolve=resolver).allows(url)
        assert not NotificationSender(hosts=(), resolve=resolver).allows(url)

    assert (resolver.lookups, audit.lookups, audit.connects) == ([], [], [])


@pytest.mark.parametrize(
    "url", [URL, "https://a.poyo.ai", "https://files.example:8443/x", "HTTPS://Hooks.Example.COM/"]
)
def test_url_of_an_allowed_host_is_allowed(url: str) -> None:
    assert NotificationSender(hosts=("hooks.example.com", *ALLOWED_HOSTS)).allows(url)


def test_target_is_resolved_without_a_connection() -> None:
    resolver = FakeResolver(["93.184.216.34"])
    with audited_connections() as audit:
        target = NotificationSender(hosts=("*.example.com",), resolve=resolver).resolve_target(
            f"{URL}#part"
        )
        with pytest.raises(NotificationForbidden, match="host_not_listed"):
            NotificationSender(hosts=("*.example.org",), resolve=resolver).resolve_target(URL)

    path = "/done?task=1"
    assert target == Target("https", "hooks.example.com", 443, path, ("93.184.216.34",))
    assert audit.connects == []


def test_unknown_name_is_a_temporary_failure() -> None:
    with pytest.raises(NotificationFailed, match="unresolved") as failed:
        send(NotificationSender(hosts=("*",)), "https://no-such-host.invalid/")

    assert not isinstance(failed.value, NotificationForbidden)
    assert failed.value.code == "unresolved"


@pytest.mark.parametrize(
    "url", [url for url in FORBIDDEN_URLS if url == url.strip() and "\n" not in url]
)
def test_redirect_is_not_followed(url: str) -> None:
    redirect = f"HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"
    with scripted_server(sending_raw(redirect.encode())) as server:
        allowed = ("127.0.0.1", server.port)
        sender = sender_for(server)
        with (
            audited_connections(allowed) as audit,
            pytest.raises(NotificationFailed, match="http_302"),
        ):
            send(sender, f"{server.url}/hook")

    assert audit.connects == [allowed]
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["localhost", "other.example"])
def test_server_with_a_certificate_of_another_name_gets_no_request(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = server_context(tmp_path, name)
    monkeypatch.setattr(certifi, "where", lambda: str(authority))
    with scripted_server(responding("200 OK"), tls=context) as server:
        origin = f"https://localhost:{server.port}"
        sender = NotificationSender(hosts=(origin,), total_s=TOTAL_S)
        if name == "localhost":
            send(sender, f"{origin}/hook")
        else:
            with pytest.raises(NotificationFailed, match="unreachable"):
                send(sender, f"{origin}/hook")

    assert len(server.requests) == (name == "localhost")


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with scripted_server(responding("200 OK")) as server:
        send(sender_for(server), f"{server.url}/hook")

    assert len(server.requests) == 1
