"""Errors of AWS: which pass by themselves, and that every other one raises an alarm with its code."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from imagetasks.aws import PASSING_CODES, translated
from imagetasks.errors import DatabaseUnavailable, QueueUnavailable
from tests.support.fakes import cancelled_transaction, client_error
from tests.support.lambdas import captured_logs

PASSING: list[ClientError | BotoCoreError] = [
    client_error("ThrottlingException"),
    client_error("ProvisionedThroughputExceededException"),
    client_error("SlowDown", 503),
    client_error("TransactionConflictException"),
    client_error("RequestTimeout"),
    client_error("InternalServerError", 500),
    client_error("SomethingNew", 502),
    client_error("ServiceUnavailable", 200),
    EndpointConnectionError(endpoint_url="x"),
    ConnectTimeoutError(endpoint_url="x"),
    ReadTimeoutError(endpoint_url="x"),
    ResponseStreamingError(error="x"),
    IncompleteReadError(actual_bytes=1, expected_bytes=2),
]
DEFECTS: list[ClientError | BotoCoreError] = [
    client_error("AccessDeniedException"),
    client_error("AccessDenied", 403),
    client_error("ValidationException"),
    client_error("ResourceNotFoundException"),
    client_error("AWS.SimpleQueueService.NonExistentQueue"),
    client_error("NoSuchBucket", 404),
    client_error("UnrecognizedClientException"),
    client_error("SomethingNew"),
    NoCredentialsError(),
    ParamValidationError(report="x"),
]


def name(error: Exception) -> str:
    return str(error.response["Error"]["Code"] if isinstance(error, ClientError) else error)


@pytest.mark.parametrize("error", PASSING, ids=name)
def test_throttling_5xx_timeouts_and_network_errors_pass_without_an_alarm(
    error: ClientError | BotoCoreError,
) -> None:
    with captured_logs() as log:
        raised = translated(error, DatabaseUnavailable)

    assert isinstance(raised, DatabaseUnavailable)
    assert raised.passing
    assert log.getvalue() == ""


@pytest.mark.parametrize("error", DEFECTS, ids=name)
def test_every_other_error_is_a_defect_that_raises_an_alarm_with_its_code(
    error: ClientError | BotoCoreError, capsys: pytest.CaptureFixture[str]
) -> None:
    with captured_logs() as log:
        raised = translated(error, QueueUnavailable)

    line = json.loads(log.getvalue())
    code = name(error) if isinstance(error, ClientError) else type(error).__name__
    assert (raised.passing, raised.code) == (False, code)
    assert (line["message"], line["level"], line["code"]) == ("aws_call_rejected", "ERROR", code)
    assert "AwsCallRejected" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("codes", "passing", "code"),
    [
        (("None", "TransactionConflict"), True, "TransactionConflict"),
        (
            ("ThrottlingError", "ProvisionedThroughputExceeded"),
            True,
            "ProvisionedThroughputExceeded",
        ),
        (("ThrottlingError", "ValidationError"), False, "ValidationError"),
        (("None", "ItemCollectionSizeLimitExceeded"), False, "ItemCollectionSizeLimitExceeded"),
        ((), False, "TransactionCanceledException"),
    ],
)
def test_cancelled_transaction_passes_if_the_reason_of_each_write_passes(
    codes: tuple[str, ...], passing: bool, code: str
) -> None:
    with captured_logs():
        raised = translated(cancelled_transaction(*codes), DatabaseUnavailable)

    assert (raised.passing, raised.code) == (passing, code)


def test_what_botocore_retries_passes() -> None:
    retried = {
        *cast(Any, ThrottledRetryableChecker)._THROTTLED_ERROR_CODES,
        *cast(Any, TransientRetryableChecker)._TRANSIENT_ERROR_CODES,
    }

    assert retried - PASSING_CODES == {"EC2ThrottledException"}
