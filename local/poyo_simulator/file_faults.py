"""What can be wrong with a file; an effect that answers nothing lets the next one try."""

# ruff: noqa: ARG001  # the effects of one table are all called alike

import asyncio
import gzip
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import chain, repeat

from aiohttp import web

from local.poyo_simulator.fault_rules import Use

Effect = Callable[[web.Request, bytes, Use], Awaitable[web.StreamResponse | None]]
PIECE_S = 0.05
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16">'
    '<script>alert("svg")</script></svg>'
)


def gone() -> web.Response:
    return web.Response(status=404, text="Not Found")


def _text(text: str, content_type: str) -> web.Response:
    return web.Response(body=text.encode(), headers={"Content-Type": content_type})


async def _agent(request: web.Request, png: bytes, use: Use) -> web.Response | None:
    if request.headers.get("User-Agent", "").startswith("Mozilla/"):
        return None
    return web.Response(status=403, text="<html><body>403 Forbidden</body></html>")


async def _not_found(request: web.Request, png: bytes, use: Use) -> web.Response:
    return gone()


async def _server_error(request: web.Request, png: bytes, use: Use) -> web.Response:
    return web.Response(status=500, text="Internal Server Error")


async def _octet_stream(request: web.Request, png: bytes, use: Use) -> web.Response:
    return web.Response(body=png, content_type="application/octet-stream")


async def _html(request: web.Request, png: bytes, use: Use) -> web.Response:
    return _text("<!doctype html><title>Just a moment...</title>", use.text("content_type"))


async def _svg(request: web.Request, png: bytes, use: Use) -> web.Response:
    return _text(SVG, use.text("content_type"))


async def _endless(request: web.Request, png: bytes, use: Use) -> web.StreamResponse:
    piece = bytes(max(1, int(use.number("bytes_per_second") * PIECE_S)))
    return await _pour(request, chain([png[:-12]], repeat(piece)), PIECE_S)


async def _trickle(request: web.Request, png: bytes, use: Use) -> web.StreamResponse:
    """Real seconds, as in a submit that times out."""
    pace = max(0.1, use.number("bytes_per_second"))
    step = max(1, int(pace * PIECE_S))
    pieces = (png[start : start + step] for start in range(0, len(png), step))
    return await _pour(request, pieces, step / pace, length=len(png))


async def _truncated(request: web.Request, png: bytes, use: Use) -> web.StreamResponse:
    half = png[: len(png) // 2]
    if use.flag("honest"):
        return web.Response(body=half, content_type="image/png")
    return _raw(request, len(png), half)


async def _longer(request: web.Request, png: bytes, use: Use) -> web.StreamResponse:
    return _raw(request, len(png) // 2, png)


async def _redirect_private(request: web.Request, png: bytes, use: Use) -> web.Response:
    return web.Response(status=302, headers={"Location": use.text("location")})


async def _gzip_bomb(request: web.Request, png: bytes, use: Use) -> web.StreamResponse:
    """The picture as first gzip member, then a member of zeros for each mebibyte."""
    zeros = gzip.compress(bytes(1024 * 1024))
    body = gzip.compress(png, 1) + zeros * int(use.number("mebibytes"))
    headers = {"Content-Type": "image/png", "Content-Encoding": "gzip"}
    return web.Response(body=body, headers=headers)


async def _pixel_bomb(request: web.Request, png: bytes, use: Use) -> web.Response:
    header = b"IHDR" + struct.pack(">II", 50_000, 50_000) + png[24:29]
    checked = header + struct.pack(">I", zlib.crc32(header))
    return web.Response(body=png[:12] + checked + png[33:], content_type="image/png")


async def _wrong_magic(request: web.Request, png: bytes, use: Use) -> web.Response:
    return web.Response(body=b"\x89PMG" + png[4:], content_type="image/png")


async def _pour(
    request: web.Request, pieces: Iterable[bytes], pause_s: float, length: int | None = None
) -> web.StreamResponse:
    """Sends the pieces with a pause after each, for as long as anybody takes them."""
    answer = web.StreamResponse(headers={"Content-Type": "image/png"})
    if length is not None:
        answer.content_length = length
    with suppress(ConnectionResetError):
        await answer.prepare(request)
        for piece in pieces:
            await answer.write(piece)
            await asyncio.sleep(pause_s)
    return answer


def _raw(request: web.Request, announced: int, body: bytes) -> web.Response:
    """Past the server's own bookkeeping, which would not let a Content-Length lie."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {announced}\r\n\r\n"
    if request.transport is not None:
        request.transport.write(head.encode() + body)
        request.transport.close()
    return web.Response()


FILE_FAULTS: dict[str, Effect] = {
    "file-403-agent": _agent,
    "file-404": _not_found,
    "file-500": _server_error,
    "file-octet-stream": _octet_stream,
    "file-html": _html,
    "file-svg": _svg,
    "file-endless": _endless,
    "file-trickle": _trickle,
    "file-truncated": _truncated,
    "file-longer": _longer,
    "file-redirect-private": _redirect_private,
    "file-gzip-bomb": _gzip_bomb,
    "file-pixel-bomb": _pixel_bomb,
    "file-wrong-magic": _wrong_magic,
}
