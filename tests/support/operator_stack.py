"""A stack in CloudFormation for the operator's commands: its outputs name the emulated AWS of a test."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

import pytest

from cli import orders, reconcile
from tests.support.emulated_aws import Cloud

NAME = "imagetasks-test"
INTERRUPT = "\x03"  # typed: Ctrl-C
COMMANDS = {"orders": orders.main, "reconcile": reconcile.main}


def create_stack(cloud: Cloud, **parameters: str) -> None:
    """Create the stack, without resources of its own, with these parameters."""
    given = {"OrdersPaused": "false", "StackDailyCredits": "0", "OwnerDailyCredits": "0"}
    given |= {"PoyoBaseUrl": "http://127.0.0.1:9", "Models": "gpt-image-*"} | parameters
    template = {
        "Parameters": {name: {"Type": "String", "Default": value} for name, value in given.items()},
        "Resources": {"Unused": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {
            "TasksTableName": {"Value": cloud.table_name},
            "ApiSecretArn": {"Value": cloud.api_secret},
        },
    }
    cloud.client("cloudformation").create_stack(StackName=NAME, TemplateBody=json.dumps(template))


@dataclass
class _Terminal:
    """What the operator types."""

    typed: str

    def readline(self) -> str:
        if self.typed == INTERRUPT:
            raise KeyboardInterrupt
        return self.typed


@dataclass
class Command:
    """Runs a command line in this process; returns its status, stdout and stderr."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, line: str, *further: str, typed: str = "") -> tuple[int, str, str]:
        name, *arguments = [*line.split(), *further]
        self.monkeypatch.setattr(sys, "argv", [name, "--stack", NAME, *arguments])
        self.monkeypatch.setattr(sys, "stdin", _Terminal(typed))
        self.capsys.readouterr()
        status = COMMANDS[name]()
        output = self.capsys.readouterr()
        return status, output.out, output.err
