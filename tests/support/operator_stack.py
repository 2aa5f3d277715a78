"""A stack in CloudFormation for the operator's commands: its outputs name the emulated AWS of a test."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass

import pytest

from cli import keys, orders, reconcile, redrive
from tests.support.emulated_aws import Cloud

NAME = "imagetasks-test"
INTERRUPT = "\x03"  # typed: Ctrl-C
COMMANDS = {
    "keys": keys.main,
    "orders": orders.main,
    "reconcile": reconcile.main,
    "redrive": redrive.main,
}


def create_stack(cloud: Cloud, **parameters: str) -> None:
    """Create the stack, without resources of its own, with these parameters."""
    given = {"OrdersPaused": "false", "StackDailyCredits": "0", "OwnerDailyCredits": "0"}
    given |= {"Playground": "false"}
    given |= {"PoyoBaseUrl": "http://127.0.0.1:9", "Models": "gpt-image-*"} | parameters
    template = {
        "Parameters": {name: {"Type": "String", "Default": value} for name, value in given.items()},
        "Resources": {"Unused": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {
            "TasksTableName": {"Value": cloud.table_name},
            "TaskQueueUrl": {"Value": cloud.queue_url},
            "ApiSecretArn": {"Value": cloud.api_secret},
            "CallbackSecretArn": {"Value": cloud.callback_secret},
            "TokenSecretArn": {"Value": cloud.token_secret},
        },
    }
    cloud.client("cloudformation").create_stack(StackName=NAME, TemplateBody=json.dumps(template))


class _Terminal(io.StringIO):
    """What the operator types."""

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]  # as StringIO has it
        if self.getvalue() == INTERRUPT:
            raise KeyboardInterrupt
        return super().readline(size)


@dataclass
class Command:
    """Runs a command line in this process; returns its status, stdout and stderr."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    stack: str = NAME

    def __call__(self, line: str, *further: str, typed: str = "") -> tuple[int, str, str]:
        name, *arguments = [*line.split(), *further]
        self.monkeypatch.setattr(sys, "argv", [name, "--stack", self.stack, *arguments])
        self.monkeypatch.setattr(sys, "stdin", _Terminal(typed))
        self.capsys.readouterr()
        status = COMMANDS[name]()
        output = self.capsys.readouterr()
        return status, output.out, output.err
