"""A deployed stack as its operator reaches it: outputs, parameters, resources, secrets and queues."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import boto3

Values = dict[str, Any]


class Wrong(Exception):
    """The command cannot be carried out: the message says why and what to do."""


def asking(command: str, description: str | None) -> argparse.ArgumentParser:
    """A parser that asks which stack is meant, as every command here does."""
    parser = argparse.ArgumentParser(
        prog=f"python -m cli.{command}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack", default="imagetasks", help="name of the stack (imagetasks)")
    parser.add_argument("--region", help="region of the stack, if not the configured one")
    return parser


class Stack:
    """One deployed stack. AWS's own errors are left to raise."""

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
        """An output of the stack. Raises Wrong when it has none of that name."""
        if name not in self._outputs:
            raise Wrong(f"the stack has no output {name}: deploy the current template first")
        return str(self._outputs[name])

    def parameter(self, name: str) -> str:
        """What the stack was deployed with. Raises Wrong when it has no such parameter."""
        if name not in self._parameters:
            raise Wrong(f"the stack has no parameter {name}: deploy the current template first")
        return str(self._parameters[name])

    @cached_property
    def resources(self) -> Mapping[str, Values]:
        """CloudFormation's summary of each resource, by its name in the template."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        found = pages.paginate(StackName=self.name)
        return {
            each["LogicalResourceId"]: each for p in found for each in p["StackResourceSummaries"]
        }

    def resource(self, name: str) -> str:
        """The physical name of a resource. Raises Wrong when the stack has none of that name."""
        if name not in self.resources:
            raise Wrong(f"the stack has no {name}: deploy the current template first")
        return str(self.resources[name]["PhysicalResourceId"])

    def api_url(self) -> str:
        """Where the API answers without anything of yours in front; an emulated cloud has one address
        for all APIs."""
        emulated = os.environ.get("AWS_ENDPOINT_URL", "").rstrip("/")
        if emulated:
            return f"{emulated}/_aws/execute-api/{self.resource('HttpApi')}/$default"
        return self.output("ApiUrl")

    def secret(self, output: str) -> Values:
        """The values of the secret that the output names."""
        client = self.client("secretsmanager")
        text = client.get_secret_value(SecretId=self.output(output))["SecretString"]
        return dict(json.loads(text))

    def put_secret(self, output: str, values: Values) -> None:
        """Put a new version; running functions notice it within five minutes."""
        client = self.client("secretsmanager")
        client.put_secret_value(SecretId=self.output(output), SecretString=json.dumps(values))
