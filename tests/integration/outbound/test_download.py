"""Downloads of images: complete, of a known format, within limits of time, size and memory."""

import gzip
import hashlib
import socket
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from imagetasks.errors import DownloadFailed, DownloadForbidden, NotAnImage
from imagetasks.outbound.download import DownloadLimits
from tests.fixtures.images import (
    HEIGHT,
    HTML,
    INVALID_IMAGES,
    SVG,
    TRAILERS,
    VALID_IMAGES,
    WIDTH,
    large_png,
    png,
    png_with_size,
)
from tests.support.downloads import SHORT_LIMITS, downloader_for, fetch
from tests.support.scripted_server import (
    Behaviour,
    endless,
    resetting,
    responding,
    scripted_server,
    sending_raw,
    silent,
    trickling,
)

PNG = png()
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(("content_type", "content"), VALID_IMAGES.values(), ids=VALID_IMAGES)
def test_valid_image_is_downloaded_with_its_format_size_and_hash(
    content_type: str, content: bytes
) -> None:
    mislabelled = responding("200 OK", content, Content_Type="application/octet-stream")
    with (
        scripted_server(mislabelled) as server,
        downloader_for(server).fetch(f"{server.url}/x.png") as found,
    ):
        assert found.file.read() == content
        assert (found.info.content_type, found.bytes) == (content_type, len(content))
        assert (found.info.width, found.info.height) == (WIDTH, HEIGHT)
        assert found.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("trailer", TRAILERS.values(), ids=TRAILERS)
@pytest.mark.parametrize("kind", ["png", "progressive jpeg", "lossy webp"])
def test_what_follows_an_image_is_removed_from_its_bytes_length_and_hash(
    kind: str, trailer: bytes
) -> None:
    _, content = VALID_IMAGES[kind]
    with (
        scripted_server(responding("200 OK", content + trailer)) as server,
        downloader_for(server).fetch(f"{server.url}/x") as found,
    ):
        assert found.file.read() == content
        assert found.bytes == len(content)
        assert found.sha256 == hashlib.sha256(content).hexdigest()


def test_request_is_one_get_with_a_browsers_user_agent_and_no_credentials() -> None:
    with scripted_server(responding("200 OK", PNG)) as server:
        fetch(downloader_for(server), f"{server.url}/a/b.png?c=d")

    [request] = server.requests
    assert request.startswith(b"GET /a/b.png?c=d HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}\r\n".encode() in request
    assert b"Accept: image/*\r\n" in request
    assert b"Accept-Encoding: identity\r\n" in request
    assert b"User-Agent: Mozilla/5.0" in request
    assert b"authorization" not in request.lower()
    assert b"cookie" not in request.lower()


@pytest.mark.parametrize("encoding", ["", "identity", "Identity", "aws-chunked", "utf-8", "binary"])
def test_image_with_a_content_encoding_that_browsers_ignore_is_read(encoding: str) -> None:
    with scripted_server(responding("200 OK", PNG, Content_Encoding=encoding)) as server:
        found = fetch(downloader_for(server), f"{server.url}/x.png")

    assert found == PNG


NOT_AN_IMAGE: dict[str, Behaviour] = {
    "html": responding("200 OK", HTML, Content_Type="image/png"),
    "svg": responding("200 OK", SVG, Content_Type="image/svg+xml"),
    "json": responding("200 OK", b'{"code":404}', Content_Type="application/json"),
    "empty": responding("200 OK", b""),
    "truncated, with the correct length": responding("200 OK", PNG[:-20]),
    "announced as shorter than it is": responding("200 OK", PNG, announced=len(PNG) - 5),
    "truncated, length unknown": responding("200 OK", PNG[:-20], announced=-1),
    "gzip bomb": responding(
        "200 OK", gzip.compress(bytes(50_000_000), 1)[:200_000], Content_Encoding="gzip"
    ),
    "gzip of an image": responding("200 OK", gzip.compress(PNG), Content_Encoding="gzip"),
    "declared as brotli": responding("200 OK", PNG, Content_Encoding="br"),
    "encoded twice": responding("200 OK", PNG, Content_Encoding="identity, gzip"),
    "100 megapixels": responding("200 OK", png_with_size(10_000, 10_000)),
    "gif": responding("200 OK", INVALID_IMAGES["gif"], Content_Type="image/png"),
    "announced as too large": responding("200 OK", PNG, announced=300_001),
    "announced by 5,000 digits": sending_raw(
        OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + PNG
    ),
    "endless": endless(OK + b"\r\n" + PNG, bytes(65_536)),
    "endless chunks": endless(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\n\0\0\0\0\r\n" * 9999
    ),
}


@pytest.mark.parametrize("behaviour", NOT_AN_IMAGE.values(), ids=NOT_AN_IMAGE)
def test_response_that_is_no_valid_image_raises_not_an_image(behaviour: Behaviour) -> None:
    unhurried = replace(SHORT_LIMITS, total_s=60, grace_s=60)  # on a busy machine, too
    with scripted_server(behaviour) as server, pytest.raises(NotAnImage):
        fetch(downloader_for(server, unhurried), f"{server.url}/x.png")

    assert len(server.requests) == 1


FAILED: dict[str, Behaviour] = {
    "announced as longer than it is": responding("200 OK", PNG, announced=len(PNG) + 1),
    "broken off": resetting(OK + b"Content-Length: 100000\r\n\r\n" + PNG),
    "broken off in a chunk": sending_raw(OK + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + PNG),
    "invalid length": sending_raw(OK + b"Content-Length: many\r\n\r\n" + PNG),
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
    "endless headers": endless(OK, b"X: " + b"x" * 60_000 + b"\r\n"),
}


@pytest.mark.parametrize("behaviour", FAILED.values(), ids=FAILED)
def test_incomplete_or_failed_response_is_a_temporary_failure(behaviour: Behaviour) -> None:
    with scripted_server(behaviour) as server, pytest.raises(DownloadFailed) as failed:
        fetch(downloader_for(server), f"{server.url}/x.png")

    assert type(failed.value) is DownloadFailed
    assert not failed.value.gone


@pytest.mark.parametrize("status", [403, 404, 410])
def test_file_is_gone_when_its_host_responds_with_403_404_or_410(status: int) -> None:
    with (
        scripted_server(responding(f"{status} Gone", HTML)) as server,
        pytest.raises(DownloadFailed) as failed,
    ):
        fetch(downloader_for(server), f"{server.url}/x.png")

    assert failed.value.gone
    assert failed.value.code == f"http_{status}"


TRICKLING: dict[str, Behaviour] = {
    "body": trickling(OK + b"Content-Length: 9999\r\n\r\n", PNG[:8], 0.1, 30),
    "chunks": trickling(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.1, 30),
    "headers": trickling(OK, b"X-More: 1\r\n", 0.1, 30),
    "status line": trickling(b"", b"HTTP/1.1 200 OK", 0.1, 30),
    "100 Continue": trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1, 30),
}


@pytest.mark.parametrize("behaviour", TRICKLING.values(), ids=TRICKLING)
def test_response_that_trickles_is_aborted_at_the_deadline(behaviour: Behaviour) -> None:
    with scripted_server(behaviour) as server:
        started = time.monotonic()
        with pytest.raises(DownloadFailed):
            fetch(downloader_for(server), f"{server.url}/x.png")
        took_s = time.monotonic() - started

    assert took_s < 15


def test_download_below_the_minimum_rate_is_aborted_after_the_grace_period() -> None:
    slow = trickling(OK + b"Content-Length: 250000\r\n\r\n", bytes(1000), 0.1, 30)
    with scripted_server(slow) as server, pytest.raises(DownloadFailed, match="too_slow"):
        fetch(downloader_for(server), f"{server.url}/x.png")


def test_download_is_aborted_at_the_deadline_however_fast_it_is() -> None:
    steady = trickling(OK + b"Content-Length: 299000\r\n\r\n", bytes(5000), 0.1, 30)
    with (
        scripted_server(steady) as server,
        pytest.raises(DownloadFailed, match=r"too_late|broken_off"),
    ):
        fetch(downloader_for(server), f"{server.url}/x.png")


def test_redirects_share_one_deadline() -> None:
    def slow_redirect(location: str) -> Behaviour:
        def behave(connection: socket.socket, request: bytes) -> None:
            silent(0.4)(connection, request)
            responding("302 Found", Location=location)(connection, request)

        return behave

    limits = DownloadLimits(connect_s=1, read_s=1, total_s=0.6)
    with (
        scripted_server(
            slow_redirect("/a"), slow_redirect("/b"), slow_redirect("/c"), slow_redirect("/d")
        ) as server,
        pytest.raises(DownloadFailed, match="unreachable"),
    ):
        fetch(downloader_for(server, limits), f"{server.url}/x.png")

    assert len(server.requests) == 2


def test_redirect_without_a_location_is_refused() -> None:
    with scripted_server(responding("302 Found")) as server, pytest.raises(DownloadForbidden):
        fetch(downloader_for(server), f"{server.url}/x.png")


def test_at_most_three_redirects_are_followed() -> None:
    redirects = [responding("302 Found", Location=f"/{n}.png") for n in range(4)]
    with scripted_server(*redirects[:3], responding("200 OK", PNG)) as server:
        assert fetch(downloader_for(server), f"{server.url}/x.png") == PNG
    with (
        scripted_server(*redirects, responding("200 OK", PNG)) as server,
        pytest.raises(DownloadFailed, match="too_many_redirects"),
    ):
        fetch(downloader_for(server), f"{server.url}/x.png")
    assert len(server.requests) == 4


def test_host_that_accepts_only_browsers_returns_the_image() -> None:
    def browsers_only(connection: socket.socket, request: bytes) -> None:
        accepted = b"Mozilla/5.0" in request and request.startswith(b"GET ")
        respond = responding("200 OK", PNG) if accepted else responding("403 Forbidden")
        respond(connection, request)

    with scripted_server(browsers_only) as server:
        assert fetch(downloader_for(server), f"{server.url}/x.png") == PNG


def test_next_attempt_succeeds_after_the_host_recovered() -> None:
    with scripted_server(responding("500 Oh"), responding("200 OK", PNG)) as server:
        with pytest.raises(DownloadFailed):
            fetch(downloader_for(server), f"{server.url}/x.png")
        assert fetch(downloader_for(server), f"{server.url}/x.png") == PNG


def test_no_temporary_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    large = responding("200 OK", large_png(100_000))
    with (
        scripted_server(large) as server,
        downloader_for(server).fetch(f"{server.url}/x.png") as found,
    ):
        found.file.read()

    assert list(tmp_path.iterdir()) == []
    assert found.file.closed


@pytest.mark.parametrize("announced", [True, False])
def test_memory_stays_bounded_for_an_image_of_60_megabytes(announced: bool) -> None:
    size, piece = 60 * 1024 * 1024, bytes(1024 * 1024)
    head = PNG[:-12] + size.to_bytes(4) + b"prVt"  # a chunk that viewers ignore
    tail = bytes(4) + PNG[-12:]

    def large_image(connection: socket.socket, request: bytes) -> None:
        send = connection.sendall
        length = b"Content-Length: %d\r\n" % (len(head) + size + len(tail)) if announced else b""
        send(OK + length + b"\r\n" + head)
        for _ in range(60):
            send(piece)
        send(tail)

    limits = DownloadLimits()
    with scripted_server(large_image) as server:
        tracemalloc.start()
        try:
            with downloader_for(server, limits).fetch(f"{server.url}/x.png") as found:
                assert found.bytes == len(head) + size + len(tail)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    held = 0 if announced else limits.spool_bytes
    assert peak < held + 8 * limits.chunk_bytes
