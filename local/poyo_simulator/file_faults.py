"""Faults of files; an effect that returns ``None`` leaves the response to the next one."""

# ruff: noqa: ARG001  # all effects in a table have the same signature

import asyncio
import gzip
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import chain, repeat

from aiohttp import web

from local.poyo_simulator.fault_rules import InjectedFault
from local.poyo_simulator.images import DrawnImage

Effect = Callable[[web.Request, DrawnImage, InjectedFault], Awaitable[web.StreamResponse | None]]
CHUNK_S = 0.05
PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\r"
RGB_8_BIT = b"\x08\x02\x00\x00\x00"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16">'
    '<script>alert("svg")</script></svg>'
)


def file_not_found() -> web.Response:
    return web.Response(status=404, text="Not Found")


def _text(text: str, content_type: str) -> web.Response:
    return web.Response(body=text.encode(), headers={"Content-Type": content_type})


async def _agent(
    request: web.Request, image: DrawnImage, fault: InjectedFault
) -> web.Response | None:
    if request.headers.get("User-Agent", "").startswith("Mozilla/"):
        return None
    return web.Response(status=403, text="<html><body>403 Forbidden</body></html>")


async def _not_found(request: web.Request, image: DrawnImage, fault: InjectedFault) -> web.Response:
    return file_not_found()


async def _server_error(
    request: web.Request, image: DrawnImage, fault: InjectedFault
) -> web.Response:
    return web.Response(status=500, text="Internal Server Error")


async def _octet_stream(
    request: web.Request, image: DrawnImage, fault: InjectedFault
) -> web.Response:
    return web.Response(body=image.content, content_type="application/octet-stream")


async def _html(request: web.Request, image: DrawnImage, fault: InjectedFault) -> web.Response:
    return _text("<!doctype html><title>Just a moment...</title>", fault.text("content_type"))


async def _svg(request: web.Request, image: DrawnImage, fault: InjectedFault) -> web.Response:
    return _text(SVG, fault.text("content_type"))


async def _endless(
    request: web.Request, image: DrawnImage, fault: InjectedFault
) -> web.StreamResponse:
    chunk = bytes(max(1, int(fault.number("bytes_per_second") * CHUNK_S)))
    return await _stream(request, chain([image.content[:-12]], repeat(chunk)), CHUNK_S)


async def _trickle(
    request: web.Request, image: DrawnImage, fault: InjectedFault
) -> web.StreamResponse:
    """Wait in real seconds, because the client's timeout is in real seconds too."""
    rate = max(0.1, fault.number("bytes_per_second"))
    step = max(1, int(rate * CHUNK_S))
    chunks = (image.content[start : start + step] for start in range(0, len(image.content), step))
    return await _stream(request, chunks, step / rate, length=len(image.content))


async def _truncated(
    request: web.Request, image: DrawnImage, fault: InjectedFault
) -> web.StreamResponse:
    half = image.content[: len(image.content) // 2]
    if fault.flag("honest"):
        return web.Response(body=half, content_type=image.content_type)
    return _raw(request, len(image.content), half)


async def _trailer(request: web.Request, image: DrawnImage, fault: InjectedFault) -> web.Response:
    trailer = b"\x00\x00\x00\x18ftypmp42" + bytes(int(fault.number("bytes")))
    return web.Response(body=image.content + trailer, content_type=image.content_type)


async def _longer(
    request: web.Request, image: DrawnImage, fault: InjectedFault
) -> web.StreamResponse:
    return _raw(request, len(image.content) // 2, image.content)


async def _redirect_private(
    request: web.Request, image: DrawnImage, fault: InjectedFault
) -> web.Response:
    return web.Response(status=302, headers={"Location": fault.text("location")})


async def _gzip_bomb(
    request: web.Request, image: DrawnImage, fault: InjectedFault
) -> web.StreamResponse:
    """Send the image as the first gzip member, then a member of zeros for each mebibyte."""
    zeros = gzip.compress(bytes(1024 * 1024))
    body = gzip.compress(image.content, 1) + zeros * int(fault.number("mebibytes"))
    headers = {"Content-Type": image.content_type, "Content-Encoding": "gzip"}
    return web.Response(body=body, headers=headers)


async def _pixel_bomb(
    request: web.Request, image: DrawnImage, fault: InjectedFault
) -> web.Response:
    """Send a PNG that says it is huge, whatever format was ordered."""
    header = b"IHDR" + struct.pack(">II", 50_000, 50_000) + RGB_8_BIT
    checked = header + struct.pack(">I", zlib.crc32(header))
    return web.Response(body=PNG_START + checked + image.content[33:], content_type="image/png")


async def _wrong_magic(
    request: web.Request, image: DrawnImage, fault: InjectedFault
) -> web.Response:
    return web.Response(body=b"\x89PMG" + image.content[4:], content_type=image.content_type)


async def _stream(
    request: web.Request, chunks: Iterable[bytes], pause_s: float, length: int | None = None
) -> web.StreamResponse:
    """Send the chunks with a pause after each, until the client closes the connection."""
    response = web.StreamResponse(headers={"Content-Type": "image/png"})
    if length is not None:
        response.content_length = length
    with suppress(ConnectionResetError):
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(pause_s)
    return response


def _raw(request: web.Request, announced: int, body: bytes) -> web.Response:
    """Write to the transport directly: aiohttp does not send a wrong Content-Length."""
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
    "file-trailer": _trailer,
    "file-longer": _longer,
    "file-redirect-private": _redirect_private,
    "file-gzip-bomb": _gzip_bomb,
    "file-pixel-bomb": _pixel_bomb,
    "file-wrong-magic": _wrong_magic,
}
