"""Access to a deployed stack: its outputs, parameters, resources and secrets."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from imagetasks.aws.table import Table
from imagetasks.errors import DatabaseUnavailable

Values = dict[str, Any]
DEFAULT_STACK = "imagetasks"
INTERRUPTED = 130  # the exit code after Ctrl-C
CURRENT = "AWSCURRENT"  # label of the version that is read if none is named
NEXT_VERSION = "imagetasks-next"  # label of a secret's version that is not current yet


class CommandError(Exception):
    """The command cannot run. The message gives the reason and the next step."""


class SecretDamaged(CommandError):
    """A secret is no JSON object. What it holds is never quoted: it may be a key."""


def argument_parser(command: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that select a stack; every command has them."""
    parser = argparse.ArgumentParser(
        prog=f"imagetasks stack {command}".strip(),
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--stack", default=DEFAULT_STACK, help=f"name of the stack (default: {DEFAULT_STACK})"
    )
    parser.add_argument("--region", help="AWS region of the stack (default: the configured region)")
    return parser


def run_command(run: Callable[[], str], interrupted: str) -> int:
    """Print what `run` returns. Returns 0 on success, 1 with the reason on stderr, or 130 after Ctrl-C, where
    `interrupted` says what to do next."""
    try:
        print(run())
    except (CommandError, DatabaseUnavailable, ClientError, BotoCoreError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"stopped: {interrupted}", file=sys.stderr)
        return INTERRUPTED
    return 0


def command_line(command: str, stack_name: str) -> str:
    """How an operator runs `command` for this stack."""
    chosen = "" if stack_name == DEFAULT_STACK else f" --stack {stack_name}"
    return f"imagetasks stack {command}{chosen}"


class Stack:
    """One deployed stack. Errors of boto3 are not caught here."""

    def __init__(self, name: str, region: str | None) -> None:
        self.name = name
        self._session = boto3.session.Session(region_name=region)
        [found] = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        self.status = str(found["StackStatus"])
        outputs, parameters = found.get("Outputs", []), found.get("Parameters", [])
        self._outputs = {each["OutputKey"]: each["OutputValue"] for each in outputs}
        self._parameters = {each["ParameterKey"]: each["ParameterValue"] for each in parameters}

    def client(self, service: str) -> Any:
        """A boto3 client in the stack's region."""
        make: Any = self._session.client
        return make(service)

    def output(self, name: str) -> str:
        """The value of an output. Raises CommandError if the stack does not have it."""
        if name not in self._outputs:
            raise CommandError(f"the stack has no output {name}: deploy the current template first")
        return str(self._outputs[name])

    def parameter(self, name: str) -> str:
        """The value of a parameter. Raises CommandError if the stack does not have it."""
        if name not in self._parameters:
            raise CommandError(
                f"the stack has no parameter {name}: deploy the current template first"
            )
        return str(self._parameters[name])

    @cached_property
    def resources(self) -> Mapping[str, Values]:
        """CloudFormation's summary of each resource, by its logical id."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        found = pages.paginate(StackName=self.name)
        return {
            each["LogicalResourceId"]: each for p in found for each in p["StackResourceSummaries"]
        }

    def resource(self, name: str) -> str:
        """The physical id of a resource. Raises CommandError if the stack does not have it, or has not
        created it: then CloudFormation names no id."""
        physical_id = self.resources.get(name, {}).get("PhysicalResourceId")
        if not physical_id:
            raise CommandError(
                f"the stack has no resource {name}: deploy the current template first"
            )
        return str(physical_id)

    def api_url(self) -> str:
        """The base URL of the API itself, without a custom domain or proxy in front of it.

        An emulated cloud serves all APIs at one endpoint, so there the URL contains the API's id.
        """
        emulated = os.environ.get("AWS_ENDPOINT_URL", "").rstrip("/")
        if emulated:
            return f"{emulated}/_aws/execute-api/{self.resource('HttpApi')}/$default"
        return self.output("ApiUrl")

    def table(self) -> Table:
        """The table of the tasks, as the functions use it."""
        return Table(self.client("dynamodb"), self.output("TasksTableName"))

    def secret(self, output: str) -> Values:
        """The JSON object in the secret whose ARN is the given output. Raises SecretDamaged."""
        return self._secret_version(output)[0]

    def change_secret(self, output: str, change: Callable[[Values], Values]) -> Values:
        """Store what `change` makes of the secret; running functions read it within 30 s. Raises CommandError
        if anybody else has changed the secret meanwhile, whose change is kept."""
        before, version = self._secret_version(output)
        after = change(before)
        client, arn = self.client("secretsmanager"), self.output(output)
        # PutSecretValue overwrites whatever is there. Moving the label AWSCURRENT is conditional: AWS
        # refuses it unless the version that we read still has the label.
        stored = client.put_secret_value(
            SecretId=arn, SecretString=json.dumps(after), VersionStages=[NEXT_VERSION]
        )["VersionId"]
        try:
            client.update_secret_version_stage(
                SecretId=arn,
                VersionStage=CURRENT,
                RemoveFromVersionId=version,
                MoveToVersionId=stored,
            )
        except client.exceptions.InvalidParameterException:
            # Our own repetition of a request whose response was lost is refused, too.
            if self._secret_version(output)[1] != stored:
                message = "somebody else has changed the secret meanwhile: run the command again"
                raise CommandError(message) from None
        return after

    def _secret_version(self, output: str) -> tuple[Values, str]:
        """The current values and the id of their version. Raises SecretDamaged."""
        client = self.client("secretsmanager")
        value = client.get_secret_value(SecretId=self.output(output), VersionStage=CURRENT)
        try:
            return dict(json.loads(value["SecretString"])), str(value["VersionId"])
        except (ValueError, TypeError, KeyError, RecursionError):
            message = f"the secret of {output} is no JSON object: restore its version AWSPREVIOUS"
            raise SecretDamaged(message) from None
