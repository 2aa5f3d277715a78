"""Table, bucket, queues and logs: what is retained, encrypted, expired and written once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from imagetasks.tasks.caller import Token, token_to_item
from tests.support.translated_template import FUNCTIONS, JsonObject, properties, resolved, resources


@pytest.mark.parametrize(
    "name", ["TasksTable", "ImagesBucket", "ApiSecret", "CallbackSecret", "TokenSecret"]
)
def test_table_bucket_and_secrets_are_retained_when_the_stack_is_deleted(name: str) -> None:
    found = resources()[name]

    assert (found["DeletionPolicy"], found["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_table_has_encryption_point_in_time_recovery_and_deletion_protection() -> None:
    table = properties("TasksTable")

    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True


def test_dynamodb_removes_the_items_of_ended_browser_tokens_and_no_others() -> None:
    specification = properties("TasksTable")["TimeToLiveSpecification"]
    token = Token(
        token_id="0" * 32,
        key="k",
        key_id="i",
        owner="k/u",
        scopes=(),
        max_credits=Decimal(1),
        ends_at=5_000,
    )

    assert specification == {"AttributeName": "removed_at", "Enabled": True}
    assert token_to_item(token)["removed_at"] == 5 + 8 * 24 * 3600


def test_bucket_is_encrypted_and_blocks_public_access() -> None:
    bucket = properties("ImagesBucket")
    [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]

    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert bucket["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }


def rules(**parameters: str) -> dict[str, JsonObject]:
    """The lifecycle rules of the bucket, by id."""
    found = resolved(properties("ImagesBucket")["LifecycleConfiguration"]["Rules"], **parameters)
    assert all(rule["Status"] == "Enabled" for rule in found)
    return {rule["Id"]: rule for rule in found}


def test_overwritten_and_deleted_objects_expire_after_one_day() -> None:
    assert properties("ImagesBucket")["VersioningConfiguration"] == {"Status": "Enabled"}
    rule = rules()["earlier-versions"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert rule["ExpiredObjectDeleteMarker"] is True
    assert "Prefix" not in rule


def test_uploads_expire_after_one_day() -> None:
    assert rules()["reference-images"]["Prefix"] == "uploads/"
    assert rules()["reference-images"]["ExpirationInDays"] == 1
    assert rules()["aborted-uploads"]["AbortIncompleteMultipartUpload"] == {
        "DaysAfterInitiation": 1
    }


def test_images_expire_only_if_a_retention_is_set() -> None:
    expiring = {rule.get("Prefix") for rule in rules().values() if "ExpirationInDays" in rule}
    rule = rules(ImageRetentionDays="30")["images"]

    assert expiring == {"uploads/"}
    assert (rule["Prefix"], rule["ExpirationInDays"]) == ("images/", "30")


def test_bucket_policy_requires_tls_and_conditional_writes_of_images() -> None:
    found = properties("ImagesBucketPolicy")["PolicyDocument"]["Statement"]
    tls, once = found
    loopback = {"aws:SourceIp": "127.0.0.0/8"}

    assert {each["Effect"] for each in found} == {"Deny"}
    assert {each["Principal"] for each in found} == {"*"}
    assert tls["Action"] == "s3:*"
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}, "NotIpAddress": loopback}
    assert once["Action"] == "s3:PutObject"
    assert once["Resource"] == {"Fn::Sub": "${ImagesBucket.Arn}/images/*"}
    assert once["Condition"] == {"Null": {"s3:if-none-match": "true"}, "NotIpAddress": loopback}


def test_every_function_has_its_own_log_group_with_a_retention() -> None:
    groups = resources("AWS::Logs::LogGroup")
    used = [properties(name)["LoggingConfig"]["LogGroup"]["Ref"] for name in FUNCTIONS]
    stage = properties("HttpApiApiGatewayDefaultStage")["AccessLogSettings"]

    assert len(set(used)) == len(FUNCTIONS)
    assert set(groups) == {*used, stage["DestinationArn"]["Fn::GetAtt"][0]}
    for group in groups.values():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_dead_letters_and_failed_invocations_are_kept_for_two_weeks() -> None:
    redrive = properties("TaskQueue")["RedrivePolicy"]
    schedule = properties("SweepFunctionEveryMinute")["Target"]
    failing = properties("SweepFunctionEventInvokeConfig")["DestinationConfig"]["OnFailure"]
    kept_s = properties("SweepFunctionEventInvokeConfig")["MaximumEventAgeInSeconds"]
    failed = {"Fn::GetAtt": ["FailedInvocationQueue", "Arn"]}

    other = properties("NotificationQueue")["RedrivePolicy"]

    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["TaskDeadLetterQueue", "Arn"]}
    assert other["deadLetterTargetArn"] == {"Fn::GetAtt": ["NotificationDeadLetterQueue", "Arn"]}
    assert schedule["DeadLetterConfig"] == {"Arn": failed}
    assert failing == {"Destination": failed}
    assert kept_s == schedule["RetryPolicy"]["MaximumEventAgeInSeconds"] == 60
    for name, queue in resources("AWS::SQS::Queue").items():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True
        if name not in ("TaskQueue", "NotificationQueue"):
            assert queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600


@pytest.mark.parametrize(
    ("queue", "reader"),
    [("TaskQueue", "WorkerFunction"), ("NotificationQueue", "NotifyFunction")],
)
def test_visibility_timeout_is_at_least_six_times_the_readers_timeout(
    queue: str, reader: str
) -> None:
    """AWS recommends it, so that no message is delivered again while it is still processed."""
    assert properties(queue)["VisibilityTimeout"] >= 6 * properties(reader)["Timeout"]
