"""Signatures: byte for byte those of botocore's signer."""

from __future__ import annotations

import botocore.credentials
import pytest

from imagetasks.aws.signature import Credentials, authorization
from tests.support.aws_over_http import botocore_authorization
from tests.support.emulated_aws import REGION

HEADERS = {
    "content-type": "application/x-amz-json-1.0",
    "host": "sqs.eu-west-1.amazonaws.com",
    "x-amz-target": "AmazonSQS.SendMessage",
}


@pytest.mark.parametrize("token", ["", "session-token//+=="])
@pytest.mark.parametrize("body", [b"", b"{}", '{"MessageBody": "ü ☃"}'.encode(), b"x" * 200_000])
@pytest.mark.parametrize("service", ["sqs", "secretsmanager"])
@pytest.mark.parametrize("now_s", [0, 1795865472.9, 4102444799])
def test_signature_is_that_of_botocore(token: str, body: bytes, service: str, now_s: float) -> None:
    mine = authorization(
        Credentials("AKID", "se/cret+", token), REGION, service, HEADERS, body, now_s
    )
    sent = HEADERS | {name: value for name, value in mine.items() if name != "authorization"}
    theirs = botocore.credentials.Credentials("AKID", "se/cret+", token or None)

    url = f"https://{HEADERS['host']}/"
    assert mine["authorization"] == botocore_authorization(service, url, sent, body, theirs)
    assert sent.get("x-amz-security-token", "") == token


def test_date_is_in_utc() -> None:
    mine = authorization(Credentials("AKID", "secret"), REGION, "sqs", HEADERS, b"", 0)

    assert mine["x-amz-date"] == "19700101T000000Z"


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(Credentials("AKID", "secret-key", "secret-token"))
