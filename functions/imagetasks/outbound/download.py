"""Fetching PoYo's file without being led anywhere else, and without waiting or swelling for ever."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, cast

import urllib3

from imagetasks.errors import DownloadFailed, DownloadForbidden, NotAnImage
from imagetasks.outbound.connection import (
    host_header,
    map_errors,
    map_network_errors,
    open_connection,
    resolve,
)
from imagetasks.outbound.deadline import deadline_response
from imagetasks.outbound.url_policy import (
    Resolver,
    Target,
    parse_allow_list,
    resolve_redirect,
    resolve_target,
)
from imagetasks.tasks.image_format import ImageInfo, identify

GONE = frozenset({403, 404, 410})  # the file host has answered 403 for a file it no longer serves
REDIRECTS = 3
# The file host was seen answering 403 to a library's agent and 200 to a browser's.
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
HEADERS = {"User-Agent": AGENT, "Accept": "image/*", "Accept-Encoding": "identity"}
_mapped = partial(map_errors, DownloadFailed, DownloadForbidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """How much a file may take: seconds, bytes, bytes a second."""

    connect_s: float = 3.0
    read_s: float = 5.0
    total_s: float = 30.0
    grace_s: float = 5.0
    least_rate: int = 32 * 1024
    max_bytes: int = 64 * 1024 * 1024
    chunk: int = 256 * 1024
    spool_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DownloadedImage:
    """A picture on this machine: `file` stands at its first byte, SHA-256 is in hex."""

    file: BinaryIO
    bytes: int
    sha256: str
    picture: ImageInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDownloader:
    """Fetches pictures from `hosts`: names (https, 443, public addresses) or whole origins."""

    hosts: tuple[str, ...]
    bounds: DownloadLimits = DownloadLimits()
    resolve: Resolver = resolve
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def from_env(cls) -> ImageDownloader:
        """The hosts listed, comma-separated, in DOWNLOAD_HOSTS."""
        return cls(hosts=parse_allow_list(os.environ["DOWNLOAD_HOSTS"]))

    def resolve_target(self, url: str) -> Target:
        """Where `url` leads, resolved once.

        Raises DownloadForbidden when we may not connect there, DownloadFailed when it has no address.
        """
        with _mapped():
            return resolve_target(url, hosts=self.hosts, resolve=self.resolve)

    @contextmanager
    def fetch(self, url: str) -> Iterator[DownloadedImage]:
        """The picture at `url`, gone from this machine when the block is left.

        Raises DownloadForbidden, NotAnImage or DownloadFailed; memory stays below the spool
        size plus one chunk, whatever the host sends.
        """
        deadline = self.clock() + self.bounds.total_s
        with tempfile.SpooledTemporaryFile(max_size=self.bounds.spool_bytes) as spool:
            file = cast(BinaryIO, spool)
            with _mapped():
                size, sha256 = self._follow(url, file, deadline)
            try:
                picture = identify(file)
            except ValueError as error:
                raise NotAnImage("not_an_image", str(error)) from error
            file.seek(0)
            yield DownloadedImage(file, size, sha256, picture)

    def _follow(self, url: str, file: BinaryIO, deadline: float) -> tuple[int, str]:
        """The bytes behind `url` and at most three redirects, each checked like the first."""
        for _ in range(REDIRECTS + 1):
            with _opened(
                self.resolve_target(url), self.bounds, lambda: deadline - self.clock()
            ) as answer:
                if answer.status not in _REDIRECTS:
                    _expect(answer, self.bounds)
                    return self._read(answer, file, deadline)
                url = resolve_redirect(url, answer.headers.get("location", ""))
        raise DownloadFailed("too_many_redirects")

    def _read(
        self, answer: urllib3.BaseHTTPResponse, file: BinaryIO, deadline: float
    ) -> tuple[int, str]:
        size, sha256, began = 0, hashlib.sha256(), self.clock()
        try:
            while piece := answer.read1(self.bounds.chunk, decode_content=False):
                size += len(piece)
                self._bounded(size, self.clock() - began, deadline)
                sha256.update(piece)
                file.write(piece)
        except urllib3.exceptions.HTTPError as error:
            raise DownloadFailed("broken_off", type(error).__name__) from error
        if str(size) != answer.headers.get("content-length", str(size)):
            raise DownloadFailed("broken_off", f"{size} bytes")
        return size, sha256.hexdigest()

    def _bounded(self, size: int, elapsed_s: float, deadline: float) -> None:
        """Raises when the file is too large, too late or too slow by now."""
        bounds = self.bounds
        if size > bounds.max_bytes:
            raise NotAnImage("too_large", f"more than {bounds.max_bytes} bytes")
        if self.clock() > deadline:
            raise DownloadFailed("too_late", f"{size} bytes in {bounds.total_s:.0f} s")
        if elapsed_s > bounds.grace_s and size < bounds.least_rate * elapsed_s:
            raise DownloadFailed("too_slow", f"{size} bytes in {elapsed_s:.0f} s")


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@contextmanager
def _opened(
    target: Target, bounds: DownloadLimits, left_s: Callable[[], float]
) -> Iterator[urllib3.BaseHTTPResponse]:
    """The answer of the first address that lets itself be connected to; TLS still wants the name."""
    with open_connection(target, connect_s=bounds.connect_s, left_s=left_s) as standing:
        answers: Any = partial(deadline_response, left_s=lambda: min(bounds.read_s, left_s()))
        standing.response_class = answers
        with map_network_errors():
            standing.request(
                "GET",
                target.path,
                headers=HEADERS | {"Host": host_header(target)},
                preload_content=False,
                decode_content=False,
            )
            answer = standing.getresponse()
        with closing(answer):
            yield answer


def _expect(answer: urllib3.BaseHTTPResponse, bounds: DownloadLimits) -> None:
    """Raises unless `answer` announces a plain file that is not too large."""
    if answer.status != 200:
        raise DownloadFailed(f"http_{answer.status}", gone=answer.status in GONE)
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise NotAnImage("encoded", answer.headers["content-encoding"][:40])
    announced = answer.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > bounds.max_bytes:
        raise NotAnImage("too_large", f"{announced} bytes announced")
