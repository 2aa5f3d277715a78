"""Which URLs and addresses a download may connect to, redirects included."""

import contextlib
import re
from dataclasses import replace
from pathlib import Path

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetasks.errors import AddressForbidden, DownloadFailed, DownloadForbidden
from imagetasks.outbound.download import ImageDownloader
from imagetasks.outbound.url_policy import (
    Target,
    is_public_address,
    normalise_url,
    parse_target,
)
from tests.fixtures.images import png
from tests.fixtures.urls import (
    FORBIDDEN_URLS,
    NON_PUBLIC_ADDRESSES,
    PUBLIC_ADDRESSES,
    UNENCODED_URLS,
)
from tests.support.certificates import server_context
from tests.support.connection_audit import audited_connections
from tests.support.downloads import ALLOWED_HOSTS, SHORT_LIMITS, downloader_for, fetch
from tests.support.fake_resolver import FakeResolver
from tests.support.scripted_server import (
    closed_port,
    responding,
    scripted_server,
    sending_raw,
)

URL = "https://cdn.doculator.org/images/x/x.png?size=1"
PNG = png()


@pytest.mark.parametrize("url", FORBIDDEN_URLS)
def test_forbidden_url_is_neither_resolved_nor_connected_to(url: str) -> None:
    resolver = FakeResolver(["8.8.8.8"])
    with audited_connections() as audit, pytest.raises(DownloadForbidden):
        fetch(ImageDownloader(hosts=ALLOWED_HOSTS, resolve=resolver), url)

    assert (resolver.lookups, audit.lookups, audit.connects) == ([], [], [])


@pytest.mark.parametrize(
    "url", [url for url in FORBIDDEN_URLS if url == url.strip() and "\n" not in url]
)
def test_redirect_to_a_forbidden_url_is_not_connected_to(url: str) -> None:
    redirect = f"HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"
    with scripted_server(sending_raw(redirect.encode()), responding("200 OK", PNG)) as server:
        allowed = ("127.0.0.1", server.port)
        with audited_connections(allowed) as audit, contextlib.suppress(DownloadFailed):
            fetch(downloader_for(server), f"{server.url}/x.png")

    assert set(audit.connects) <= {allowed}


# The same with a raw space and raw Unicode, and as percent-encoded bytes of the host.
ENCODED_VARIANTS = [
    url.replace("/x.png", path, 1)
    for url in FORBIDDEN_URLS
    if "/x.png" in url
    for path in ("/a b.png", "/é.png?ü=鹭", "/x.png?a b#é")
]


@pytest.mark.parametrize("base", ["", "https://api.poyo.ai"])
@pytest.mark.parametrize("url", [*ENCODED_VARIANTS, *FORBIDDEN_URLS])
def test_normalising_leads_to_no_host_that_is_not_allowed(url: str, base: str) -> None:
    resolver = FakeResolver(["8.8.8.8"])
    downloader = ImageDownloader(hosts=ALLOWED_HOSTS, base_url=base, resolve=resolver)
    with audited_connections() as audit, pytest.raises(DownloadFailed) as failed:
        fetch(downloader, url)

    names_a_host = re.match("[a-z]+://[^/]", url)
    assert isinstance(failed.value, DownloadForbidden) or (base and not names_a_host)
    assert {host for host, _ in resolver.lookups} <= {"api.poyo.ai", "cdn.doculator.org"}
    assert {address for address, _ in audit.connects} <= {"8.8.8.8"}


@pytest.mark.parametrize(("url", "path"), UNENCODED_URLS)
def test_raw_address_is_encoded_as_browsers_do_before_it_is_checked(url: str, path: str) -> None:
    normalised = normalise_url(url)
    resolver = FakeResolver(["93.184.216.34"])
    with audited_connections() as audit, pytest.raises(DownloadFailed) as failed:
        fetch(ImageDownloader(hosts=ALLOWED_HOSTS, resolve=resolver), url)

    assert parse_target(normalised, hosts=ALLOWED_HOSTS).path == path
    assert normalise_url(normalised) == normalised
    assert not isinstance(failed.value, DownloadForbidden)
    assert audit.connects == [("93.184.216.34", 443)]


@pytest.mark.parametrize(("url", "path"), UNENCODED_URLS)
def test_raw_address_is_requested_in_its_encoded_form(url: str, path: str) -> None:
    relative = url.removeprefix("https://cdn.doculator.org")
    with scripted_server(responding("200 OK", PNG)) as server:
        assert fetch(downloader_for(server), server.url + relative) == PNG

    [request] = server.requests
    assert request.startswith(f"GET {path} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize("end", [" ", "\n", "\r\n", "\t "])
def test_white_space_behind_an_address_is_ignored(end: str) -> None:
    with scripted_server(responding("200 OK", PNG)) as server:
        assert fetch(downloader_for(server), f"{server.url}/x.png{end}") == PNG

    assert server.requests[0].startswith(b"GET /x.png HTTP/1.1\r\n")


@pytest.mark.parametrize("address", ["/files/x y.png", "files/x y.png", "{}/files/x y.png"])
def test_relative_address_belongs_to_poyo(address: str) -> None:
    with scripted_server(responding("200 OK", PNG)) as server:
        network_path = server.url.removeprefix("http:")
        downloader = replace(downloader_for(server), base_url=server.url)
        assert fetch(downloader, address.format(network_path)) == PNG

    assert server.requests[0].startswith(b"GET /files/x%20y.png ")


@pytest.mark.parametrize(
    ("location", "path"),
    [
        (b"/a b.png", "/a%20b.png"),
        ("/é.png?ü".encode(), "/%C3%A9.png?%C3%BC"),
        ("/é.png".encode("latin-1"), "/%E9.png"),
        (b"b c.png", "/dir/b%20c.png"),
    ],
)
def test_redirect_to_a_raw_address_is_followed_in_its_encoded_form(
    location: bytes, path: str
) -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    with scripted_server(sending_raw(redirect), responding("200 OK", PNG)) as server:
        assert fetch(downloader_for(server), f"{server.url}/dir/x.png") == PNG

    assert server.requests[1].startswith(f"GET {path} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://bücher.poyo.ai/x", "xn--bcher-kva.poyo.ai"),
        ("https://BÜCHER.poyo.ai/x", "xn--bcher-kva.poyo.ai"),
        ("https://例え.poyo.ai:443/x", "xn--r8jz45g.poyo.ai"),
    ],
)
def test_name_in_other_letters_is_resolved_in_ascii(url: str, host: str) -> None:
    resolver = FakeResolver(["8.8.8.8"])
    with audited_connections(), pytest.raises(DownloadFailed):
        fetch(ImageDownloader(hosts=ALLOWED_HOSTS, resolve=resolver), url)

    assert resolver.lookups == [(host, 443)]


# Names that one parser maps to an allowed name and another does not.
@pytest.mark.parametrize(
    "host", ["ｃdn.doculator.org", "cdn。doculator.org", "straße.poyo.ai", "a\u200db.poyo.ai"]
)
def test_name_that_unicode_maps_to_another_is_forbidden(host: str) -> None:
    with pytest.raises(DownloadForbidden):
        fetch(ImageDownloader(hosts=ALLOWED_HOSTS, resolve=FakeResolver([])), f"https://{host}/é")


@given(st.text(), st.sampled_from(["", "https://api.poyo.ai", "http://127.0.0.1:8790"]))
def test_any_address_is_normalised_to_printable_ascii_or_forbidden(url: str, base: str) -> None:
    with contextlib.suppress(AddressForbidden):
        target = parse_target(normalise_url(url, base=base), hosts=("*",))
        assert re.fullmatch("[!-~]+", target.path)


@pytest.mark.parametrize("address", NON_PUBLIC_ADDRESSES)
def test_allowed_name_with_a_non_public_address_is_not_connected_to(address: str) -> None:
    for addresses in ([address], ["8.8.8.8", address], [address, "8.8.8.8"]):
        with audited_connections() as audit, pytest.raises(DownloadForbidden):
            fetch(ImageDownloader(hosts=ALLOWED_HOSTS, resolve=FakeResolver(addresses)), URL)
        assert audit.connects == []
    assert not is_public_address(address)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_address_of_the_internet_is_public(address: str) -> None:
    assert is_public_address(address)


def test_name_without_addresses_is_not_connected_to() -> None:
    with audited_connections() as audit, pytest.raises(DownloadForbidden):
        fetch(ImageDownloader(hosts=ALLOWED_HOSTS, resolve=FakeResolver([])), URL)

    assert audit.connects == []


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "https://cdn.doculator.org:443/x.png",
        "HTTPS://CDN.Doculator.ORG/x.png",
        "https://storage.poyo.ai/generated/x.png",
        "https://a.b.poyo.ai/x.png",
        "https://cdn.doculator.org?x",
        "https://cdn.doculator.org#@evil.example/",
    ],
)
def test_name_is_resolved_once_and_the_checked_address_is_connected_to(url: str) -> None:
    resolver = FakeResolver(["93.184.216.34"], ["127.0.0.1"])
    with audited_connections() as audit, pytest.raises(DownloadFailed) as failed:
        fetch(ImageDownloader(hosts=ALLOWED_HOSTS, resolve=resolver), url)

    assert not isinstance(failed.value, DownloadForbidden)
    assert len(resolver.lookups) == 1
    assert audit.connects == [("93.184.216.34", 443)]
    assert audit.lookups == ["93.184.216.34"]


def test_second_address_is_tried_after_the_first_and_no_third() -> None:
    resolver = FakeResolver(["93.184.216.34", "93.184.216.35", "93.184.216.36"])
    with audited_connections() as audit, pytest.raises(DownloadFailed, match="unreachable"):
        fetch(ImageDownloader(hosts=ALLOWED_HOSTS, resolve=resolver), URL)

    assert [address for address, _ in audit.connects] == ["93.184.216.34", "93.184.216.35"]


def test_ip_address_in_the_allow_list_must_be_public_too() -> None:
    with audited_connections() as audit, pytest.raises(DownloadForbidden):
        fetch(
            ImageDownloader(hosts=("127.0.0.1",), resolve=lambda host, port: [host]),
            "https://127.0.0.1/",
        )

    assert audit.connects == []


def test_whole_origin_of_the_allow_list_is_not_resolved_when_checked() -> None:
    resolver = FakeResolver([])
    target = ImageDownloader(hosts=ALLOWED_HOSTS, resolve=resolver).resolve_target(
        "https://files.example:8443/a?b#c"
    )

    assert target == Target("https", "files.example", 8443, "/a?b", ("files.example",))
    assert resolver.lookups == []


def test_unknown_name_is_a_temporary_failure() -> None:
    with pytest.raises(DownloadFailed, match="unresolved") as failed:
        fetch(
            ImageDownloader(hosts=("no-such-host.invalid",)), "https://no-such-host.invalid/x.png"
        )

    assert not isinstance(failed.value, DownloadForbidden)


def test_allow_list_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOWNLOAD_HOSTS", " CDN.doculator.org, ,*.poyo.ai,")

    assert ImageDownloader.from_env().hosts == ("cdn.doculator.org", "*.poyo.ai")


@pytest.mark.parametrize("name", ["localhost", "other.example"])
def test_server_with_a_certificate_of_another_name_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = server_context(tmp_path, name)
    monkeypatch.setattr(certifi, "where", lambda: str(authority))
    with scripted_server(responding("200 OK", PNG), tls=context) as server:
        origin = f"https://localhost:{server.port}"
        downloader = ImageDownloader(hosts=(origin,), limits=SHORT_LIMITS)
        if name == "localhost":
            assert fetch(downloader, f"{origin}/x.png") == PNG
        else:
            with pytest.raises(DownloadFailed, match="unreachable"):
                fetch(downloader, f"{origin}/x.png")

    assert len(server.requests) == (name == "localhost")


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with scripted_server(responding("200 OK", PNG)) as server:
        assert fetch(downloader_for(server), f"{server.url}/x.png") == PNG
