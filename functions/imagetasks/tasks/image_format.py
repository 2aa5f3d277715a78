"""Identifying images by their structure, from the first byte to the format's own end; nothing is
decoded. What follows the end (a phone's video, padding, a page for another parser) is not the image."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from typing import Annotated, BinaryIO

from imagetasks.json_schema import JsonSchema

MAX_PIXELS = 40_000_000  # PoYo's largest image has 8.3 million
MAX_PARTS = 100_000  # chunks or segments of one file; 64 MiB of PNG in libpng's chunks are 8,192
BLOCK_BYTES = 64 * 1024
PNG_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
PNG_TYPE = re.compile(rb"[A-Za-z]{4}")
PNG_TAIL = b"\x00\x00\x00\x00IEND\xaeB\x60\x82"
WEBP_PIXELS = frozenset({b"VP8 ", b"VP8L", b"ANMF"})  # an image, or a frame of an animation
# 0xFF starts a marker unless it is data (0x00 follows), fill (0xFF) or a restart of the decoder.
JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF markers carry the dimensions
JPEG_START, JPEG_END, JPEG_SCAN, JPEG_TEMPORARY = 0xD8, 0xD9, 0xDA, 0x01
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
ContentType = Annotated[str, JsonSchema(enum=list(EXTENSIONS))]


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image's content type; `width` and `height` in pixels."""

    content_type: str
    width: int
    height: int


def identify(file: BinaryIO) -> ImageInfo:
    """The format and size of the image at the beginning of `file`. Raises ValueError as `measure`."""
    return measure(file)[0]


def measure(file: BinaryIO) -> tuple[ImageInfo, int]:
    """The format and size of the image at the beginning of `file`, and its length in bytes.

    Reads every block at most once. Raises ValueError, with the reason, if `file` does not begin with
    a PNG, JPEG or WebP, if the image is truncated, or has more than 40 million pixels.
    """
    blocks = _Blocks(file)
    head = blocks.at(0, 32)
    found = _png(blocks, head) or _webp(blocks, head) or _jpeg(blocks, head)
    if found is None:
        raise ValueError("neither PNG nor JPEG nor WebP")
    width, height = found[0].width, found[0].height
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"{width}x{height} pixels")
    return found


class _Blocks:
    """A file read forwards in blocks; the last two stay in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._blocks: dict[int, bytes] = {}
        self.size = file.seek(0, os.SEEK_END)

    def at(self, position: int, length: int) -> bytes:
        """At most `length` bytes (less than a block) from `position`: fewer at the file's end."""
        n, start = divmod(position, BLOCK_BYTES)
        found = self._block(n)[start : start + length]
        missing = length - len(found)
        return found + self._block(n + 1)[:missing] if missing else found

    def search(self, pattern: re.Pattern[bytes], position: int) -> int | None:
        """Where the first match of `pattern`, which is two bytes long, begins from `position` on."""
        while position < self.size:
            n, start = divmod(position, BLOCK_BYTES)
            if match := pattern.search(self._block(n), start):
                return n * BLOCK_BYTES + match.start()
            position = (n + 1) * BLOCK_BYTES
            if pattern.match(self.at(position - 1, 2)):
                return position - 1
        return None

    def _block(self, n: int) -> bytes:
        if n not in self._blocks:
            self._file.seek(n * BLOCK_BYTES)
            self._blocks = {k: v for k, v in self._blocks.items() if k == n - 1}
            self._blocks[n] = self._file.read(BLOCK_BYTES)
        return self._blocks[n]


def _png(blocks: _Blocks, head: bytes) -> tuple[ImageInfo, int] | None:
    """Chunks: length, type, content, checksum; IEND is the last one."""
    if not head.startswith(PNG_HEAD) or len(head) < len(PNG_HEAD) + 8:
        return None
    width, height = struct.unpack_from(">II", head, len(PNG_HEAD))
    position, has_pixels = len(b"\x89PNG\r\n\x1a\n"), False
    for _ in range(MAX_PARTS):
        chunk = blocks.at(position, len(PNG_TAIL))
        if chunk == PNG_TAIL:
            if not has_pixels:
                raise ValueError("the PNG has no image in it")
            return ImageInfo("image/png", width, height), position + len(PNG_TAIL)
        if len(chunk) < len(PNG_TAIL):
            break
        length = int.from_bytes(chunk[:4])
        position += 12 + length
        has_pixels = has_pixels or (chunk[4:8] == b"IDAT" and length > 0)
        if not PNG_TYPE.fullmatch(chunk, 4, 8) or chunk[4:8] == b"IEND":
            raise ValueError("the PNG is damaged")
    raise ValueError("the PNG is truncated")


def _webp(blocks: _Blocks, head: bytes) -> tuple[ImageInfo, int] | None:
    """RFC 9649: one RIFF chunk that names its length and contains chunks, each padded to two bytes."""
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return None
    end = 8 + int.from_bytes(head[4:8], "little")
    if end > blocks.size:
        raise ValueError("the WebP is truncated")
    width, height = _webp_size(head)
    position, has_pixels = 12, False
    for _ in range(MAX_PARTS):
        chunk = blocks.at(position, 8)
        content_end = position + 8 + int.from_bytes(chunk[4:], "little")
        if content_end > end:
            break
        has_pixels = has_pixels or (chunk[:4] in WEBP_PIXELS and content_end > position + 8)
        position = content_end + content_end % 2
        if position + 8 > end:  # decoders pass over what is too short to be a chunk
            if not has_pixels:
                raise ValueError("the WebP has no image in it")
            return ImageInfo("image/webp", width, height), min(max(position, end), blocks.size)
    raise ValueError("the WebP has another length than its header says")


def _webp_size(head: bytes) -> tuple[int, int]:
    """RFC 9649, sections 2.5 to 2.7: extended, lossless and lossy headers."""
    if head[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[12:16] == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if head[12:16] == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("the WebP is of no known kind")


def _jpeg(blocks: _Blocks, head: bytes) -> tuple[ImageInfo, int] | None:
    """Segments that name their lengths, so that a thumbnail's end inside one is skipped; after the
    header of a scan comes its data, up to the next marker. Bytes between segments are skipped, as
    decoders do."""
    if not head.startswith(b"\xff\xd8\xff"):
        return None
    size, has_scan, position, marker = (0, 0), False, 2, JPEG_START
    for _ in range(MAX_PARTS):
        found = blocks.search(JPEG_MARKER, position)
        if found is None:
            break
        has_scan = has_scan or (marker == JPEG_SCAN and found > position)
        segment = blocks.at(found, 9)
        marker, position = segment[1], found + 2
        if marker == JPEG_END:
            return _jpeg_info(size, has_scan=has_scan), position
        if marker == JPEG_TEMPORARY:
            continue
        length = int.from_bytes(segment[2:4])
        position += length
        if marker == JPEG_START or length < 2:  # decoders refuse a second start, too
            raise ValueError("the JPEG is damaged")
        if marker in JPEG_SIZES and size == (0, 0) and len(segment) == 9:
            height, width = struct.unpack_from(">HH", segment, 5)
            size = width, height
    raise ValueError("the JPEG is truncated")


def _jpeg_info(size: tuple[int, int], *, has_scan: bool) -> ImageInfo:
    if size == (0, 0):
        raise ValueError("the JPEG has no dimensions")
    if not has_scan:
        raise ValueError("the JPEG has no image in it")
    return ImageInfo("image/jpeg", *size)
