"""The webhook's client of AWS: one kept connection, two attempts, and botocore's errors."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
import certifi
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)

from imagetasks.aws import client, is_passing, signed_client
from imagetasks.aws.signature import Credentials
from imagetasks.aws.signed_client import SignedClient
from imagetasks.aws.task_queue import TaskQueue
from imagetasks.errors import QueueUnavailable
from imagetasks.tasks.message import TaskMessage
from tests.support.aws_over_http import aws_over_http
from tests.support.certificates import server_context
from tests.support.emulated_aws import REGION, aws
from tests.support.lambdas import captured_logs
from tests.support.scripted_server import (
    Behaviour,
    closed_port,
    read_request,
    resetting,
    responding,
    scripted_server,
    sending_raw,
    silent,
)

OK = responding("200 OK", b'{"MessageId": "1"}')


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed_client, "READ_S", 0.2)
    monkeypatch.setattr(signed_client, "MAX_PAUSE_S", 0.0)


@contextmanager
def signed(endpoint: str) -> Iterator[SignedClient]:
    made = SignedClient(region=REGION, credentials=Credentials("A", "S"), endpoint=endpoint)
    yield made
    for connection in made._connections.values():
        connection.close()


def keeping(*answers: bytes) -> Behaviour:
    """Answer the requests of one connection one after the other, then close it."""

    def behave(connection: socket.socket, request: bytes) -> None:
        for n, body in enumerate(answers):
            if n:
                read_request(connection)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)

    return behave


def error(status: str, kind: str) -> Behaviour:
    return responding(status, json.dumps({"__type": kind}).encode())


def send(endpoint: str) -> Any:
    with signed(endpoint) as made:
        return made.send_message(QueueUrl="q", MessageBody="m")


def test_calls_reach_aws_with_valid_signatures_over_one_connection_for_each_service() -> None:
    with aws() as cloud, aws_over_http(cloud) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        made: Any = SignedClient.from_env()
        for _ in range(3):
            secret = made.get_secret_value(SecretId=cloud.callback_secret)
            TaskQueue(made, cloud.queue_url).send(TaskMessage(task_id="t", source="callback"))
        sent = cloud.messages()
        for connection in made._connections.values():
            connection.close()

    assert json.loads(secret["SecretString"])["current"] == "k1"
    assert [each["task_id"] for each in sent] == ["t"] * 3
    assert server.connections == 2


def test_wrong_secret_key_is_refused() -> None:
    with (
        aws() as cloud,
        aws_over_http(cloud) as server,
        signed(server.url) as made,
        pytest.raises(ClientError, match="InvalidSignature"),
    ):
        made.get_secret_value(SecretId=cloud.callback_secret)

    assert server.calls == ["GetSecretValue"]


@pytest.mark.parametrize(
    "end",
    [sending_raw(b""), resetting(), error("503 Slow Down", "ServiceUnavailable"), silent(0.5)],
)
def test_second_attempt_follows_an_error_that_passes(end: Behaviour) -> None:
    with scripted_server(end, OK) as server:
        assert send(server.url) == {"MessageId": "1"}

    assert len(server.requests) == 2
    assert server.requests[0].partition(b"\r\n\r\n")[2] == b'{"QueueUrl": "q", "MessageBody": "m"}'


def test_connection_that_the_service_has_closed_is_replaced_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signed_client, "MAX_PAUSE_S", 60.0)
    with (
        scripted_server(keeping(b'{"n": 1}', b'{"n": 2}'), OK) as server,
        signed(server.url) as made,
    ):
        found = [made.send_message(MessageBody="m") for _ in range(3)]

    assert found == [{"n": 1}, {"n": 2}, {"MessageId": "1"}]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("behaviour", "kind", "attempts"),
    [
        (sending_raw(b""), ConnectionClosedError, 2),
        (silent(0.5), ReadTimeoutError, 2),
        (responding("200 OK", b"half", announced=100), ConnectionClosedError, 2),
        (responding("200 OK", b"<html>"), HTTPClientError, 2),
        (responding("200 OK", b"[" * 100_000), HTTPClientError, 2),
        (responding("502 Bad Gateway", b"<html>"), ClientError, 2),
        (error("400 Bad Request", "com.amazon.coral#ThrottlingException"), ClientError, 2),
        (error("400 Bad Request", "com.amazonaws.sqs#QueueDoesNotExist"), ClientError, 1),
        (error("400 Bad Request", "AccessDeniedException"), ClientError, 1),
        (responding("403 Forbidden", b"[]"), ClientError, 1),
        (responding("301 Moved", b"", Location="http://127.0.0.1:9/"), ClientError, 1),
    ],
)
def test_error_is_one_of_botocore_after_two_attempts_if_it_passes_or_one_if_it_does_not(
    behaviour: Behaviour, kind: type[Exception], attempts: int
) -> None:
    with scripted_server(behaviour) as server, pytest.raises(kind) as raised:
        send(server.url)

    assert type(raised.value) is kind
    assert server.connections == attempts
    found: Any = raised.value
    assert is_passing(found) is (attempts == 2)


def test_service_that_accepts_no_connection_is_an_error_that_passes() -> None:
    with pytest.raises(EndpointConnectionError) as raised:
        send(f"http://127.0.0.1:{closed_port()}")

    assert is_passing(raised.value)


def test_error_of_the_queue_has_the_code_of_aws_and_its_alarm() -> None:
    refusing = error("400 Bad Request", "com.amazonaws.sqs#QueueDoesNotExist")
    with scripted_server(refusing) as server, signed(server.url) as made, captured_logs() as log:
        queue: Any = TaskQueue(made, "q")  # type: ignore[arg-type]
        with pytest.raises(QueueUnavailable) as raised:
            queue.send(TaskMessage(task_id="t", source="callback"))

    line = json.loads(log.getvalue())
    assert (raised.value.code, raised.value.passing) == ("QueueDoesNotExist", False)
    assert (line["message"], line["operation"]) == ("aws_call_rejected", "SendMessage")


def test_certificate_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, authority = server_context(tmp_path, "127.0.0.1")
    with scripted_server(OK, tls=context) as server:
        signed_client._tls_context.cache_clear()
        with pytest.raises(EndpointConnectionError):
            send(server.url)
        signed_client._tls_context.cache_clear()
        monkeypatch.setattr(certifi, "where", lambda: str(authority))
        assert send(server.url) == {"MessageId": "1"}
        with pytest.raises(EndpointConnectionError):
            send(server.url.replace("127.0.0.1", "localhost"))
    signed_client._tls_context.cache_clear()


def test_endpoints_are_those_of_botocore_in_every_region() -> None:
    session: Any = botocore.session.get_session()
    regions = [
        region
        for partition in ("aws", "aws-cn", "aws-us-gov", "aws-eusc")
        for region in session.get_available_regions("sqs", partition)
    ]
    resolver = session._get_internal_component("endpoint_resolver")

    assert len(regions) > 30
    for region in regions:
        for service in ("sqs", "secretsmanager"):
            found = resolver.construct_endpoint(service, region)
            assert signed_client.endpoint(service, region) == f"https://{found['hostname']}"


def test_times_are_those_of_the_other_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    config: Any = client.CLIENT_CONFIG

    assert config.connect_timeout == signed_client.CONNECT_S
    assert config.read_timeout == signed_client.READ_S
    assert config.retries == {"mode": "standard", "total_max_attempts": 2}
    assert signed_client.MAX_PAUSE_S == 1  # botocore's standard mode before its second attempt


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_missing_credentials_are_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "S")
    monkeypatch.delenv(missing)

    with pytest.raises(KeyError, match=missing):
        SignedClient.from_env()


def test_credentials_and_region_are_lambdas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "S")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "T")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)

    made = SignedClient.from_env()

    assert (made.region, made.endpoint) == ("eu-north-1", "")
    assert made.credentials == Credentials("A", "S", "T")
