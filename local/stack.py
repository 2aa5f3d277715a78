"""The stack `imagetasks`, deployed from the repository's template as anybody would deploy it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from local import build
from local.cloud import REGION, Cloud
from local.processes import Processes
from local.settings import Settings

NAME = "imagetasks"
CALLBACK_KEYS = {"current": "k1", "k1": "local-callback-key-not-a-secret"}


@dataclass(frozen=True)
class Stack:
    """What was deployed: its outputs by name, and where its HTTP API answers in the emulator."""

    outputs: dict[str, str]
    api_id: str
    api_url: str


def deploy(
    processes: Processes, cloud: Cloud, settings: Settings, template: Path = build.TEMPLATE
) -> Stack:
    """Run `sam deploy` of a built template; raises StepFailed with its last lines.

    Of a stack that is there it makes an update: its routes stay, its numbers want `mend_numbers`.
    """
    overrides = [f'{name}="{value}"' for name, value in parameters(settings).items()]
    command = [
        "sam", "deploy",
        "--template-file", str(template),
        "--stack-name", NAME,
        "--region", REGION,
        "--resolve-s3",
        "--capabilities", "CAPABILITY_IAM",
        "--no-confirm-changeset",
        "--no-fail-on-empty-changeset",
        "--no-progressbar",
        "--parameter-overrides", *overrides,
    ]  # fmt: skip
    processes.run("sam-deploy", command, build.sam_environment(cloud.environment()))
    return read(cloud)


def parameters(settings: Settings) -> dict[str, str]:
    """The template's parameters that differ from its defaults on this machine."""
    values = {
        "Architecture": build.architecture(),
        "PoyoBaseUrl": settings.poyo_base_url,
        "PublicUrl": settings.public_url,
        "FirstPollSeconds": str(settings.first_look_seconds),
        "SavedQueries": "false",  # a kind of resource that the emulator does not have
    }
    if settings.callback_hosts:
        values["NotificationHosts"] = settings.callback_hosts
    if settings.cors_origins:
        values["CorsOrigins"] = settings.cors_origins
    if settings.file_hosts is not None:
        values["DownloadHosts"] = settings.file_hosts
    return values


def read(cloud: Cloud) -> Stack:
    """The deployed stack as CloudFormation tells it."""
    formation = cloud.client("cloudformation")
    described = formation.describe_stacks(StackName=NAME)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    api = formation.describe_stack_resource(StackName=NAME, LogicalResourceId="HttpApi")
    api_id = api["StackResourceDetail"]["PhysicalResourceId"]
    return Stack(outputs, api_id, f"{cloud.url}/_aws/execute-api/{api_id}/$default")


def mend_numbers(cloud: Cloud) -> None:
    """Say a queue's concurrency again as a number: the emulator keeps what a parameter gives as the
    text it is, and then its poller fails."""
    functions = cloud.client("lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        most = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
        if most is not None:
            scaling = {"MaximumConcurrency": int(most)}
            functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=scaling)


def put_keys(cloud: Cloud, stack: Stack, settings: Settings) -> None:
    """Fill the two secrets, which the template creates without a value worth having."""
    fingerprint = hashlib.sha256(settings.api_key.encode()).hexdigest()
    api = {"poyo_api_key": settings.poyo_api_key, "server_keys": {"default": fingerprint}}
    secrets = cloud.client("secretsmanager")
    for output, value in (("ApiSecretArn", api), ("CallbackSecretArn", CALLBACK_KEYS)):
        secrets.put_secret_value(SecretId=stack.outputs[output], SecretString=json.dumps(value))
