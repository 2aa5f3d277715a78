"""Everything that the measured processes connect to, behind one TLS port of 127.0.0.1.

`python -m benchmarks.server FOLDER [DYNAMODB_URL]` serves AWS (Secrets Manager and SQS with fixed
answers, an S3 that accepts every object and keeps none, DynamoDB by an emulator at DYNAMODB_URL or
with empty answers), PoYo, and PoYo's file host. It prints its port. What it does costs the measured
processes no CPU time, and both sides of a comparison use the same server.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import sys
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from tests.support.certificates import server_context

SERVER_KEY = "benchmark-server-key"
CALLBACK_KEY = "benchmark-callback-key"
SECRETS = {
    "arn:api": {
        "poyo_api_key": "sk-benchmark",
        "server_keys": {"default": hashlib.sha256(SERVER_KEY.encode()).hexdigest()},
    },
    "arn:callback": {"current": "k1", "k1": CALLBACK_KEY},
    "arn:token": {"current": "k1", "k1": "benchmark-token-key-" + "1" * 32},
}
BLOCK_BYTES = 256 * 1024


@cache
def image(megabytes: int) -> bytes:
    """A PNG of noise with about so many megabytes (10⁶ bytes)."""
    side = round((megabytes * 1e6 / 3) ** 0.5)
    file = io.BytesIO()
    noise = Image.frombytes("RGB", (side, side), os.urandom(side * side * 3))
    noise.save(file, "PNG", compress_level=0)
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    """One connection; it is kept open, as AWS and PoYo keep theirs."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    dynamodb_url = ""
    submits = 0
    polled: set[str] = set()  # noqa: RUF012  # PoYo ids of all connections

    def do_POST(self) -> None:
        """AWS's JSON protocol, or an order at PoYo."""
        body = self._body()
        service, _, operation = self.headers.get("X-Amz-Target", "").rpartition(".")
        if not service:
            Handler.submits += 1
            poyo_id = f"BENCHMARK{Handler.submits:07}"
            self._json({"code": 200, "data": {"task_id": poyo_id, "status": "not_started"}})
        elif service.startswith("DynamoDB"):
            self._dynamodb(body)
        elif operation == "GetSecretValue":
            secret = json.dumps(SECRETS[json.loads(body)["SecretId"]])
            self._json({"SecretString": secret}, "application/x-amz-json-1.1")
        else:
            digest = hashlib.md5(json.loads(body)["MessageBody"].encode()).hexdigest()  # noqa: S324
            self._json({"MessageId": "message", "MD5OfMessageBody": digest})

    def do_GET(self) -> None:
        """PoYo's status (running at the first poll, finished with a file of 2 MB later), or a file."""
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/files/"):
            self._answer(200, image(int(name)), "image/png")
            return
        data: dict[str, Any] = {"task_id": name, "status": "running", "files": []}
        if name in Handler.polled:
            url = f"https://{self.headers['Host']}/files/2"
            data |= {"status": "finished", "files": [{"file_url": url, "file_type": "image"}]}
        Handler.polled.add(name)
        self._json({"code": 200, "data": data})

    def do_HEAD(self) -> None:
        """No object is in the bucket."""
        self._answer(404, b"", "application/xml")

    def do_PUT(self) -> None:
        """An object, which is read and forgotten."""
        self._body()
        self._answer(200, b"", "application/xml")

    def log_request(self, *_: object) -> None:
        """Log no requests."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size + 2)[:-2])
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(pieces)

    def _json(self, content: object, kind: str = "application/x-amz-json-1.0") -> None:
        self._answer(200, json.dumps(content).encode(), kind)

    def _answer(self, status: int, body: bytes, kind: str, **further: str) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            **further,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _dynamodb(self, body: bytes) -> None:
        """The emulator's answer."""
        if not self.dynamodb_url:
            self._json({"Responses": {}})  # to every operation it says that nothing is stored
            return
        emulator = http.client.HTTPConnection(urlsplit(self.dynamodb_url).netloc, timeout=30)
        names = ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
        headers = {name: self.headers[name] for name in names if name in self.headers}
        emulator.request("POST", "/", body, headers)
        answer = emulator.getresponse()
        kind = answer.headers.get("Content-Type", "application/x-amz-json-1.0")
        self._answer(answer.status, answer.read(), kind)
        emulator.close()


def main(folder: Path, dynamodb_url: str = "") -> None:
    """Serve until the parent ends this process."""
    Handler.dynamodb_url = dynamodb_url
    context, _ = server_context(folder, "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
