"""Keeping an image: never led elsewhere, never kept waiting, never swollen, never fooled."""

import contextlib
import gzip
import hashlib
import socket
import time
import tracemalloc
from pathlib import Path

import certifi
import pytest

from imagetasks.errors import DownloadFailed, DownloadForbidden, NotAnImage
from imagetasks.outbound.download import DownloadLimits, ImageDownloader
from imagetasks.outbound.url_policy import Target, is_public_address
from tests.fixtures.images import (
    HEIGHT,
    HTML,
    INVALID_IMAGES,
    SVG,
    VALID_IMAGES,
    WIDTH,
    png,
    png_with_size,
)
from tests.fixtures.urls import FORBIDDEN_URLS, NON_PUBLIC_ADDRESSES, PUBLIC_ADDRESSES
from tests.support.certificates import server_context
from tests.support.connection_audit import audited_connections
from tests.support.scripted_server import (
    Behaviour,
    ScriptedServer,
    closed_port,
    endless,
    resetting,
    responding,
    scripted_server,
    sending_raw,
    silent,
    trickling,
)

LISTED = ("cdn.doculator.org", "*.poyo.ai", "https://files.example:8443")
URL = "https://cdn.doculator.org/images/x/x.png?size=1"
PNG = png()
OK = b"HTTP/1.1 200 OK\r\n"
TIGHT = DownloadLimits(
    connect_s=1.0,
    read_s=0.5,
    total_s=1.5,
    grace_s=0.4,
    min_rate=20_000,
    max_bytes=300_000,
    chunk_bytes=16_384,
    spool_bytes=65_536,
)


class Names:
    """A resolver that answers what it was told to, and remembers what it was asked."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def fetched(downloads: ImageDownloader, url: str) -> bytes:
    with downloads.fetch(url) as found:
        content = found.file.read()
        assert found.bytes == len(content)
        assert found.sha256 == hashlib.sha256(content).hexdigest()
        return content


def local(server: ScriptedServer, bounds: DownloadLimits = TIGHT) -> ImageDownloader:
    return ImageDownloader(hosts=(server.url, *LISTED), limits=bounds, resolve=Names(["8.8.8.8"]))


# Where we may connect to


@pytest.mark.parametrize("url", FORBIDDEN_URLS)
def test_an_address_that_is_not_listed_is_neither_resolved_nor_connected_to(url: str) -> None:
    names = Names(["8.8.8.8"])
    with audited_connections() as seen, pytest.raises(DownloadForbidden):
        fetched(ImageDownloader(hosts=LISTED, resolve=names), url)

    assert (names.asked, seen.lookups, seen.connects) == ([], [], [])


@pytest.mark.parametrize(
    "url", [url for url in FORBIDDEN_URLS if url == url.strip() and "\n" not in url]
)
def test_a_redirect_leads_nowhere_that_the_first_address_might_not(url: str) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"
    with scripted_server(sending_raw(answer.encode()), responding("200 OK", PNG)) as server:
        env = ("127.0.0.1", server.port)
        with audited_connections(env) as seen, contextlib.suppress(DownloadFailed):
            fetched(local(server), f"{server.url}/x.png")

    assert set(seen.connects) <= {env}


@pytest.mark.parametrize("address", NON_PUBLIC_ADDRESSES)
def test_a_listed_name_that_leads_inside_is_not_connected_to(address: str) -> None:
    for answer in ([address], ["8.8.8.8", address], [address, "8.8.8.8"]):
        with audited_connections() as seen, pytest.raises(DownloadForbidden):
            fetched(ImageDownloader(hosts=LISTED, resolve=Names(answer)), URL)
        assert seen.connects == []
    assert not is_public_address(address)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public_address(address)


def test_a_name_without_addresses_is_not_connected_to() -> None:
    with audited_connections() as seen, pytest.raises(DownloadForbidden):
        fetched(ImageDownloader(hosts=LISTED, resolve=Names([])), URL)

    assert seen.connects == []


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
def test_a_rebinding_name_is_asked_once_and_the_checked_address_is_connected_to(url: str) -> None:
    names = Names(["93.184.216.34"], ["127.0.0.1"])
    with audited_connections() as seen, pytest.raises(DownloadFailed) as failed:
        fetched(ImageDownloader(hosts=LISTED, resolve=names), url)

    assert not isinstance(failed.value, DownloadForbidden)
    assert len(names.asked) == 1
    assert seen.connects == [("93.184.216.34", 443)]
    assert seen.lookups == ["93.184.216.34"]


def test_an_address_that_does_not_answer_gives_way_to_the_next_and_to_no_third() -> None:
    names = Names(["93.184.216.34", "93.184.216.35", "93.184.216.36"])
    with audited_connections() as seen, pytest.raises(DownloadFailed, match="unreachable"):
        fetched(ImageDownloader(hosts=LISTED, resolve=names), URL)

    assert [address for address, _ in seen.connects] == ["93.184.216.34", "93.184.216.35"]


def test_a_bare_address_on_the_list_is_still_not_public() -> None:
    with audited_connections() as seen, pytest.raises(DownloadForbidden):
        fetched(
            ImageDownloader(hosts=("127.0.0.1",), resolve=lambda host, port: [host]),
            "https://127.0.0.1/",
        )

    assert seen.connects == []


def test_a_whole_origin_is_taken_as_it_is_listed_and_not_resolved() -> None:
    names = Names([])
    target = ImageDownloader(hosts=LISTED, resolve=names).resolve_target(
        "https://files.example:8443/a?b#c"
    )

    assert target == Target("https", "files.example", 8443, "/a?b", ("files.example",))
    assert names.asked == []


def test_a_name_that_nobody_knows_is_tried_again_later() -> None:
    with pytest.raises(DownloadFailed, match="unresolved") as failed:
        fetched(
            ImageDownloader(hosts=("no-such-host.invalid",)), "https://no-such-host.invalid/x.png"
        )

    assert not isinstance(failed.value, DownloadForbidden)


def test_the_list_of_hosts_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOWNLOAD_HOSTS", " CDN.doculator.org, ,*.poyo.ai,")

    assert ImageDownloader.from_env().hosts == ("cdn.doculator.org", "*.poyo.ai")


@pytest.mark.parametrize("name", ["localhost", "other.example"])
def test_a_server_that_proves_to_be_another_gives_no_picture(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = server_context(tmp_path, name)
    monkeypatch.setattr(certifi, "where", lambda: str(authority))
    with scripted_server(responding("200 OK", PNG), tls=context) as server:
        env = f"https://localhost:{server.port}"
        downloads = ImageDownloader(hosts=(env,), limits=TIGHT)
        if name == "localhost":
            assert fetched(downloads, f"{env}/x.png") == PNG
        else:
            with pytest.raises(DownloadFailed, match="unreachable"):
                fetched(downloads, f"{env}/x.png")

    assert len(server.requests) == (name == "localhost")


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with scripted_server(responding("200 OK", PNG)) as server:
        assert fetched(local(server), f"{server.url}/x.png") == PNG


# What may come from there


@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_a_real_picture_is_kept_whole(content_type: str, content: bytes) -> None:
    wrong = responding("200 OK", content, Content_Type="application/octet-stream")
    with scripted_server(wrong) as server, local(server).fetch(f"{server.url}/x.png") as found:
        assert found.file.read() == content
        assert (found.info.content_type, found.bytes) == (content_type, len(content))
        assert (found.info.width, found.info.height) == (WIDTH, HEIGHT)
        assert found.sha256 == hashlib.sha256(content).hexdigest()


def test_a_request_is_one_get_that_looks_like_a_browsers() -> None:
    with scripted_server(responding("200 OK", PNG)) as server:
        fetched(local(server), f"{server.url}/a/b.png?c=d")

    [request] = server.requests
    assert request.startswith(b"GET /a/b.png?c=d HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}\r\n".encode() in request
    assert b"Accept: image/*\r\n" in request
    assert b"Accept-Encoding: identity\r\n" in request
    assert b"User-Agent: Mozilla/5.0" in request
    assert b"authorization" not in request.lower()
    assert b"cookie" not in request.lower()


NOT_AN_IMAGE: dict[str, Behaviour] = {
    "html": responding("200 OK", HTML, Content_Type="image/png"),
    "svg": responding("200 OK", SVG, Content_Type="image/svg+xml"),
    "json": responding("200 OK", b'{"code":404}', Content_Type="application/json"),
    "empty": responding("200 OK", b""),
    "truncated, and says so": responding("200 OK", PNG[:-20]),
    "shorter than it is": responding("200 OK", PNG, announced=len(PNG) - 5),
    "truncated, length unknown": responding("200 OK", PNG[:-20], announced=-1),
    "gzip bomb": responding(
        "200 OK", gzip.compress(bytes(50_000_000), 1)[:200_000], Content_Encoding="gzip"
    ),
    "gzip of a picture": responding("200 OK", gzip.compress(PNG), Content_Encoding="gzip"),
    "brotli, by name": responding("200 OK", PNG, Content_Encoding="br"),
    "encoded twice": responding("200 OK", PNG, Content_Encoding="identity, gzip"),
    "100 megapixels": responding("200 OK", png_with_size(10_000, 10_000)),
    "polyglot with a page": responding("200 OK", PNG + HTML),
    "polyglot with a zip": responding("200 OK", INVALID_IMAGES["png followed by a zip"]),
    "gif": responding("200 OK", INVALID_IMAGES["gif"], Content_Type="image/png"),
    "announced as too large": responding("200 OK", PNG, announced=300_001),
    "endless": endless(OK + b"\r\n" + PNG, bytes(65_536)),
    "endless chunks": endless(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\n\0\0\0\0\r\n" * 9999
    ),
}


@pytest.mark.parametrize("behaviour", NOT_AN_IMAGE.values(), ids=NOT_AN_IMAGE)
def test_what_is_no_picture_is_not_kept(behaviour: Behaviour) -> None:
    with scripted_server(behaviour) as server, pytest.raises(NotAnImage):
        fetched(local(server), f"{server.url}/x.png")

    assert len(server.requests) == 1


FAILED: dict[str, Behaviour] = {
    "longer than it is": responding("200 OK", PNG, announced=len(PNG) + 1),
    "broken off": resetting(OK + b"Content-Length: 100000\r\n\r\n" + PNG),
    "broken off in a chunk": sending_raw(OK + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + PNG),
    "length that is no number": sending_raw(OK + b"Content-Length: many\r\n\r\n" + PNG),
    "two lengths": sending_raw(OK + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\n" + PNG),
    "closed at once": sending_raw(b""),
    "garbage": sending_raw(b"\x00" * 500),
    "silence": silent(0.8),
    "500": responding("500 Oh"),
    "503": responding("503 No", HTML),
    "204": responding("204 No Content"),
    "206": responding("206 Partial Content", PNG),
    "304": responding("304 Not Modified"),
    "302 to itself": responding("302 Found", Location="/x.png"),
    "300": responding("300 Choices", PNG),
    "headers without end": endless(OK, b"X: " + b"x" * 60_000 + b"\r\n"),
}


@pytest.mark.parametrize("behaviour", FAILED.values(), ids=FAILED)
def test_what_did_not_come_whole_is_tried_again_later(behaviour: Behaviour) -> None:
    with scripted_server(behaviour) as server, pytest.raises(DownloadFailed) as failed:
        fetched(local(server), f"{server.url}/x.png")

    assert type(failed.value) is DownloadFailed
    assert not failed.value.gone


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_its_host_no_longer_has_is_gone(status: int) -> None:
    with (
        scripted_server(responding(f"{status} Gone", HTML)) as server,
        pytest.raises(DownloadFailed) as failed,
    ):
        fetched(local(server), f"{server.url}/x.png")

    assert failed.value.gone
    assert failed.value.code == f"http_{status}"


DRIBBLES: dict[str, Behaviour] = {
    "body": trickling(OK + b"Content-Length: 9999\r\n\r\n", PNG[:8], 0.1, 30),
    "chunks": trickling(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.1, 30),
    "headers": trickling(OK, b"X-More: 1\r\n", 0.1, 30),
    "status line": trickling(b"", b"HTTP/1.1 200 OK", 0.1, 30),
    "100 Continue": trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1, 30),
}


@pytest.mark.parametrize("behaviour", DRIBBLES.values(), ids=DRIBBLES)
def test_a_host_that_dribbles_is_left_when_patience_is_over(behaviour: Behaviour) -> None:
    with scripted_server(behaviour) as server:
        began = time.monotonic()
        with pytest.raises(DownloadFailed):
            fetched(local(server), f"{server.url}/x.png")
        took_s = time.monotonic() - began

    assert took_s < TIGHT.total_s + 1.0


def test_a_minimum_rate_is_asked_for_after_some_grace() -> None:
    slowly = trickling(OK + b"Content-Length: 250000\r\n\r\n", bytes(1000), 0.1, 30)
    with scripted_server(slowly) as server, pytest.raises(DownloadFailed, match="too_slow"):
        fetched(local(server), f"{server.url}/x.png")


def test_the_whole_has_a_deadline_however_fast_it_comes() -> None:
    steadily = trickling(OK + b"Content-Length: 299000\r\n\r\n", bytes(5000), 0.1, 30)
    with (
        scripted_server(steadily) as server,
        pytest.raises(DownloadFailed, match=r"too_late|broken_off"),
    ):
        fetched(local(server), f"{server.url}/x.png")


def test_redirects_share_one_deadline() -> None:
    def slowly(location: str) -> Behaviour:
        def behave(connection: socket.socket, request: bytes) -> None:
            silent(0.4)(connection, request)
            responding("302 Found", Location=location)(connection, request)

        return behave

    bounds = DownloadLimits(connect_s=1, read_s=1, total_s=0.6)
    with (
        scripted_server(slowly("/a"), slowly("/b"), slowly("/c"), slowly("/d")) as server,
        pytest.raises(DownloadFailed, match="unreachable"),
    ):
        fetched(local(server, bounds), f"{server.url}/x.png")

    assert len(server.requests) == 2


def test_a_redirect_that_names_no_place_is_refused() -> None:
    with scripted_server(responding("302 Found")) as server, pytest.raises(DownloadForbidden):
        fetched(local(server), f"{server.url}/x.png")


def test_a_redirect_within_the_list_is_followed_three_times_and_no_more() -> None:
    onward = [responding("302 Found", Location=f"/{n}.png") for n in range(4)]
    with scripted_server(*onward[:3], responding("200 OK", PNG)) as server:
        assert fetched(local(server), f"{server.url}/x.png") == PNG
    with (
        scripted_server(*onward, responding("200 OK", PNG)) as server,
        pytest.raises(DownloadFailed, match="too_many_redirects"),
    ):
        fetched(local(server), f"{server.url}/x.png")
    assert len(server.requests) == 4


def test_a_host_that_wants_a_browser_gets_one() -> None:
    def picky(connection: socket.socket, request: bytes) -> None:
        good = b"Mozilla/5.0" in request and request.startswith(b"GET ")
        answer = responding("200 OK", PNG) if good else responding("403 Forbidden")
        answer(connection, request)

    with scripted_server(picky) as server:
        assert fetched(local(server), f"{server.url}/x.png") == PNG


def test_a_host_that_recovered_gives_the_picture() -> None:
    with scripted_server(responding("500 Oh"), responding("200 OK", PNG)) as server:
        with pytest.raises(DownloadFailed):
            fetched(local(server), f"{server.url}/x.png")
        assert fetched(local(server), f"{server.url}/x.png") == PNG


def test_nothing_stays_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    big = responding("200 OK", PNG[:-12] + bytes(100_000) + PNG[-12:])
    with scripted_server(big) as server, local(server).fetch(f"{server.url}/x.png") as found:
        found.file.read()

    assert list(tmp_path.iterdir()) == []
    assert found.file.closed


def test_memory_stays_bounded_on_a_picture_of_60_megabytes() -> None:
    size, piece = 60 * 1024 * 1024, bytes(1024 * 1024)
    head, tail = PNG[:-12], PNG[-12:]

    def heavy(connection: socket.socket, request: bytes) -> None:
        send = connection.sendall
        send(OK + b"Content-Length: %d\r\n\r\n" % (size + len(PNG)) + head)
        for _ in range(60):
            send(piece)
        send(tail)

    bounds = DownloadLimits()
    with scripted_server(heavy) as server:
        tracemalloc.start()
        try:
            with local(server, bounds).fetch(f"{server.url}/x.png") as found:
                assert found.bytes == size + len(PNG)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak < bounds.spool_bytes + 8 * bounds.chunk_bytes
