"""Row 9: polls a second of one worker environment, whose PoYo answers after 50 ms.

A poll is one message: the task is read, PoYo is asked over a new TLS connection, the task is written and
its next message sent. AWS and PoYo are one stand-in on this machine, all of it over TLS. What is
possible is measured in the same run, turn by turn: the same four exchanges by the standard library's
HTTP client, with one connection kept for AWS and a new one for PoYo, and nothing done with the answers.
"""

from __future__ import annotations

import http.client
import importlib
import io
import json
import logging
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import IO, Any, cast

import certifi
from boto3.dynamodb.types import TypeSerializer

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "functions")]

from benchmarks.json_handler import JsonHandler  # noqa: E402
from benchmarks.report import Row, deliver, parser  # noqa: E402
from imagetasks import telemetry  # noqa: E402
from imagetasks.tasks.task_item import to_item  # noqa: E402
from tests.support.certificates import server_context  # noqa: E402
from tests.support.emulated_aws import Cloud  # noqa: E402
from tests.support.fakes import task  # noqa: E402
from tests.support.lambdas import Context  # noqa: E402

UPSTREAM_S = 0.05
TURNS, POLLS = 12, 10
POYO_ID = "BENCHMARK0000001"
NOW = time.time_ns() // 1_000_000
TASK = task(
    "polled", state="running", poyo_id=POYO_ID, created_at=NOW, attempted_at=NOW, confirmed_at=NOW
)
ITEM = {name: TypeSerializer().serialize(value) for name, value in to_item(TASK).items()}
SECRETS = {
    "api": {"poyo_api_key": "sk-benchmark", "server_keys": {}},
    "callback": {"current": "k1", "k1": "benchmark"},
}
ANSWERS: dict[str, Any] = {
    "GetItem": {"Item": ITEM},
    "UpdateItem": {"Attributes": ITEM},
    "SendMessage": {"MessageId": "1", "MD5OfMessageBody": "0"},
}
STATUS = {"code": 200, "data": {"task_id": POYO_ID, "status": "running", "files": []}}


class Standin(JsonHandler):
    """AWS, which answers at once, and PoYo, which does not."""

    def do_POST(self) -> None:  # noqa: N802  # the name in http.server
        body = self.read()
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        if operation == "GetSecretValue":
            self.answer({"SecretString": json.dumps(SECRETS[body["SecretId"]])})
        else:
            self.answer(ANSWERS[operation])

    def do_GET(self) -> None:  # noqa: N802  # the name in http.server
        time.sleep(UPSTREAM_S)
        self.answer(STATUS)


def serve(folder: Path) -> None:
    """The process of the stand-in; it ends with its standard input."""
    context, _ = server_context(folder, "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Standin)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    print(server.server_port, flush=True)
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


@contextmanager
def standin() -> Iterator[tuple[int, Path]]:
    """The port of the stand-in and the certificate to trust."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.polls", "--serve", folder]
        with subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            port = int(cast(IO[str], process.stdout).readline())
            yield port, Path(folder, "authority.pem")
            cast(IO[str], process.stdin).close()


def worker_poll(port: int, authority: Path) -> Callable[[], None]:
    """One poll by the worker's handler."""
    origin = f"https://127.0.0.1:{port}"
    api, callback = SECRETS
    names = Cloud("tasks", "images", f"{origin}/tasks", f"{origin}/notes", api, callback, "token")
    os.environ |= names.environment(POYO_BASE_URL=origin) | {
        "AWS_ENDPOINT_URL": origin,
        "AWS_CA_BUNDLE": str(authority),
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "POWERTOOLS_METRICS_NAMESPACE": "imagetasks",
        "POWERTOOLS_SERVICE_NAME": "imagetasks",
    }
    authorities = authority.with_name("authorities.pem")  # as many as on Lambda, and this one
    authorities.write_text(Path(certifi.where()).read_text() + authority.read_text())
    certifi.where = lambda: str(authorities)
    handler = importlib.import_module("worker").handler
    for each in telemetry.log.handlers:
        cast(logging.StreamHandler[IO[str]], each).setStream(Path(os.devnull).open("w"))  # noqa: SIM115
    event = json.loads((ROOT / "events" / "worker-sweep.json").read_text())
    event["Records"][0]["body"] = json.dumps({"task_id": TASK.task_id, "source": "retry"})

    def poll() -> None:
        with redirect_stdout(io.StringIO()):
            failures = handler(event, Context())["batchItemFailures"]
        if failures:
            sys.exit("the worker could not poll: its log says why")

    return poll


def bare_poll(port: int, authority: Path) -> Callable[[], None]:
    """The same exchanges by the standard library alone."""
    context = ssl.create_default_context(cafile=str(authority))
    aws = http.client.HTTPSConnection("127.0.0.1", port, context=context)
    body = json.dumps({"TableName": "tasks", "Key": {"pk": ITEM["pk"]}})

    def call(operation: str) -> None:
        aws.request("POST", "/", body, {"X-Amz-Target": f"Aws.{operation}"})
        aws.getresponse().read()

    def poll() -> None:
        call("GetItem")
        poyo = http.client.HTTPSConnection("127.0.0.1", port, context=context)
        poyo.request("GET", f"/api/generate/status/{POYO_ID}")
        poyo.getresponse().read()
        poyo.close()
        call("UpdateItem")
        call("SendMessage")

    return poll


def measure() -> list[Row]:
    """Both in turns; the first turn warms them up."""
    seconds: dict[str, list[float]] = {"worker": [], "bare": []}
    with standin() as (port, authority):
        polls = {"worker": worker_poll(port, authority), "bare": bare_poll(port, authority)}
        for turn in range(TURNS + 1):
            for name, poll in polls.items():
                for _ in range(POLLS):
                    began = time.perf_counter()
                    poll()
                    if turn:
                        seconds[name].append(time.perf_counter() - began)
    ours, possible = (1 / statistics.median(seconds[name]) for name in ("worker", "bare"))
    return [
        Row(
            number=9,
            measure="polls a second of one worker environment, 50 ms upstream",
            value=ours,
            unit="polls/s",
            baseline=f"possible, the same exchanges without our code: {possible:.1f}",
            ratio=ours / possible,
            goal="≥ 0.8 of possible",
            met=ours / possible >= 0.8,
        )
    ]


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--serve", type=Path, metavar="FOLDER", help="be the stand-in")
    given = arguments.parse_args()
    if given.serve:
        serve(given.serve)
    else:
        deliver(measure(), given.json)


if __name__ == "__main__":
    main()
