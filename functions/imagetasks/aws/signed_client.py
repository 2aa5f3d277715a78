"""A small client of AWS for the webhook: one operation of Secrets Manager and one of SQS, with the names,
arguments, responses and errors of botocore's clients.

It signs its requests itself, because importing botocore takes more than everything else of the webhook's
cold start. Time-outs, attempts and the pause between them are those of `aws.client`.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)

from imagetasks.aws import NETWORK, is_passing
from imagetasks.aws.signature import Credentials, authorization

CONNECT_S, READ_S, MAX_PAUSE_S = 1, 2, 1.0
DOMAINS = {"cn": "amazonaws.com.cn", "eusc": "amazonaws.eu"}  # by the beginning of a region's name


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a service: its name for `X-Amz-Target`, and the version of the JSON protocol."""

    service: str
    target: str
    json_version: str

    @property
    def name(self) -> str:
        """As botocore names it in errors."""
        return self.target.rpartition(".")[2]


GET_SECRET_VALUE = Operation("secretsmanager", "secretsmanager.GetSecretValue", "1.1")
SEND_MESSAGE = Operation("sqs", "AmazonSQS.SendMessage", "1.0")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SignedClient:
    """Calls with the function's credentials, which do not change while its environment lives.

    It keeps one connection to each service and is for one thread. A call that got no response is
    repeated: reading a secret changes nothing, and a second message about a callback costs one poll.
    """

    region: str
    credentials: Credentials
    endpoint: str = ""  # of every service; empty: each has its own
    _connections: dict[str, socket.socket] = field(default_factory=dict)

    @classmethod
    def from_env(cls) -> SignedClient:
        """With the variables that Lambda sets, and AWS_ENDPOINT_URL."""
        return cls(
            region=os.environ["AWS_DEFAULT_REGION"],
            credentials=Credentials(
                os.environ["AWS_ACCESS_KEY_ID"],
                os.environ["AWS_SECRET_ACCESS_KEY"],
                os.environ.get("AWS_SESSION_TOKEN", ""),
            ),
            endpoint=os.environ.get("AWS_ENDPOINT_URL", ""),
        )

    def get_secret_value(self, *, SecretId: str) -> Mapping[str, Any]:  # noqa: N803  # botocore's name
        """The secret's current value. Raises ClientError or another error of botocore."""
        return self._call(GET_SECRET_VALUE, {"SecretId": SecretId})

    def send_message(self, **message: Any) -> Mapping[str, Any]:
        """Send a message with the arguments of botocore's method. Raises as `get_secret_value`."""
        return self._call(SEND_MESSAGE, message)

    def _call(self, operation: Operation, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The response, at the second attempt if the first fails with an error that passes by itself."""
        body = json.dumps(arguments).encode()
        kept = operation.service in self._connections
        try:
            return self._attempt(operation, body)
        except (ClientError, *NETWORK) as error:
            if not is_passing(error):
                raise
            # The service may have closed a kept connection while the function was frozen.
            if not kept or isinstance(error, ClientError):
                time.sleep(random.SystemRandom().uniform(0, MAX_PAUSE_S))
        return self._attempt(operation, body)

    def _attempt(self, operation: Operation, body: bytes) -> Mapping[str, Any]:
        origin = self.endpoint or endpoint(operation.service, self.region)
        connection = self._connections.pop(operation.service, None) or _connect(origin)
        headers = {
            "content-type": f"application/x-amz-json-{operation.json_version}",
            "host": urlsplit(origin).netloc,
            "x-amz-target": operation.target,
        }
        headers |= authorization(
            self.credentials, self.region, operation.service, headers, body, time.time()
        )
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(["POST / HTTP/1.1", f"content-length: {len(body)}", *lines, "", ""])
        try:
            response, content = _exchange(connection, head.encode() + body)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            late = isinstance(error, TimeoutError)
            raise (ReadTimeoutError if late else ConnectionClosedError)(
                endpoint_url=origin
            ) from error
        if response.will_close:
            connection.close()
        else:
            self._connections[operation.service] = connection
        return _decipher(operation, response.status, content)


def _exchange(connection: socket.socket, request: bytes) -> tuple[http.client.HTTPResponse, bytes]:
    """The response and its body. The request is written at once, since a write costs more than signing."""
    with closing(http.client.HTTPResponse(connection)) as response:
        connection.sendall(request)
        response.begin()
        return response, response.read()


def endpoint(service: str, region: str) -> str:
    """The service's public endpoint in a region."""
    domain = DOMAINS.get(region.partition("-")[0], "amazonaws.com")
    return f"https://{service}.{region}.{domain}"


def _connect(origin: str) -> socket.socket:
    """A new connection. Raises EndpointConnectionError."""
    target = urlsplit(origin)
    tls = target.scheme == "https"
    host = target.hostname or ""
    try:
        connection = socket.create_connection(
            (host, target.port or (443 if tls else 80)), CONNECT_S
        )
        if tls:
            connection = _tls_context().wrap_socket(connection, server_hostname=host)
    except OSError as error:
        raise EndpointConnectionError(endpoint_url=origin) from error
    connection.settimeout(READ_S)
    return connection


@cache
def _tls_context() -> ssl.SSLContext:
    """Parsing the certificates takes longer than a call: the first call does it for all, over https."""
    import certifi  # noqa: PLC0415  # of no use to a cold start

    return ssl.create_default_context(cafile=certifi.where())


def _decipher(operation: Operation, status: int, content: bytes) -> Mapping[str, Any]:
    """The response's JSON object. Raises ClientError for an error, HTTPClientError for anything else."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if status == 200 and isinstance(answer, dict):
        return answer
    if status < 300:
        raise HTTPClientError(error="no JSON object")
    fields = answer if isinstance(answer, dict) else {}
    code = str(fields.get("__type", status)).rpartition("#")[2]
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    raise ClientError(response, operation.name)
