"""AWS services: the only package that imports botocore. What an error of AWS means to the rest of the code."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  # botocore's own
    HTTPClientError,
    IncompleteReadError,
)

from imagetasks import telemetry
from imagetasks.errors import AwsError

# Error responses after which the same call may succeed, beside every 5xx: what botocore's standard mode
# retries (botocore.retries.standard), conflicts with another call in DynamoDB and S3, and damaged bytes.
PASSING_CODES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "ThrottlingError",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "SlowDown",
        "PriorRequestNotComplete",
        "RequestTimeout",
        "RequestTimeoutException",
        "InternalError",
        "InternalServerError",
        "InternalServiceError",
        "InternalFailure",
        "ServiceUnavailable",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ConditionalRequestConflict",
        "PreconditionFailed",
        "BadDigest",
        "OperationAborted",
    }
)
NETWORK = (ConnectionError, HTTPClientError, IncompleteReadError)


def translated(error: ClientError | BotoCoreError, unavailable: type[AwsError]) -> AwsError:
    """The error as `unavailable`. One that does not pass by itself (a missing permission or resource, an
    invalid request) is a defect of the deployment or of our code and raises an alarm."""
    codes, passing = _codes(error), is_passing(error)
    code = min(codes - PASSING_CODES or codes)
    if not passing:
        operation = error.operation_name if isinstance(error, ClientError) else None
        telemetry.alarm("aws_call_rejected", code=code, operation=operation)
    return unavailable(code, passing=passing)


def is_passing(error: ClientError | BotoCoreError) -> bool:
    """Whether the same call may succeed in a moment."""
    if not isinstance(error, ClientError):
        return isinstance(error, NETWORK)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or _codes(error) <= PASSING_CODES


def _codes(error: ClientError | BotoCoreError) -> frozenset[str]:
    """The code of the error response, or of each write that cancelled a transaction; the error's type
    if there was no response."""
    if not isinstance(error, ClientError):
        return frozenset({type(error).__name__})
    reasons = {str(each.get("Code")) for each in error.response.get("CancellationReasons", ())}
    return frozenset(reasons - {"None"} or {str(error.response["Error"]["Code"])})
