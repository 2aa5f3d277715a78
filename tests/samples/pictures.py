"""Pictures made by Pillow in every kind we keep, and things that only look like one."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image

WIDTH, HEIGHT = 48, 32


def _drawn(kind: str, size: tuple[int, int] = (WIDTH, HEIGHT), **options: Any) -> bytes:
    mode = options.pop("mode", "RGB")
    file = io.BytesIO()
    picture = Image.linear_gradient("L").resize(size).convert(mode)
    picture.save(file, kind, **options)
    return file.getvalue()


def png(size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """A real PNG."""
    return _drawn("PNG", size)


def jpeg(size: tuple[int, int] = (WIDTH, HEIGHT), **options: Any) -> bytes:
    """A real JPEG."""
    return _drawn("JPEG", size, **options)


def _commented(jpeg_bytes: bytes) -> bytes:
    """The JPEG with a long comment segment before its dimensions."""
    comment = b"\xff\xfe" + struct.pack(">H", 60_002) + b"c" * 60_000
    return jpeg_bytes[:2] + comment + jpeg_bytes[2:]


GOOD = {
    "png": ("image/png", png()),
    "png with alpha": ("image/png", _drawn("PNG", mode="LA")),
    "png with a palette": ("image/png", _drawn("PNG", mode="P")),
    "baseline jpeg": ("image/jpeg", jpeg()),
    "progressive jpeg": ("image/jpeg", jpeg(progressive=True)),
    "grey jpeg": ("image/jpeg", _drawn("JPEG", mode="L")),
    "jpeg with a profile": ("image/jpeg", jpeg(icc_profile=b"p" * 5000)),
    "jpeg with a long comment": ("image/jpeg", _commented(jpeg())),
    "lossy webp": ("image/webp", _drawn("WEBP", quality=60)),
    "lossless webp": ("image/webp", _drawn("WEBP", lossless=True)),
    "extended webp": ("image/webp", _drawn("WEBP", quality=60, icc_profile=b"p" * 500)),
    "webp with alpha": ("image/webp", _drawn("WEBP", mode="RGBA", lossless=True)),
}


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header says `width` x `height` and whose end is in place."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\x00\x00\x00\x00IEND\xaeB\x60\x82"


def heavy_png(size: int) -> bytes:
    """A PNG of `size` bytes, most of them in a chunk that no viewer looks at."""
    whole = png()
    head, tail = whole[:-12], whole[-12:]
    filler = size - len(whole) - 12
    return head + struct.pack(">I", filler) + b"prVt" + bytes(filler + 4) + tail


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'
HTML = b"<!doctype html><title>Sign in</title><script>location='//evil.example'</script>"

NOT_PICTURES = {
    "nothing": b"",
    "one byte": b"\x89",
    "html": HTML,
    "svg": SVG,
    "json": b'{"code":404,"error":{"message":"no such file"}}',
    "gif": _drawn("GIF"),
    "bmp": _drawn("BMP"),
    "tiff": _drawn("TIFF"),
    "pdf": b"%PDF-1.7\n%%EOF",
    "zip": b"PK\x03\x04" + bytes(60) + b"PK\x05\x06" + bytes(18),
    "gzip": b"\x1f\x8b\x08" + bytes(60),
    "png cut in half": png()[: len(png()) // 2],
    "png without its last byte": png()[:-1],
    "png with a page behind it": png() + HTML,
    "png with a zip behind it": png() + b"PK\x05\x06" + bytes(18),
    "page before a png": HTML + png(),
    "png signature alone": b"\x89PNG\r\n\x1a\n",
    "png end alone": b"\x00\x00\x00\x00IEND\xaeB\x60\x82",
    "png whose first chunk is another": png().replace(b"IHDR", b"IDAT", 1),
    "png of no width": png_of(0, 32),
    "png of 100 megapixels": png_of(10_000, 10_000),
    "png of the widest header": png_of(0xFFFFFFFF, 0xFFFFFFFF),
    "jpeg cut in half": jpeg()[: len(jpeg()) // 2],
    "jpeg with a page behind it": jpeg() + HTML,
    "jpeg without dimensions": b"\xff\xd8\xff\xe0\x00\x04ab\xff\xd9",
    "jpeg of empty segments": b"\xff\xd8" + b"\xff\xe0\x00\x00" * 2000 + b"\xff\xd9",
    "jpeg start and end": b"\xff\xd8\xff\xd9",
    "webp cut in half": _drawn("WEBP")[:-9],
    "webp with a page behind it": _drawn("WEBP") + HTML,
    "webp of no known kind": b"RIFF" + struct.pack("<I", 28) + b"WEBPVP9 " + bytes(20),
    "webp that stops in its header": b"RIFF" + struct.pack("<I", 4) + b"WEBP",
    "wave in a riff": b"RIFF" + struct.pack("<I", 28) + b"WAVEfmt " + bytes(20),
}
