"""The doctor on the deployed stack: all well, then each thing broken and put back; its judgement apart."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from cli import doctor, findings
from cli.findings import Finding
from cli.stack import Stack, Wrong
from imagetasks.poyo.reply import HttpResponse
from local.stack import CALLBACK_KEYS, NAME
from local.system import System
from tests.conftest import free_ports

CANARY = "canary-key-that-nobody-may-see"
HASHED = "0" * 64


class Doctor:
    """`python -m cli.doctor` as it is typed; what it says never holds a key."""

    def __init__(
        self,
        system: System,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.secrets = [CANARY, system.api_key, system.settings.poyo_api_key, CALLBACK_KEYS["k1"]]
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, name: str = NAME) -> tuple[int, str]:
        self._monkeypatch.setattr(sys, "argv", ["doctor", "--stack", name])
        status = doctor.main()
        said = self._capsys.readouterr()
        assert not [secret for secret in self.secrets if secret in said.out + said.err]
        return status, said.out


@pytest.fixture(scope="module")
def well(stack: System) -> System:
    """The stack with what the emulator does not take from the template, without what other tests
    left, and just swept."""
    stack.client("dynamodb").update_continuous_backups(
        TableName=stack.outputs["TasksTableName"],
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )
    for output in doctor.QUEUES:
        stack.client("sqs").purge_queue(QueueUrl=stack.outputs[output])
    swept = stack.client("lambda").invoke(FunctionName=stack.outputs["SweepFunctionName"])
    assert "FunctionError" not in swept
    return stack


@pytest.fixture
def command(
    well: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    for name, value in well.cloud.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return Doctor(well, monkeypatch, capsys)


def troubles(said: str) -> set[tuple[str, str]]:
    """What is not well, each by its label and what it is about."""
    words = [
        line.split()[:2] for line in said.splitlines() if line[:6].strip() in ("WRONG", "warn")
    ]
    return {(label, about) for label, about in words}


def test_a_stack_that_works_is_well_in_every_part(command: Doctor) -> None:
    status, said = command()

    assert (status, troubles(said)) == (0, set()), said
    assert said.endswith("all is well\n")
    parts = {line.split()[1] for line in said.splitlines() if line.startswith("ok ")}
    assert parts == {
        "stack", "functions", "public", "keys", "poyo", "api", "callbacks", "sweep", "queue",
        "alarms", "table", "bucket",
    }  # fmt: skip


def test_a_stack_that_is_not_there_is_said(command: Doctor) -> None:
    status, said = command("another")

    assert status == 1
    assert troubles(said) == {("WRONG", "stack")}
    assert "another does not exist" in said


# Each breaks one thing for as long as the block lasts


@contextmanager
def secret(system: System, output: str, text: str) -> Iterator[None]:
    client, arn = system.client("secretsmanager"), system.outputs[output]
    before = client.get_secret_value(SecretId=arn)["SecretString"]
    client.put_secret_value(SecretId=arn, SecretString=text)
    try:
        yield
    finally:
        client.put_secret_value(SecretId=arn, SecretString=before)


def api_secret(**changed: object) -> Callable[[System], AbstractContextManager[None]]:
    def broken(system: System) -> AbstractContextManager[None]:
        values = {"poyo_api_key": system.settings.poyo_api_key, "server_keys": {"one": HASHED}}
        return secret(system, "ApiSecretArn", json.dumps(values | changed))

    return broken


def callback_secret(text: str) -> Callable[[System], AbstractContextManager[None]]:
    return lambda system: secret(system, "CallbackSecretArn", text)


@contextmanager
def schedule_disabled(system: System) -> Iterator[None]:
    client, name = system.client("scheduler"), "SweepFunctionEveryMinute"
    found = client.get_schedule(Name=name)
    kept = ("ScheduleExpression", "Target", "FlexibleTimeWindow")
    same = {"Name": name, **{each: found[each] for each in kept}}
    client.update_schedule(**same, State="DISABLED")
    try:
        yield
    finally:
        client.update_schedule(**same, State="ENABLED")


def letter(output: str) -> Callable[[System], AbstractContextManager[None]]:
    @contextmanager
    def broken(system: System) -> Iterator[None]:
        sqs, url = system.client("sqs"), system.outputs[output]
        sqs.send_message(QueueUrl=url, MessageBody="{}")
        try:
            yield
        finally:
            sqs.purge_queue(QueueUrl=url)

    return broken


@contextmanager
def queue_unread(system: System) -> Iterator[None]:
    functions = system.client("lambda")
    [mapping] = functions.list_event_source_mappings()["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def alarm(system: System, name: str) -> str:
    resource = system.client("cloudformation").describe_stack_resource(
        StackName=NAME, LogicalResourceId=name
    )
    return str(resource["StackResourceDetail"]["PhysicalResourceId"])


@contextmanager
def alarm_switched_off(system: System) -> Iterator[None]:
    watch, names = system.client("cloudwatch"), [alarm(system, "TasksOverdueAlarm")]
    watch.disable_alarm_actions(AlarmNames=names)
    try:
        yield
    finally:
        watch.enable_alarm_actions(AlarmNames=names)


@contextmanager
def alarm_gone_off(system: System) -> Iterator[None]:
    watch, name = system.client("cloudwatch"), alarm(system, "ResultExpiredAlarm")
    watch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    try:
        yield
    finally:
        watch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test")


@contextmanager
def bucket_open(system: System) -> Iterator[None]:
    s3, name = system.client("s3"), system.outputs["ImagesBucketName"]
    blocks = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    s3.delete_public_access_block(Bucket=name)
    try:
        yield
    finally:
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=blocks)


@contextmanager
def table_not_backed_up(system: System) -> Iterator[None]:
    table, name = system.client("dynamodb"), system.outputs["TasksTableName"]
    for wanted in (False, True):
        table.update_continuous_backups(
            TableName=name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": wanted},
        )
        if not wanted:
            yield


@contextmanager
def callbacks_elsewhere(system: System) -> Iterator[None]:
    """Without its route a callback finds the API, which refuses it, too, in its own words."""
    gateway, api = system.client("apigatewayv2"), system.stack.api_id
    [found] = [r for r in gateway.get_routes(ApiId=api)["Items"] if "/callbacks/" in r["RouteKey"]]
    gateway.delete_route(ApiId=api, RouteId=found["RouteId"])
    try:
        yield
    finally:
        gateway.create_route(ApiId=api, RouteKey=found["RouteKey"], Target=found["Target"])


@contextmanager
def settings_unpublished(system: System) -> Iterator[None]:
    functions, name = system.client("lambda"), system.outputs["WorkerFunctionName"]
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    changed = {"Variables": before | {"DOWNLOAD_HOSTS": "elsewhere.example"}}
    functions.update_function_configuration(FunctionName=name, Environment=changed)
    try:
        yield
    finally:
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": before}
        )


BROKEN: dict[str, tuple[Callable[[System], AbstractContextManager[None]], str, str]] = {
    "no PoYo key": (api_secret(poyo_api_key=""), "keys", "python -m cli.keys poyo"),
    "a wrong PoYo key": (api_secret(poyo_api_key=CANARY), "poyo", "PoYo refuses our key"),
    "no server key": (api_secret(server_keys={}), "keys", "server add NAME"),
    "a key for a hash": (api_secret(server_keys={"one": CANARY}), "keys", "1 of 1 are no SHA-256"),
    "no JSON": (
        lambda system: secret(system, "ApiSecretArn", f'{{"poyo_api_key": "{CANARY}"'),
        "keys",
        "ApiSecretArn is no JSON object",
    ),
    "a spoilt list": (callback_secret(f'["{CANARY}"]'), "keys", "CallbackSecretArn is no JSON"),
    "a key for its name": (
        callback_secret(json.dumps({**CALLBACK_KEYS, "current": CANARY})),
        "keys",
        "names none of the callback keys",
    ),
    "no callback key": (callback_secret('{"current": "k1"}'), "keys", "names none"),
    "schedule disabled": (schedule_disabled, "sweep", "DISABLED"),
    "a dead letter": (letter("TaskDeadLetterQueueUrl"), "queue", "see DeadLettersAlarm"),
    "a failed sweep": (letter("FailedInvocationQueueUrl"), "queue", "see FailedInvocationsAlarm"),
    "nobody reads the queue": (queue_unread, "queue", "update-event-source-mapping --enabled"),
    "an alarm switched off": (alarm_switched_off, "alarms", "are switched off: TasksOverdueAlarm"),
    "an alarm that went off": (alarm_gone_off, "alarms", "went off: ResultExpiredAlarm"),
    "an open bucket": (bucket_open, "bucket", "could become, public"),
    "no backups": (table_not_backed_up, "table", "point-in-time recovery is off"),
    "callbacks elsewhere": (callbacks_elsewhere, "callbacks", "the answer is 404"),
    "settings unpublished": (
        settings_unpublished,
        "functions",
        "`live` of WorkerFunction has another DOWNLOAD_HOSTS",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named_with_what_to_do_and_nothing_else_is(
    stack: System, command: Doctor, name: str
) -> None:
    breaking, about, says = BROKEN[name]

    with breaking(stack):
        status, said = command()

    assert status == 1
    assert troubles(said) == {("WRONG", about)}, said
    assert says in said


def test_all_of_it_was_put_back(command: Doctor) -> None:
    assert command()[0] == 0


@pytest.mark.usefixtures("command")
def test_the_api_is_asked_where_the_gateway_has_put_it(
    stack: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Stack(NAME, None)
    assert known.api_url() == stack.stack.api_url  # the emulator's

    monkeypatch.delenv("AWS_ENDPOINT_URL")

    assert known.api_url() == stack.outputs["ApiUrl"]
    with pytest.raises(Wrong, match="deploy the current template"):
        known.resource("Nothing")
    with pytest.raises(Wrong, match="deploy the current template"):
        known.parameter("Nothing")


@pytest.mark.usefixtures("command")
def test_a_check_that_cannot_be_made_is_said_and_the_others_are_made(stack: System) -> None:
    url = stack.outputs["TaskDeadLetterQueueUrl"]
    known = Stack(NAME, None)
    known._outputs["TaskDeadLetterQueueUrl"] = f"{url}-that-is-gone"

    found = list(doctor.examine(known))

    [trouble] = [each for each in found if each.todo]
    assert trouble.about == "queue"
    assert trouble.says.startswith("not known: GetQueueAttributes answers ")
    assert {each.about for each in found} >= {"alarms", "table", "bucket"}


# What it makes of answers


def told(body: object, status: int = 200) -> HttpResponse:
    return HttpResponse(status, json.dumps(body).encode())


def credit(amount: object) -> HttpResponse:
    return told({"code": 200, "data": {"credits_amount": amount}})


@pytest.mark.parametrize(
    ("reply", "label", "says"),
    [
        (credit(200), "ok", "200 credits are left"),
        (credit("9998.0"), "ok", "9998 credits are left"),
        (credit(199.9), "warn", "top up"),
        (credit(0), "WRONG", "top up"),
        (told({"code": 401, "message": CANARY}, 401), "WRONG", "refuses our key"),
        (told({"code": 401, "message": CANARY}), "WRONG", "refuses our key"),
        (told({"message": CANARY}, 503), "WRONG", "PoYo answers 503"),
        (HttpResponse(200, b"<html>"), "WRONG", "tells no balance"),
        ("ConnectTimeout", "WRONG", "no answer: ConnectTimeout"),
    ],
)
def test_the_balance_is_judged(reply: HttpResponse | str, label: str, says: str) -> None:
    said = str(findings.balance(reply))

    assert said.startswith(f"{label} ")
    assert says in said
    assert CANARY not in said


PROBLEM = {"code": "not_found", "status": 404}


@pytest.mark.parametrize(
    ("reply", "well", "says"),
    [
        (told(PROBLEM, 404), True, "refuses a forged one"),
        (told({"message": "Not Found"}, 404), False, "the answer is 404"),
        (told({"code": "no_such_route"}, 404), False, "firewall"),
        (told({"message": "Forbidden"}, 403), False, "the answer is 403"),
        (told({"ok": True}), False, "the answer is 200"),
        (told(PROBLEM), False, "the answer is 200"),
        (told({"code": "unavailable"}, 503), False, "callback_not_enqueued"),
        (told({"code": "internal"}, 500), False, "callback_not_enqueued"),
        (HttpResponse(302, b""), False, "the answer is 302"),
        (HttpResponse(404, b"[" * 100_000), False, "the answer is 404"),
        ("SSLError", False, "no answer, SSLError"),
    ],
)
def test_only_our_own_refusal_shows_that_callbacks_get_in(
    reply: HttpResponse | str, well: bool, says: str
) -> None:
    finding = findings.callback(reply)

    assert (not finding.todo) is well
    assert says in str(finding)


@pytest.mark.parametrize("name", ["ApiUrl", "PublicUrl"])
@pytest.mark.parametrize(
    ("reply", "well"),
    [
        (told({"status": "ok"}), True),
        (told({"status": "ok"}, 404), False),
        (told({"status": "maintenance"}), False),
        (told("ok"), False),
        (HttpResponse(200, b"<html>welcome"), False),
        ("ConnectionError", False),
    ],
)
def test_only_our_own_health_is_taken_for_ours(
    name: str, reply: HttpResponse | str, well: bool
) -> None:
    finding = findings.health(name, reply)

    assert (not finding.todo) is well
    assert name in finding.says


def test_nobody_listening_is_an_answer_too() -> None:
    [port] = free_ports(1)

    assert doctor.asked("GET", f"http://127.0.0.1:{port}/health") == "ConnectionError"


@pytest.mark.parametrize(
    ("status", "resource", "well"),
    [
        ("CREATE_COMPLETE", "CREATE_COMPLETE", True),
        ("UPDATE_COMPLETE", "CREATE_COMPLETE", True),
        ("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", False),
        ("UPDATE_ROLLBACK_COMPLETE", "UPDATE_COMPLETE", False),
        ("ROLLBACK_COMPLETE", "DELETE_COMPLETE", False),
        ("UPDATE_COMPLETE", "UPDATE_FAILED", False),
    ],
)
def test_a_deployment_that_was_taken_back_is_not_complete(
    status: str, resource: str, well: bool
) -> None:
    finding = findings.standing("imagetasks", status, {"HttpApi": resource})

    assert (not finding.todo) is well


@pytest.mark.parametrize(
    ("parameter", "used", "well"),
    [
        ("", "", True),
        ("https://img.example.com", "https://img.example.com", True),
        ("https://img.example.com", "https://old.example.com", False),
        ("https://img.example.com", "", False),
        ("", "https://old.example.com", False),
    ],
)
def test_callbacks_are_ordered_to_the_address_that_was_deployed(
    parameter: str, used: str, well: bool
) -> None:
    assert (not findings.public(parameter, used).todo) is well


def an_alarm(**changed: object) -> dict[str, Any]:
    usual = {"AlarmName": "physical", "ActionsEnabled": True, "AlarmActions": ["topic"]}
    return usual | {"StateValue": "OK"} | changed


@pytest.mark.parametrize(
    ("found", "topic", "wrong"),
    [
        ([an_alarm()], "topic", []),
        ([an_alarm(StateValue="INSUFFICIENT_DATA")], "topic", []),
        ([an_alarm(AlarmActions=[])], "", []),
        ([an_alarm(AlarmActions=[])], "topic", ["tell nobody"]),
        ([an_alarm(AlarmName="somebody else's", StateValue="ALARM")], "", ["are gone"]),
        ([], "", ["are gone"]),
        (
            [an_alarm(ActionsEnabled=False, StateValue="ALARM")],
            "",
            ["are switched off", "went off"],
        ),
    ],
)
def test_an_alarm_is_there_heard_and_quiet(
    found: list[dict[str, Any]], topic: str, wrong: list[str]
) -> None:
    said = list(findings.alarms({"physical": "TasksOverdueAlarm"}, found, topic))

    assert [each.says.partition(":")[0] for each in said if each.todo] == wrong
    assert all("TasksOverdueAlarm" in each.says for each in said if each.todo)


@pytest.mark.parametrize(
    ("subscriptions", "well"),
    [
        ([], False),
        ([{"SubscriptionArn": "PendingConfirmation"}], False),
        ([{"SubscriptionArn": "Deleted"}], False),
        ([{"SubscriptionArn": "arn:aws:sns:eu-west-1:1:topic:2"}], True),
    ],
)
def test_only_who_has_agreed_is_mailed(subscriptions: list[dict[str, Any]], well: bool) -> None:
    assert (not findings.mail(subscriptions).todo) is well


ALL_BLOCKED = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)


@pytest.mark.parametrize(
    ("blocks", "status", "well"),
    [
        (ALL_BLOCKED, {"IsPublic": False}, True),
        (ALL_BLOCKED, {"IsPublic": True}, False),
        (ALL_BLOCKED | {"BlockPublicPolicy": False}, {}, False),
        ({"BlockPublicAcls": True}, {}, False),
        ({}, {}, False),
    ],
)
def test_a_bucket_is_closed_four_times(
    blocks: dict[str, bool], status: dict[str, bool], well: bool
) -> None:
    assert (not findings.closed(blocks, status, "images").todo) is well


@pytest.mark.parametrize("kept", [HASHED, [HASHED], [HASHED, HASHED]])
def test_a_caller_may_have_two_keys(kept: object) -> None:
    found = findings.api_keys({"poyo_api_key": "sk-12345", "server_keys": {"website": kept}})

    assert [each.todo for each in found] == ["", ""]


@pytest.mark.parametrize("kept", ["", None, [], 7, HASHED.upper() + "G", [HASHED, "it_key"], {}])
def test_what_is_no_hash_opens_nothing_and_is_said(kept: object) -> None:
    found = findings.api_keys({"poyo_api_key": "sk-12345", "server_keys": {"website": kept}})

    assert [bool(each.todo) for each in found] == [False, True]


@pytest.mark.parametrize("key", ["", "short", "two words of it", None, "sk-öööööööö"])
def test_what_is_no_key_is_said(key: object) -> None:
    first, _ = findings.api_keys({"poyo_api_key": key, "server_keys": {"website": HASHED}})

    assert first == Finding("keys", "there is no PoYo key", "python -m cli.keys poyo")
