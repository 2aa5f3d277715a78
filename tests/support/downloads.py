"""A downloader with short limits, and a download whose size and hash are checked."""

from __future__ import annotations

import hashlib

from imagetasks.outbound.download import DownloadLimits, ImageDownloader
from tests.support.fake_resolver import FakeResolver
from tests.support.scripted_server import ScriptedServer

ALLOWED_HOSTS = ("cdn.doculator.org", "*.poyo.ai", "https://files.example:8443")
SHORT_LIMITS = DownloadLimits(
    connect_s=1.0,
    read_s=0.5,
    total_s=1.5,
    grace_s=0.4,
    min_rate=20_000,
    max_bytes=300_000,
    chunk_bytes=16_384,
    spool_bytes=65_536,
)


def downloader_for(
    server: ScriptedServer, limits: DownloadLimits = SHORT_LIMITS
) -> ImageDownloader:
    """A downloader that may connect to `server` and to the allowed hosts."""
    hosts = (server.url, *ALLOWED_HOSTS)
    return ImageDownloader(hosts=hosts, limits=limits, resolve=FakeResolver(["8.8.8.8"]))


def fetch(downloader: ImageDownloader, url: str) -> bytes:
    """The bytes of a download, after a check of the size and the hash that it reports."""
    with downloader.fetch(url) as found:
        content = found.file.read()
        assert found.bytes == len(content)
        assert found.sha256 == hashlib.sha256(content).hexdigest()
        return content
