"""`cli.keys` and `cli.redrive` against a small stack of their own in the emulated cloud."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from imagetasks.aws.secrets import ApiKeys, CachedSecret
from imagetasks.tasks.failure_reasons import RECOVERABLE
from local.system import System
from tests.support.operator_stack import INTERRUPT, Command
from tests.support.template import table_arguments

NAME = "commands"
POYO_KEY = "sk-canary-0123456789"
SECRETS = {
    "ApiSecretArn": {"poyo_api_key": "", "server_keys": {}, "unused": "x"},
    "CallbackSecretArn": {"current": "k1", "k1": "first"},
    "TokenSecretArn": {"current": "k1", "k1": "first"},
}
TEMPLATE = {
    "Resources": {
        "ApiSecret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {
                "SecretString": '{"poyo_api_key": "", "server_keys": {}, "unused": "x"}'
            },
        },
        "CallbackSecret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"SecretString": "{}"},
        },
        "TokenSecret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"SecretString": "{}"},
        },
        "TaskQueue": {"Type": "AWS::SQS::Queue"},
        "TaskDeadLetterQueue": {"Type": "AWS::SQS::Queue"},
        "NotificationQueue": {"Type": "AWS::SQS::Queue"},
        "NotificationDeadLetterQueue": {"Type": "AWS::SQS::Queue"},
        "TasksTable": {"Type": "AWS::DynamoDB::Table", "Properties": table_arguments()},
    },
    "Outputs": {
        "ApiSecretArn": {"Value": {"Ref": "ApiSecret"}},
        "CallbackSecretArn": {"Value": {"Ref": "CallbackSecret"}},
        "TokenSecretArn": {"Value": {"Ref": "TokenSecret"}},
        "TaskQueueUrl": {"Value": {"Ref": "TaskQueue"}},
        "TaskDeadLetterQueueUrl": {"Value": {"Ref": "TaskDeadLetterQueue"}},
        "NotificationQueueUrl": {"Value": {"Ref": "NotificationQueue"}},
        "NotificationDeadLetterQueueUrl": {"Value": {"Ref": "NotificationDeadLetterQueue"}},
        "TasksTableName": {"Value": {"Ref": "TasksTable"}},
    },
}


class Deployed:
    """The deployed stack, with accessors for its secrets and queues."""

    def __init__(self, system: System) -> None:
        self.client = system.client
        described = self.client("cloudformation").describe_stacks(StackName=NAME)
        self.outputs = {
            each["OutputKey"]: each["OutputValue"] for each in described["Stacks"][0]["Outputs"]
        }

    def secret(self, output: str) -> dict[str, Any]:
        found = self.client("secretsmanager").get_secret_value(SecretId=self.outputs[output])
        values: dict[str, Any] = json.loads(found["SecretString"])
        return values

    def keys(self) -> ApiKeys:
        """The keys as a newly started function reads them."""
        secret = CachedSecret(self.client("secretsmanager"), self.outputs["ApiSecretArn"])
        return ApiKeys(secret)

    def messages(self, output: str) -> list[dict[str, Any]]:
        response = self.client("sqs").receive_message(
            QueueUrl=self.outputs[output], MaxNumberOfMessages=10
        )
        return [json.loads(each["Body"]) for each in response.get("Messages", [])]


@pytest.fixture
def deployed(stack: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    for name, value in stack.cloud.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    formation = stack.client("cloudformation")
    formation.create_stack(StackName=NAME, TemplateBody=json.dumps(TEMPLATE))
    formation.get_waiter("stack_create_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1})
    deployed = Deployed(stack)
    for output, values in SECRETS.items():
        stack.client("secretsmanager").put_secret_value(
            SecretId=deployed.outputs[output], SecretString=json.dumps(values)
        )
    yield deployed
    formation.delete_stack(StackName=NAME)
    formation.get_waiter("stack_delete_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1})


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys, NAME)


def test_poyo_key_is_stored_without_quotes_and_never_printed(
    deployed: Deployed, command: Command
) -> None:
    status, out, err = command("keys poyo", typed=f' "{POYO_KEY}"\n')

    assert status == 0
    assert deployed.secret("ApiSecretArn")["poyo_api_key"] == POYO_KEY
    assert POYO_KEY not in out + err


def test_interrupted_command_stores_nothing_and_says_how_to_go_on(
    deployed: Deployed, command: Command
) -> None:
    before = deployed.secret("ApiSecretArn")

    status, _, err = command("keys poyo", typed=INTERRUPT)

    assert status == 130
    assert err == "stopped: `list` says what is stored\n"
    assert deployed.secret("ApiSecretArn") == before


def test_damaged_secret_is_named(deployed: Deployed, command: Command, stack: System) -> None:
    stack.client("secretsmanager").put_secret_value(
        SecretId=deployed.outputs["ApiSecretArn"], SecretString="{"
    )

    status, _, err = command("keys server list")

    assert status == 1
    assert (
        err
        == "failed: the secret of ApiSecretArn is no JSON object: restore its version AWSPREVIOUS\n"
    )


@pytest.mark.parametrize("typed", ["", "\n", "two words of it\n", "kurz\n", "sk-öööööööö\n"])
def test_invalid_poyo_key_is_rejected_and_nothing_is_stored(
    deployed: Deployed, command: Command, typed: str
) -> None:
    status, _, err = command("keys poyo", typed=typed)

    assert status == 1
    assert "does not look like a PoYo key" in err
    assert deployed.secret("ApiSecretArn")["poyo_api_key"] == ""


def test_server_key_is_printed_once_and_stored_as_a_hash(
    deployed: Deployed, command: Command
) -> None:
    status, out, _ = command("keys server add website")

    key = out.splitlines()[0]
    stored = deployed.secret("ApiSecretArn")["server_keys"]
    assert status == 0
    assert len(key) > 40
    assert stored == {"website": hashlib.sha256(key.encode()).hexdigest()}


def test_existing_name_is_not_overwritten(deployed: Deployed, command: Command) -> None:
    command("keys server add website")
    before = deployed.secret("ApiSecretArn")

    status, _, err = command("keys server add website")

    assert status == 1
    assert "website already exists" in err
    assert deployed.secret("ApiSecretArn") == before


def test_removed_key_is_gone_and_other_keys_remain(deployed: Deployed, command: Command) -> None:
    command("keys server add one")
    command("keys server add two")

    command("keys server remove one")

    assert command("keys server list")[1] == "two\n"
    assert command("keys server remove one")[0] == 1


@pytest.mark.parametrize("name", ["Website", "web/site", "web_site", "wébsite", "x" * 41, "a\tb"])
def test_name_with_other_characters_or_over_forty_is_rejected(
    deployed: Deployed, command: Command, name: str
) -> None:
    before = deployed.secret("ApiSecretArn")

    status, _, err = command("keys server add", name)

    assert status == 1
    assert "1 to 40 characters, each of them a-z, 0-9 or -" in err
    assert deployed.secret("ApiSecretArn") == before


def test_name_of_forty_characters_is_accepted(deployed: Deployed, command: Command) -> None:
    assert command("keys server add", "a-9" + "z" * 37)[0] == 0


def test_rotated_server_key_works_beside_the_old_one_until_it_is_retired(
    deployed: Deployed, command: Command
) -> None:
    first = command("keys server add website")[1].splitlines()[0]
    second = command("keys server rotate website")[1].splitlines()[0]
    assert second != first
    assert (
        deployed.keys().owner_for_key(first) == deployed.keys().owner_for_key(second) == "website"
    )
    assert command("keys server list")[1] == "website (two keys)\n"

    status, _, _ = command("keys server retire website")

    assert status == 0
    assert deployed.keys().owner_for_key(first) is None
    assert deployed.keys().owner_for_key(second) == "website"
    assert command("keys server list")[1] == "website\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("server rotate two", "retire the older one first"),
        ("server retire one", "has only one key"),
        ("server rotate nobody", "no key named nobody, only: one, two"),
        ("server retire nobody", "no key named nobody, only: one, two"),
        ("webhook add nobody", "no key named nobody, only: one, two"),
        ("webhook add one", "signed already"),
        ("webhook remove two", "not signed, only those to: one"),
    ],
)
def test_impossible_key_change_is_rejected_with_the_reason_and_nothing_changes(
    deployed: Deployed, command: Command, line: str, reason: str
) -> None:
    for before in ("server add one", "server add two", "server rotate two", "webhook add one"):
        assert command(f"keys {before}")[0] == 0
    stored = deployed.secret("ApiSecretArn")

    status, out, err = command(f"keys {line}")

    assert (status, out) == (1, "")
    assert reason in err
    assert deployed.secret("ApiSecretArn") == stored


def test_notification_signing_key_is_printed_once_and_serves_all_users_of_a_caller(
    deployed: Deployed, command: Command
) -> None:
    command("keys server add website")

    status, out, _ = command("keys webhook add website")

    key = out.splitlines()[0]
    assert status == 0
    assert len(key) > 40
    assert deployed.keys().notification_signing_key("website/ann") == key
    assert deployed.keys().notification_signing_key("another") == ""
    assert command("keys webhook list")[1] == "website\n"


def test_notifications_are_no_longer_signed_after_the_key_is_removed(
    deployed: Deployed, command: Command
) -> None:
    command("keys server add website")
    before = deployed.secret("ApiSecretArn")
    command("keys webhook add website")

    status, _, _ = command("keys webhook remove website")

    assert status == 0
    assert deployed.secret("ApiSecretArn") == before | {"notification_signing_keys": {}}
    assert command("keys webhook list")[1] == "no notifications are signed\n"


SIGNING = {"callback": "CallbackSecretArn", "token": "TokenSecretArn"}


@pytest.mark.parametrize(("kind", "output"), SIGNING.items())
def test_signing_key_rotates_with_an_overlap_of_both_keys(
    deployed: Deployed, command: Command, kind: str, output: str
) -> None:
    first = command(f"keys {kind} add")[1]
    assert first.startswith("k2 ")
    assert first.endswith(f"imagetasks stack keys --stack {NAME} {kind} use k2\n")
    added = deployed.secret(output)
    assert (added["current"], added["k1"]) == ("k1", "first")
    assert len(added["k2"]) >= 40

    command(f"keys {kind} use k2")
    assert command(f"keys {kind} list")[1] == "k1\nk2 (in use)\n"

    command(f"keys {kind} remove k1")
    assert deployed.secret(output) == {"current": "k2", "k2": added["k2"]}
    others = {each: deployed.secret(each) for each in SECRETS if each != output}
    assert others == {each: SECRETS[each] for each in others}


@pytest.mark.parametrize(("kind", "output"), SIGNING.items())
@pytest.mark.parametrize("line", ["use k9", "use current", "remove k9", "remove k1"])
def test_signing_key_in_use_is_not_removed_and_unknown_key_is_not_used(
    deployed: Deployed, command: Command, kind: str, output: str, line: str
) -> None:
    before = deployed.secret(output)

    status, _, err = command(f"keys {kind} {line}")

    assert status == 1
    assert err.startswith("failed: ")
    assert deployed.secret(output) == before


def test_unknown_stack_is_named_in_the_error(deployed: Deployed, command: Command) -> None:
    status, _, err = command("keys --stack another server list")

    assert status == 1
    assert "another" in err


@pytest.mark.parametrize("kind", ["Task", "Notification"])
def test_redrive_moves_every_dead_letter_back_to_its_queue(
    deployed: Deployed, command: Command, kind: str
) -> None:
    url = deployed.outputs[f"{kind}DeadLetterQueueUrl"]
    for n in range(25):
        deployed.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"n": n}))

    status, out, _ = command("redrive dead-letters")

    found = [each["n"] for _ in range(5) for each in deployed.messages(f"{kind}QueueUrl")]
    assert (status, out) == (0, "25 dead letters are back in their queues\n")
    assert sorted(found) == list(range(25))
    assert deployed.messages(f"{kind}DeadLetterQueueUrl") == []


def test_redrive_failed_sends_messages_only_for_recoverable_failures_with_a_poyo_id(
    deployed: Deployed, command: Command
) -> None:
    recoverable = [
        ("late", "failed", "timed_out", "P1"),
        ("lost", "failed", "result_expired", "P2"),
        ("broken", "failed", "bad_result", "P5"),
        ("doubtful", "failed", "unconfirmed", "P6"),
        ("moderated", "failed", "moderated", "P7"),
        ("trouble", "failed", "upstream", "P8"),
    ]
    tasks = [
        *recoverable,
        ("never", "failed", "unconfirmed", None),
        ("refused", "failed", "rejected", None),
        ("done", "finished", None, "P3"),
        ("open", "running", None, "P4"),
    ]
    for task_id, state, reason, poyo_id in tasks:
        values = {"task_id": task_id, "state": state, "reason": reason, "poyo_id": poyo_id}
        item = {name: {"S": value} for name, value in values.items() if value}
        deployed.client("dynamodb").put_item(
            TableName=deployed.outputs["TasksTableName"],
            Item=item | {"pk": {"S": f"task#{task_id}"}},
        )

    status, out, _ = command("redrive failed")

    found = deployed.messages("TaskQueueUrl") + deployed.messages("TaskQueueUrl")
    assert (status, out) == (0, "task messages sent: 6\n")
    assert {each["task_id"] for each in found} == {task_id for task_id, *_ in recoverable}
    assert {reason for _, _, reason, _ in recoverable} == set(RECOVERABLE)
