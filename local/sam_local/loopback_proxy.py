"""A proxy between SAM CLI and the container engine that lets functions reach 127.0.0.1 of this machine.

The emulated cloud listens on 127.0.0.1 only, and SAM CLI 1.170 puts every function into a separate
network: it accepts `--docker-network host` and ignores it. So SAM CLI gets this program's unix socket as
its engine. The proxy forwards every request and changes one: it creates a function's container in this
machine's network and has the runtime emulator in it listen on 127.0.0.1 too.

    python -m local.sam_local.loopback_proxy --engine SOCKET --listen SOCKET
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from typing import Any

EMULATOR = "/var/rapid/aws-lambda-rie"
CONTAINER_PORT = "8080/tcp"  # the emulator's default, on every interface
MAX_HEAD_BYTES = 65536
_CREATE = re.compile(rb"POST (/v[0-9.]+)?/containers/create[ ?]")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
_UPGRADE = re.compile(rb"\r\nconnection: *upgrade", re.IGNORECASE)


def on_loopback(container: dict[str, Any], runtime_port: int) -> dict[str, Any]:
    """Return the request for a function's container in this machine's network; others stay the same.

    The emulator listens on the port that SAM CLI expects; `runtime_port` is for the runtime's API,
    from which the function gets its events.
    """
    entry = container.get("Entrypoint") or []
    host = container.get("HostConfig") or {}
    bindings = host.get("PortBindings") or {}
    if entry[:1] != [EMULATOR] or not bindings.get(CONTAINER_PORT):
        return container
    addresses = {
        "--runtime-interface-emulator-address": f"127.0.0.1:{bindings[CONTAINER_PORT][0]['HostPort']}",
        "--runtime-api-address": f"127.0.0.1:{runtime_port}",
    }
    flags = [text for pair in addresses.items() for text in pair]
    kept = {name: value for name, value in host.items() if name != "PortBindings"}
    return container | {
        "Entrypoint": [EMULATOR, *flags, *entry[1:]],
        "ExposedPorts": {},
        "NetworkingConfig": None,
        "HostConfig": kept | {"NetworkMode": "host"},
    }


def rewrite(head: bytes, body: bytes) -> bytes:
    """Return the request to create a container, head and body, as the engine receives it."""
    changed = json.dumps(on_loopback(json.loads(body), _free_port())).encode()
    return _LENGTH.sub(b"\r\nContent-Length: %d" % len(changed), head) + changed


def one_request(head: bytes) -> bytes:
    """Add `Connection: close` to a request's head, unless the request changes the protocol."""
    if _UPGRADE.search(head):
        return head
    return _CONNECTION.sub(b"", head)[:-4] + b"\r\nConnection: close\r\n\r\n"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def _serve(engine: str, listen: str) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await _forward(engine, reader, writer)
        writer.close()

    os.umask(0o177)  # only the owner may use the socket, as with the engine's own
    server = await asyncio.start_unix_server(forward, listen, limit=MAX_HEAD_BYTES)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"containers on loopback: unix://{listen}", flush=True)
    await stop.wait()
    server.close()


async def _forward(engine: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward one connection with its one request."""
    head = one_request(await reader.readuntil(b"\r\n\r\n"))
    length = _LENGTH.search(head)
    if _CREATE.match(head) and length:
        head = rewrite(head, await reader.readexactly(int(length[1])))
    engine_reader, engine_writer = await asyncio.open_unix_connection(engine)
    engine_writer.write(head)
    await asyncio.gather(_pipe(reader, engine_writer), _pipe(engine_reader, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.sam_local.loopback_proxy")
    parser.add_argument("--engine", required=True, help="unix socket of the container engine")
    parser.add_argument("--listen", required=True, help="unix socket to create")
    chosen = parser.parse_args()
    asyncio.run(_serve(chosen.engine, chosen.listen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
