"""A stand-in for SQS in a process of its own: takes every message and counts them by task.

`python -m benchmarks.sqs` serves until its standard input ends, and prints its port.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import IO, ClassVar, cast
from urllib.request import urlopen

from benchmarks.json_handler import JsonHandler

ROOT = Path(__file__).parent.parent


class Sqs(JsonHandler):
    """Takes every message, and says on GET how often each task's was sent."""

    sent: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:  # noqa: N802  # the name in http.server
        content = self.read()
        entries = content.get("Entries", [content | {"Id": "0"}])
        self.sent.update(json.loads(each["MessageBody"])["task_id"] for each in entries)
        taken = [
            {"Id": each["Id"], "MessageId": each["Id"], "MD5OfMessageBody": "0"} for each in entries
        ]
        self.answer({"Successful": taken} if "Entries" in content else taken[0])

    def do_GET(self) -> None:  # noqa: N802  # the name in http.server
        self.answer({"tasks": len(self.sent), "messages": self.sent.total()})


def serve() -> None:
    """The process of the stand-in for SQS; it ends with its standard input."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sqs)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


@contextmanager
def sqs() -> Iterator[str]:
    """The URL of the stand-in for SQS."""
    command = [sys.executable, "-m", "benchmarks.sqs"]
    with subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        port = int(cast(IO[str], process.stdout).readline())
        yield f"http://127.0.0.1:{port}"
        cast(IO[str], process.stdin).close()


def counted(url: str) -> dict[str, int]:
    """How many messages were sent, and for how many tasks."""
    with urlopen(url) as response:  # noqa: S310
        found: dict[str, int] = json.load(response)
        return found


if __name__ == "__main__":
    serve()
