"""AWS's own DynamoDB engine for tests: `python -m local.dynamodb --port N`, on 127.0.0.1 only.

The engine itself listens on every network interface. Therefore it runs in its own network namespace, whose
only interface is a loopback, and this program forwards connections from 127.0.0.1 into the namespace.
"""

import argparse
import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

from local.settings import HOST

JAR = Path(__file__).parent.parent / ".local" / "dynamodb-local" / "emulator" / "DynamoDBLocal.jar"
ENGINE_PORT = 8000
START_TIMEOUT_S = 60
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Serve until SIGTERM or SIGINT; returns 1 and prints the reason if it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m local.dynamodb", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    listening = socket.create_server((HOST, parser.parse_args().port))
    try:
        _enter_network_namespace()
    except OSError as error:
        print(f"cannot create a network namespace: {error.strerror}", file=sys.stderr)
        return 1
    if not JAR.exists():
        print("the engine is not installed: make dynamodb-local", file=sys.stderr)
        return 1
    engine = _start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: engine.terminate())
    try:
        asyncio.run(_serve(listening, engine))
    finally:
        engine.terminate()
        engine.wait()
    return 0


def _enter_network_namespace() -> None:
    """Move this process into a new network namespace; sockets that are open stay in the old one."""
    user, group = os.getuid(), os.getgid()
    if user == 0:
        os.unshare(os.CLONE_NEWNET)
    else:
        os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        interface = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, _SIOCGIFFLAGS, interface))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _start() -> subprocess.Popen[bytes]:
    """Start the engine, in memory; the kernel kills it when this process ends for any reason."""
    libc = ctypes.CDLL(None)
    return subprocess.Popen(
        [
            "java", "-Xmx512m", f"-Djava.library.path={JAR.parent / 'DynamoDBLocal_lib'}",
            "-jar", str(JAR), "-inMemory", "-disableTelemetry", "-port", str(ENGINE_PORT),
        ],
        cwd=JAR.parent,
        stdout=sys.stderr,
        preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509  # one thread
    )  # fmt: skip


async def _serve(listening: socket.socket, engine: subprocess.Popen[bytes]) -> None:
    """Forward connections to the engine, from when it accepts them until it ends."""
    await _wait_until_ready(engine)
    server = await asyncio.start_server(_forward, sock=listening)
    print(f"DynamoDB Local on http://{HOST}:{listening.getsockname()[1]}", flush=True)
    async with server:
        await asyncio.to_thread(engine.wait)


async def _wait_until_ready(engine: subprocess.Popen[bytes]) -> None:
    deadline = asyncio.get_running_loop().time() + START_TIMEOUT_S
    while asyncio.get_running_loop().time() < deadline and engine.poll() is None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, ENGINE_PORT)
            writer.close()
            return
        await asyncio.sleep(0.1)
    sys.exit("the engine did not start")


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    inner_reader, inner_writer = await asyncio.open_connection(HOST, ENGINE_PORT)
    await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


if __name__ == "__main__":
    sys.exit(main())
