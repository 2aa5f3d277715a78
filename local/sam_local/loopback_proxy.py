"""A container engine as SAM CLI wants to see it, whose functions reach 127.0.0.1 of this machine.

The emulated cloud listens on 127.0.0.1 and nowhere else, and SAM CLI 1.170 puts every function into a
network of its own: `--docker-network host` is accepted and does nothing. So SAM CLI gets this program's
unix socket for an engine. All it says passes through as it is, but for one thing: a function's container
is made in this machine's network, where the runtime emulator in it listens on 127.0.0.1 as well.

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
INSIDE = "8080/tcp"  # where the emulator listens unless told otherwise, on every interface
LARGEST_HEAD = 65536
_CREATE = re.compile(rb"POST (/v[0-9.]+)?/containers/create[ ?]")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
_UPGRADE = re.compile(rb"\r\nconnection: *upgrade", re.IGNORECASE)


def on_loopback(container: dict[str, Any], runtime_port: int) -> dict[str, Any]:
    """What to create instead: in the machine's network when it is a function, else the same.

    The emulator listens where SAM CLI will look for it; `runtime_port` is for the runtime's own API,
    which the function asks for its events.
    """
    entry = container.get("Entrypoint") or []
    host = container.get("HostConfig") or {}
    bindings = host.get("PortBindings") or {}
    if entry[:1] != [EMULATOR] or not bindings.get(INSIDE):
        return container
    addresses = {
        "--runtime-interface-emulator-address": f"127.0.0.1:{bindings[INSIDE][0]['HostPort']}",
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


def rewritten(head: bytes, body: bytes) -> bytes:
    """A request for a container, head and body, as the engine gets it."""
    wanted = json.dumps(on_loopback(json.loads(body), _free_port())).encode()
    return _LENGTH.sub(b"\r\nContent-Length: %d" % len(wanted), head) + wanted


def one_request(head: bytes) -> bytes:
    """The head of a request after which the connection ends, unless it becomes another protocol."""
    if _UPGRADE.search(head):
        return head
    return _CONNECTION.sub(b"", head)[:-4] + b"\r\nConnection: close\r\n\r\n"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def _serve(engine: str, listen: str) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await _carry(engine, reader, writer)
        writer.close()

    os.umask(0o177)  # the engine's socket is for its owner only, and so is this one
    server = await asyncio.start_unix_server(carry, listen, limit=LARGEST_HEAD)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"containers on loopback: unix://{listen}", flush=True)
    await stop.wait()
    server.close()


async def _carry(engine: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, which carries one request."""
    head = one_request(await reader.readuntil(b"\r\n\r\n"))
    length = _LENGTH.search(head)
    if _CREATE.match(head) and length:
        head = rewritten(head, await reader.readexactly(int(length[1])))
    inner_reader, inner_writer = await asyncio.open_unix_connection(engine)
    inner_writer.write(head)
    await asyncio.gather(_pipe(reader, inner_writer), _pipe(inner_reader, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.sam_local.loopback_proxy")
    parser.add_argument("--engine", required=True, help="unix socket of the container engine")
    parser.add_argument("--listen", required=True, help="unix socket to make")
    chosen = parser.parse_args()
    asyncio.run(_serve(chosen.engine, chosen.listen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
