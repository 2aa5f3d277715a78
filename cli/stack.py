"""A deployed stack as its operator reaches it: outputs, secrets, table and queues."""

from __future__ import annotations

import argparse
import json
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
        self._session = boto3.session.Session(region_name=region)
        found = self.client("cloudformation").describe_stacks(StackName=name)
        outputs = found["Stacks"][0].get("Outputs", [])
        self._outputs = {each["OutputKey"]: each["OutputValue"] for each in outputs}

    def client(self, service: str) -> Any:
        """A boto3 client in the stack's region."""
        make: Any = self._session.client
        return make(service)

    def output(self, name: str) -> str:
        """An output of the stack. Raises Wrong when it has none of that name."""
        if name not in self._outputs:
            raise Wrong(f"the stack has no output {name}: deploy the current template first")
        return str(self._outputs[name])

    def secret(self, output: str) -> Values:
        """The values of the secret that the output names."""
        client = self.client("secretsmanager")
        text = client.get_secret_value(SecretId=self.output(output))["SecretString"]
        return dict(json.loads(text))

    def put_secret(self, output: str, values: Values) -> None:
        """Put a new version; running functions notice it within five minutes."""
        client = self.client("secretsmanager")
        client.put_secret_value(SecretId=self.output(output), SecretString=json.dumps(values))
