"""`cli.keys` with two operators at once: neither undoes what the other has changed."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from cli import keys
from cli.stack import CommandError, Stack, Values
from tests.support.emulated_aws import REGION, Cloud
from tests.support.environment import TestEnvironment, new_environment
from tests.support.operator_stack import NAME, Command, create_stack

SECRET = "ApiSecretArn"


@pytest.fixture
def env() -> Iterator[TestEnvironment]:
    with new_environment() as environment:
        create_stack(environment.cloud)
        yield environment


@pytest.fixture
def stack(env: TestEnvironment) -> Stack:
    return Stack(NAME, REGION)


def add(name: str) -> None:
    assert keys.main(["--stack", NAME, "server", "add", name]) == 0


def removed_meanwhile(values: Values) -> Values:
    """A change during which another operator removes the leaked key of `website`."""
    assert keys.main(["--stack", NAME, "server", "remove", "website"]) == 0
    return values | {"poyo_api_key": "sk-of-the-first-operator"}


def test_key_that_another_operator_removed_meanwhile_stays_removed(stack: Stack) -> None:
    add("website")

    with pytest.raises(CommandError, match="somebody else has changed the secret meanwhile"):
        stack.change_secret(SECRET, removed_meanwhile)

    values = stack.secret(SECRET)
    assert "website" not in values["server_keys"]
    assert values["poyo_api_key"] != "sk-of-the-first-operator"
    add("app")
    assert "app" in stack.secret(SECRET)["server_keys"]


def test_key_that_is_removed_while_an_operator_types_poyos_key_stays_removed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Typing(io.StringIO):
        def readline(self, size: int = -1, /) -> str:  # type: ignore[override]  # as StringIO has it
            assert keys.main(["--stack", NAME, "server", "remove", "website"]) == 0
            return "sk-new-0123456789\n"

    add("website")
    monkeypatch.setattr(sys, "stdin", Typing())

    assert keys.main(["--stack", NAME, "poyo"]) == 0

    values = stack.secret(SECRET)
    assert "website" not in values["server_keys"]
    assert values["poyo_api_key"] == "sk-new-0123456789"


class _Repeating:
    """A client of Secrets Manager whose response to the move of a label is lost once, so that botocore repeats
    the request."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def update_secret_version_stage(self, **arguments: str) -> Any:
        self._client.update_secret_version_stage(**arguments)
        return self._client.update_secret_version_stage(**arguments)


class _StackThatRepeats(Stack):
    def client(self, service: str) -> Any:
        client = super().client(service)
        return _Repeating(client) if service == "secretsmanager" else client


def test_change_whose_response_was_lost_is_a_success(stack: Stack) -> None:
    repeating = _StackThatRepeats(NAME, REGION)

    repeating.change_secret(SECRET, lambda values: values | {"poyo_api_key": "sk-new-0123456789"})

    assert stack.secret(SECRET)["poyo_api_key"] == "sk-new-0123456789"


def test_value_before_a_change_can_be_restored(stack: Stack, env: TestEnvironment) -> None:
    before = current(env.cloud, "AWSCURRENT")

    add("app")

    assert current(env.cloud, "AWSPREVIOUS") == before
    assert current(env.cloud, "AWSCURRENT") != before


def current(cloud: Cloud, label: str) -> str:
    client = cloud.client("secretsmanager")
    found = client.get_secret_value(SecretId=cloud.api_secret, VersionStage=label)
    return str(found["SecretString"])


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("kind", ["callback", "token"])
def test_next_command_names_the_stack(command: Command, kind: str) -> None:
    status, out, _ = command(f"keys {kind} add")

    assert status == 0
    assert f"imagetasks stack keys --stack {NAME} {kind} use k" in out


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("line", ["server list", "server add app", "webhook add app"])
def test_secret_that_was_edited_by_hand_wrongly_is_named_and_left_alone(
    env: TestEnvironment, command: Command, line: str
) -> None:
    edited = '{"server_keys": null}'
    env.cloud.client("secretsmanager").put_secret_value(
        SecretId=env.cloud.api_secret, SecretString=edited
    )

    status, _, err = command(f"keys {line}")

    assert status == 1
    assert err.startswith("failed: server_keys in the secret is no JSON object: restore")
    assert current(env.cloud, "AWSCURRENT") == edited
