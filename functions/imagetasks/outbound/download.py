"""Downloading an image from PoYo's file host: only from allowed hosts, in bounded time and memory."""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, cast

import urllib3

from imagetasks.errors import DownloadFailed, DownloadForbidden, NotAnImage
from imagetasks.outbound.connection import exchange, map_errors, resolve
from imagetasks.outbound.url_policy import (
    Resolver,
    Target,
    normalise_url,
    parse_allow_list,
    resolve_redirect,
    resolve_target,
)
from imagetasks.tasks.image_format import ImageInfo, measure

GONE = frozenset({403, 404, 410})  # the file host has answered 403 for a file it no longer serves
WRITE_BYTES = 1024 * 1024  # of one write to the disk; one read from the host brings 16 KiB
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 3
# Browsers ignore every other name of a content encoding; object stores keep `aws-chunked` of an upload.
ENCODINGS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"})
# The file host has returned 403 to a library's user agent and 200 to a browser's.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
HEADERS = {"User-Agent": USER_AGENT, "Accept": "image/*", "Accept-Encoding": "identity"}
Spool = tempfile.SpooledTemporaryFile[bytes]
_map_errors = partial(map_errors, DownloadFailed, DownloadForbidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """Bounds of one download: seconds, bytes, bytes per second."""

    connect_s: float = 3.0
    read_s: float = 5.0
    total_s: float = 30.0
    grace_s: float = 5.0
    min_rate: int = 32 * 1024
    max_bytes: int = 64 * 1024 * 1024
    chunk_bytes: int = 256 * 1024
    spool_bytes: int = 16 * 1024 * 1024

    @property
    def held_bytes(self) -> int:
        """The largest image that stays in memory: a growing BytesIO takes an eighth more than it holds."""
        return self.spool_bytes * 8 // 9


@dataclass(frozen=True, slots=True)
class DownloadedImage:
    """An image on this machine: `file` is at its first byte, SHA-256 is in hex."""

    file: BinaryIO
    bytes: int
    sha256: str
    info: ImageInfo

    @classmethod
    def from_file(cls, file: BinaryIO) -> DownloadedImage:
        """The image at the beginning of `file`, from which everything behind the image is removed.

        Raises NotAnImage if there is no complete image.
        """
        try:
            info, size = measure(file)
        except ValueError as error:
            raise NotAnImage("not_an_image", str(error)) from error
        file.truncate(size)
        file.seek(0)
        sha256 = hashlib.file_digest(cast(Any, file), "sha256").hexdigest()
        file.seek(0)
        return cls(file, size, sha256, info)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ImageDownloader:
    """Downloads images from `hosts`: names (https, 443, public addresses) or whole origins."""

    hosts: tuple[str, ...]
    base_url: str = ""  # of addresses that are relative: PoYo's own
    limits: DownloadLimits = DownloadLimits()
    resolve: Resolver = resolve
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def from_env(cls, *, base_url: str = "") -> ImageDownloader:
        """The hosts in DOWNLOAD_HOSTS, separated by commas."""
        return cls(hosts=parse_allow_list(os.environ["DOWNLOAD_HOSTS"]), base_url=base_url)

    def resolve_target(self, url: str) -> Target:
        """The target of `url` with its addresses.

        Raises DownloadForbidden if we may not connect to it, DownloadFailed if it has no address.
        """
        with _map_errors():
            return resolve_target(url, hosts=self.hosts, resolve=self.resolve)

    @contextmanager
    def fetch(self, url: str, *, within_s: float = math.inf) -> Iterator[DownloadedImage]:
        """The image at `url`, removed from this machine at the end of the block. It takes `within_s`
        seconds at most, and never more than `limits.total_s`.

        Raises DownloadForbidden, NotAnImage or DownloadFailed. Memory stays below the spool size
        plus one chunk and one write, whatever the host sends.
        """
        if within_s <= 0:
            raise DownloadFailed("too_late", "no time was left")
        limits = self.limits
        deadline = self.clock() + min(limits.total_s, within_s)
        with tempfile.SpooledTemporaryFile(limits.held_bytes, buffering=WRITE_BYTES) as spool:
            with _map_errors():
                self._follow(url, spool, deadline)
            yield DownloadedImage.from_file(cast(BinaryIO, spool))

    def _follow(self, url: str, spool: Spool, deadline: float) -> None:
        """Write to `spool` the bytes behind `url` and at most three redirects, each of which is
        normalised and checked like the first URL."""
        url = normalise_url(url, base=self.base_url)
        for _ in range(MAX_REDIRECTS + 1):
            with exchange(
                "GET",
                self.resolve_target(url),
                headers=HEADERS,
                connect_s=self.limits.connect_s,
                left_s=lambda: deadline - self.clock(),
                read_s=self.limits.read_s,
            ) as response:
                if response.status not in REDIRECTS:
                    self._check_head(response)
                    if _announced_bytes(response) > self.limits.held_bytes:
                        spool.rollover()  # to the disk: the first bytes, too, are written once
                    return self._read(response, spool, deadline)
                url = resolve_redirect(url, response.headers.get("location", ""))
        raise DownloadFailed("too_many_redirects")

    def _check_head(self, response: urllib3.BaseHTTPResponse) -> None:
        """Raise unless the response announces a plain file that is not too large."""
        if response.status != 200:
            raise DownloadFailed(f"http_{response.status}", gone=response.status in GONE)
        encoding = response.headers.get("content-encoding", "").lower()
        if ENCODINGS & {each.strip() for each in encoding.split(",")}:
            raise NotAnImage("encoded", encoding[:40])
        if (announced := _announced_bytes(response)) > self.limits.max_bytes:
            raise NotAnImage("too_large", f"{announced} bytes announced")

    def _read(self, response: urllib3.BaseHTTPResponse, spool: Spool, deadline: float) -> None:
        size, began = 0, self.clock()
        try:
            while chunk := response.read1(self.limits.chunk_bytes, decode_content=False):
                size += len(chunk)
                self._check_bounds(size, self.clock() - began, deadline)
                spool.write(chunk)
        except urllib3.exceptions.HTTPError as error:
            raise DownloadFailed("broken_off", type(error).__name__) from error
        if str(size) != response.headers.get("content-length", str(size)):
            raise DownloadFailed("broken_off", f"{size} bytes")

    def _check_bounds(self, size: int, elapsed_s: float, deadline: float) -> None:
        """Raise if the file is too large, too late or too slow by now."""
        limits = self.limits
        if size > limits.max_bytes:
            raise NotAnImage("too_large", f"more than {limits.max_bytes} bytes")
        if self.clock() > deadline:
            raise DownloadFailed("too_late", f"{size} bytes in {limits.total_s:.0f} s")
        if elapsed_s > limits.grace_s and size < limits.min_rate * elapsed_s:
            raise DownloadFailed("too_slow", f"{size} bytes in {elapsed_s:.0f} s")


def _announced_bytes(response: urllib3.BaseHTTPResponse) -> int:
    """The length that the response names, 0 if it names none."""
    announced = response.headers.get("content-length", "0")
    digits = announced[:19]  # Python reads no number of any length
    return int(digits) if announced.isdecimal() else 0
