"""The emulated AWS over HTTP: for the webhook's client, which botocore does not make."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

from botocore import xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.support.emulated_aws import REGION, Cloud
from tests.support.lambdas import load_handler

SERVICES = {"secretsmanager": "secretsmanager", "AmazonSQS": "sqs"}


def botocore_authorization(
    service: str, url: str, headers: Mapping[str, str], body: bytes, credentials: Credentials
) -> str:
    """What botocore sends as `Authorization` with these headers, of which `x-amz-date` is one."""
    request = AWSRequest("POST", url, data=body)
    for name, value in headers.items():
        request.headers[name] = value
    request.context["timestamp"] = headers["x-amz-date"]
    signer: Any = SigV4Auth(credentials, service, REGION)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    return str(request.headers["Authorization"])


class AwsServer(ThreadingHTTPServer):
    """A server that checks each signature by botocore's signer and passes the call to the cloud's clients.
    `calls` grows with each request, and `connections` with each connection."""

    daemon_threads = True

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cloud, self.calls, self.connections = cloud, list[str](), 0
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, Any]]:
        """Status and body of the response to one request."""
        prefix, _, operation = headers["x-amz-target"].partition(".")
        self.calls.append(operation)
        service = SERVICES[prefix]
        authorization = headers["authorization"]
        names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        signed = {name: headers[name] for name in names}
        environ = os.environ
        keys = Credentials(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"])
        if authorization != botocore_authorization(service, self.url, signed, body, keys):
            return 403, {"__type": "InvalidSignatureException"}
        call = getattr(self.cloud.client(service), xform_name(operation))
        try:
            return 200, call(**json.loads(body))
        except ClientError as error:
            return 400, {"__type": f"com.amazonaws#{error.response['Error']['Code']}"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: AwsServer

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer = self.server.answer(headers, body)
        content = json.dumps(answer, default=str).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Write no log."""


@contextmanager
def aws_over_http(cloud: Cloud) -> Iterator[AwsServer]:
    """A server that runs as long as the block."""
    with AwsServer(cloud) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


@contextmanager
def loaded_webhook(cloud: Cloud, **environment: str) -> Iterator[tuple[ModuleType, AwsServer]]:
    """The webhook's handler as after a cold start, and the server that its client calls."""
    with (
        aws_over_http(cloud) as server,
        load_handler("webhook", cloud, AWS_ENDPOINT_URL=server.url, **environment) as webhook,
    ):
        yield webhook, server
        for connection in webhook.client._connections.values():
            connection.close()
