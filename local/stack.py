"""Deploys the stack `imagetasks` from the repository's template, with `sam deploy`."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from local import build
from local.cloud import REGION, Cloud
from local.cors import LOCALHOST, LOCALHOST_ORIGINS
from local.processes import Processes
from local.settings import Settings

NAME = "imagetasks"
LISTED, SUMMARIES, ROLE = "list_stack_resources", "StackResourceSummaries", "AWS::IAM::Role"
SEND = "sqs:SendMessage"
CALLBACK_KEYS = {"current": "k1", "k1": "local-callback-key-not-a-secret"}
TOKEN_KEYS = {"current": "k1", "k1": "local-token-key-not-a-secret-000000"}


@dataclass(frozen=True)
class Stack:
    """The deployed stack: its outputs by name, and the URL of its HTTP API in the emulator."""

    outputs: dict[str, str]
    api_id: str
    api_url: str


def deploy(
    processes: Processes,
    cloud: Cloud,
    settings: Settings,
    template: Path = build.TEMPLATE,
    *,
    name: str = NAME,
) -> Stack:
    """Run `sam deploy` for a built template; raises StepFailed with its last lines.

    An existing stack is updated: its routes remain, but `restore_concurrency` has to be called again.
    """
    overrides = [f'{name}="{value}"' for name, value in parameters(settings).items()]
    command = [
        "sam", "deploy",
        "--template-file", str(template),
        "--stack-name", name,
        "--region", REGION,
        "--resolve-s3",
        "--capabilities", "CAPABILITY_IAM",
        "--no-confirm-changeset",
        "--no-fail-on-empty-changeset",
        "--no-progressbar",
        "--parameter-overrides", *overrides,
    ]  # fmt: skip
    processes.run("sam-deploy", command, build.sam_environment(cloud.environment()))
    _allow_message_batches(cloud, name)
    return read(cloud, name)


def _allow_message_batches(cloud: Cloud, name: str) -> None:
    """Let each role that may send a message send several by one request: for AWS both are the action
    sqs:SendMessage, the emulator checks the second under its own name."""
    iam, pages = cloud.client("iam"), cloud.client("cloudformation").get_paginator(LISTED)
    listed = [each for page in pages.paginate(StackName=name) for each in page[SUMMARIES]]
    roles = [each["PhysicalResourceId"] for each in listed if each["ResourceType"] == ROLE]
    for role in roles:
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            senders = [each for each in document["Statement"] if each["Action"] == SEND]
            for statement in senders:
                statement["Action"] = [SEND, f"{SEND}Batch"]
            if senders:
                text = json.dumps(document)
                iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=text)


def parameters(settings: Settings) -> dict[str, str]:
    """Return the template's parameters that differ from their defaults on this machine."""
    values = {
        "Architecture": build.architecture(),
        "PoyoBaseUrl": settings.poyo_base_url,
        "PublicUrl": settings.public_url,
        "FirstPollSeconds": str(settings.first_poll_seconds),
        "WorkerConcurrency": "4",  # the emulator starts a process for each concurrent invocation
        "Playground": "true",
        "SavedQueries": "false",  # the emulator does not support this resource type
    }
    if settings.notification_hosts:
        values["NotificationHosts"] = settings.notification_hosts
    if settings.cors_origins:
        any_port = settings.cors_origins == LOCALHOST  # see allow_localhost_pages
        values["CorsOrigins"] = "http://localhost" if any_port else settings.cors_origins
    if settings.models:
        values["Models"] = settings.models
    if settings.download_hosts is not None:
        values["DownloadHosts"] = settings.download_hosts
    if settings.requests_per_second is not None:
        values["RequestsPerSecond"] = str(settings.requests_per_second)
    if settings.poyo_submits_per_10s is not None:
        values["PoyoSubmitsPer10s"] = str(settings.poyo_submits_per_10s)
    return values


def read(cloud: Cloud, name: str = NAME) -> Stack:
    """Read the deployed stack from CloudFormation."""
    formation = cloud.client("cloudformation")
    described = formation.describe_stacks(StackName=name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    api = formation.describe_stack_resource(StackName=name, LogicalResourceId="HttpApi")
    api_id = api["StackResourceDetail"]["PhysicalResourceId"]
    return Stack(outputs, api_id, f"{cloud.url}/_aws/execute-api/{api_id}/$default")


def restore_concurrency(cloud: Cloud) -> None:
    """Set the maximum concurrency of every event source again, as a number.

    The emulator stores the value of a template parameter as text, and then its SQS poller fails.
    """
    functions = cloud.client("lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        maximum = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
        if maximum is not None:
            scaling = {"MaximumConcurrency": int(maximum)}
            functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=scaling)


def allow_localhost_pages(cloud: Cloud, stack: Stack) -> None:
    """Let pages of any port of this machine read and upload images. The template allows one of them,
    because its parameter takes whole origins; the rules are the template's own."""
    s3, bucket = cloud.client("s3"), stack.outputs["ImagesBucketName"]
    rules = s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
    for rule in rules:
        if rule["AllowedOrigins"] != ["null"]:
            rule["AllowedOrigins"] = list(LOCALHOST_ORIGINS)
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})


def put_keys(cloud: Cloud, stack: Stack, settings: Settings) -> None:
    """Write the three secrets, which the template creates with placeholder values."""
    fingerprint = hashlib.sha256(settings.api_key.encode()).hexdigest()
    api = {"poyo_api_key": settings.poyo_api_key, "server_keys": {"default": fingerprint}}
    secrets = cloud.client("secretsmanager")
    values = {
        "ApiSecretArn": api,
        "CallbackSecretArn": CALLBACK_KEYS,
        "TokenSecretArn": TOKEN_KEYS,
    }
    for output, value in values.items():
        secrets.put_secret_value(SecretId=stack.outputs[output], SecretString=json.dumps(value))
