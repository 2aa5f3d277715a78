"""Identifying images by their first and last bytes and their header; nothing is decoded."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Annotated, BinaryIO

from imagetasks.json_schema import JsonSchema

MAX_PIXELS = 40_000_000  # PoYo's largest image has 8.3 million
PNG_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
PNG_TAIL = b"\x00\x00\x00\x00IEND\xaeB\x60\x82"
JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF markers carry the dimensions
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
ContentType = Annotated[str, JsonSchema(enum=list(EXTENSIONS))]


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image's content type; `width` and `height` in pixels."""

    content_type: str
    width: int
    height: int


def identify(file: BinaryIO) -> ImageInfo:
    """The format and size of the image in `file`, which must be complete.

    Raises ValueError, with the reason, if `file` is not a PNG, JPEG or WebP, is truncated, or has
    more than 40 million pixels.
    """
    size = file.seek(0, os.SEEK_END)
    head = _at(file, 0, 32)
    tail = _at(file, max(0, size - len(PNG_TAIL)), len(PNG_TAIL))
    image = _png(head, tail) or _webp(head, size) or _jpeg(file, head, tail)
    if image is None:
        raise ValueError("neither PNG nor JPEG nor WebP")
    if not 0 < image.width * image.height <= MAX_PIXELS:
        raise ValueError(f"{image.width}x{image.height} pixels")
    return image


def _png(head: bytes, tail: bytes) -> ImageInfo | None:
    if not head.startswith(PNG_HEAD):
        return None
    if tail != PNG_TAIL:
        raise ValueError("the PNG is truncated")
    return ImageInfo("image/png", *struct.unpack_from(">II", head, len(PNG_HEAD)))


def _webp(head: bytes, size: int) -> ImageInfo | None:
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return None
    if int.from_bytes(head[4:8], "little") + 8 != size:
        raise ValueError("the WebP has another length than its header says")
    return ImageInfo("image/webp", *_webp_size(head))


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


def _jpeg(file: BinaryIO, head: bytes, tail: bytes) -> ImageInfo | None:
    if not head.startswith(b"\xff\xd8\xff"):
        return None
    if not tail.endswith(b"\xff\xd9"):
        raise ValueError("the JPEG is truncated")
    position = 2
    for _ in range(1000):  # segments and fill bytes before the dimensions; real files have a dozen
        marker = _at(file, position, 9)
        if len(marker) < 9 or marker[0] != 0xFF:
            break
        fill = len(marker) - len(marker.lstrip(b"\xff")) - 1
        if fill:  # any number of 0xFF may precede a marker
            position += fill
            continue
        if marker[1] in JPEG_SIZES:
            height, width = struct.unpack_from(">HH", marker, 5)
            return ImageInfo("image/jpeg", width, height)
        position += 2 + int.from_bytes(marker[2:4], "big")
    raise ValueError("the JPEG has no dimensions")


def _at(file: BinaryIO, position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)
