"""`cli.doctor` where a deployment or the doctor itself was interrupted."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator

import pytest

from cli import doctor
from cli.alarms import check_alarms
from cli.doctor import check_sweep
from cli.stack import CommandError, Stack
from tests.support.emulated_aws import REGION
from tests.support.environment import TestEnvironment, new_environment
from tests.support.operator_stack import NAME, create_stack

NOT_CREATED = {  # as CloudFormation lists what it never began to create, or failed to create
    "SweepFunctionEveryMinute": {"ResourceType": "AWS::Scheduler::Schedule"},
    "SweepErrorsAlarm": {"ResourceType": "AWS::CloudWatch::Alarm", "PhysicalResourceId": ""},
}


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        create_stack(environment.cloud)
        yield environment


@pytest.mark.usefixtures("env")
@pytest.mark.parametrize("check", [check_sweep, check_alarms])
@pytest.mark.parametrize("resources", [NOT_CREATED, {}], ids=["not created", "none"])
def test_resource_that_was_never_created_is_named(
    check: doctor.Check, resources: dict[str, dict[str, str]]
) -> None:
    stack = Stack(NAME, REGION)
    stack.__dict__["resources"] = resources

    with pytest.raises(CommandError, match=r"has no (resource Sweep\w+|alarm): deploy"):
        list(check(stack))


def test_next_step_about_keys_names_the_stack(
    env: TestEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    env.cloud.client("secretsmanager").put_secret_value(
        SecretId=env.cloud.api_secret, SecretString=json.dumps({"poyo_api_key": ""})
    )

    assert doctor.main(["--stack", NAME]) == 1

    output = capsys.readouterr().out
    assert f"imagetasks stack keys --stack {NAME} poyo\n" in output
    assert f"imagetasks stack keys --stack {NAME} server add NAME\n" in output
    assert "stack keys poyo" not in output


class _InterruptedOutput(io.StringIO):
    """A terminal at which the operator presses Ctrl-C as soon as it shows anything."""

    def write(self, text: str, /) -> int:
        raise KeyboardInterrupt


@pytest.mark.usefixtures("env")
def test_interrupted_doctor_says_so_and_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", _InterruptedOutput())
        status = doctor.main(["--stack", NAME])

    assert status == 130
    assert capsys.readouterr().err == "stopped: run the same command again, it changes nothing\n"
