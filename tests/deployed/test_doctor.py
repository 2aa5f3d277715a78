"""`cli.doctor` on the deployed stack: healthy, then with one thing broken at a time; and its findings as pure functions."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from typing import Any

import pytest

from cli import account_limits, alarms, doctor, findings, http_request, queues
from cli.findings import Finding
from cli.stack import CommandError, Stack
from imagetasks.aws.budget_repository import BudgetRepository
from imagetasks.aws.table import Table
from imagetasks.poyo.transport import HttpResponse
from imagetasks.tasks.budgets import STACK, Budget
from local.ports import free_ports
from local.stack import CALLBACK_KEYS, NAME
from local.system import System
from tests.support.template import template

CANARY = "canary-key-that-must-not-be-printed"
HASHED = "0" * 64


class Doctor:
    """Runs `imagetasks stack doctor` in this process and asserts that no key is printed."""

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
        output = self._capsys.readouterr()
        assert not [secret for secret in self.secrets if secret in output.out + output.err]
        return status, output.out


@pytest.fixture(scope="module")
def healthy_stack(stack: System) -> Iterator[System]:
    """The stack with backups and the removal of ended tokens on (the emulator ignores these parts of the
    template), with empty dead-letter queues whatever other tests did, with a limit of credits and with a
    sweep that has just completed."""
    stack.client("dynamodb").update_time_to_live(
        TableName=stack.outputs["TasksTableName"],
        TimeToLiveSpecification={"AttributeName": "removed_at", "Enabled": True},
    )
    stack.client("dynamodb").update_continuous_backups(
        TableName=stack.outputs["TasksTableName"],
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )
    for output in queues.ALARM_BY_DEAD_LETTER_QUEUE:
        stack.client("sqs").purge_queue(QueueUrl=stack.outputs[output])
    sweep = stack.client("lambda").invoke(FunctionName=stack.outputs["SweepFunctionName"])
    assert "FunctionError" not in sweep
    budgets = BudgetRepository(table_of(stack))
    budgets.put(Budget(scope=STACK, max_credits=Decimal(10**9)))
    yield stack
    budgets.remove(STACK)


def table_of(system: System) -> Table:
    return Table(system.client("dynamodb"), system.outputs["TasksTableName"])


@pytest.fixture
def command(
    healthy_stack: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    for name, value in healthy_stack.cloud.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return Doctor(healthy_stack, monkeypatch, capsys)


def problems(output: str) -> set[tuple[str, str]]:
    """The label and the check of each line that is not ok."""
    words = [
        line.split()[:2] for line in output.splitlines() if line[:6].strip() in ("FAIL", "warn")
    ]
    return {(label, check) for label, check in words}


def test_every_check_passes_on_a_healthy_stack(command: Doctor) -> None:
    status, output = command()

    assert (status, problems(output)) == (0, set()), output
    assert output.endswith("all checks passed\n")
    parts = {line.split()[1] for line in output.splitlines() if line.startswith("ok ")}
    assert parts == {
        "stack", "functions", "public", "keys", "poyo", "api", "callbacks", "secrets", "sweep", "queue",
        "alarms", "table", "bucket", "page", "account", "orders", "money", "catalog",
    }  # fmt: skip


def test_unknown_stack_is_reported(command: Doctor) -> None:
    status, output = command("another")

    assert status == 1
    assert problems(output) == {("FAIL", "stack")}
    assert "another does not exist" in output


# Context managers, each of which breaks one thing and restores it on exit


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


def token_secret(text: str) -> Callable[[System], AbstractContextManager[None]]:
    return lambda system: secret(system, "TokenSecretArn", text)


@contextmanager
def schedule_disabled(system: System) -> Iterator[None]:
    client, name = system.client("scheduler"), physical_id(system, "SweepFunctionEveryMinute")
    found = client.get_schedule(Name=name)
    unchanged = ("ScheduleExpression", "Target", "FlexibleTimeWindow")
    same = {"Name": name, **{each: found[each] for each in unchanged}}
    client.update_schedule(**same, State="DISABLED")
    try:
        yield
    finally:
        client.update_schedule(**same, State="ENABLED")


def dead_letter(output: str) -> Callable[[System], AbstractContextManager[None]]:
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
def queue_not_read(system: System) -> Iterator[None]:
    functions = system.client("lambda")
    worker = system.outputs["WorkerFunctionName"]
    [mapping] = [
        each
        for each in functions.list_event_source_mappings()["EventSourceMappings"]
        if worker in each["FunctionArn"]
    ]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def physical_id(system: System, name: str) -> str:
    resource = system.client("cloudformation").describe_stack_resource(
        StackName=NAME, LogicalResourceId=name
    )
    return str(resource["StackResourceDetail"]["PhysicalResourceId"])


@contextmanager
def alarm_disabled(system: System) -> Iterator[None]:
    watch, names = system.client("cloudwatch"), [physical_id(system, "TasksOverdueAlarm")]
    watch.disable_alarm_actions(AlarmNames=names)
    try:
        yield
    finally:
        watch.enable_alarm_actions(AlarmNames=names)


@contextmanager
def alarm_active(system: System) -> Iterator[None]:
    watch, name = system.client("cloudwatch"), physical_id(system, "ResultExpiredAlarm")
    watch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    try:
        yield
    finally:
        watch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test")


@contextmanager
def bucket_not_blocked(system: System) -> Iterator[None]:
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
def callback_route_missing(system: System) -> Iterator[None]:
    """Without its route a callback reaches the API function, whose own 404 has another body."""
    gateway, api = system.client("apigatewayv2"), system.stack.api_id
    [found] = [r for r in gateway.get_routes(ApiId=api)["Items"] if "/callbacks/" in r["RouteKey"]]
    gateway.delete_route(ApiId=api, RouteId=found["RouteId"])
    try:
        yield
    finally:
        gateway.create_route(ApiId=api, RouteKey=found["RouteKey"], Target=found["Target"])


@contextmanager
def settings_not_published(system: System) -> Iterator[None]:
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


@contextmanager
def tokens_not_removed(system: System) -> Iterator[None]:
    table, name = system.client("dynamodb"), system.outputs["TasksTableName"]
    for wanted in (False, True):
        table.update_time_to_live(
            TableName=name,
            TimeToLiveSpecification={"AttributeName": "removed_at", "Enabled": wanted},
        )
        if not wanted:
            yield


@contextmanager
def orders_paused(system: System) -> Iterator[None]:
    budgets = BudgetRepository(table_of(system))
    budgets.pause(paused=True, now=0, reason="a test")
    try:
        yield
    finally:
        budgets.pause(paused=False, now=0)


@contextmanager
def page_not_allowed(system: System) -> Iterator[None]:
    s3, bucket = system.client("s3"), system.outputs["ImagesBucketName"]
    rules = s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
    s3.delete_bucket_cors(Bucket=bucket)
    try:
        yield
    finally:
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})


@contextmanager
def no_limit(system: System) -> Iterator[None]:
    budgets = BudgetRepository(table_of(system))
    budgets.remove(STACK)
    try:
        yield
    finally:
        budgets.put(Budget(scope=STACK, max_credits=Decimal(10**9)))


BROKEN: dict[str, tuple[Callable[[System], AbstractContextManager[None]], str, str]] = {
    "no PoYo key": (api_secret(poyo_api_key=""), "keys", "imagetasks stack keys poyo"),
    "a wrong PoYo key": (api_secret(poyo_api_key=CANARY), "poyo", "PoYo rejects the stored key"),
    "no server key": (api_secret(server_keys={}), "keys", "server add NAME"),
    "a key instead of a hash": (
        api_secret(server_keys={"one": CANARY}),
        "keys",
        "1 of 1 are not SHA-256",
    ),
    "a server key with the name of an owner": (
        api_secret(server_keys={"one/ann": HASHED}),
        "keys",
        "an impossible name",
    ),
    "a secret that is not JSON": (
        lambda system: secret(system, "ApiSecretArn", f'{{"poyo_api_key": "{CANARY}"'),
        "keys",
        "ApiSecretArn is not a JSON object",
    ),
    "a secret that is a list": (
        callback_secret(f'["{CANARY}"]'),
        "keys",
        "CallbackSecretArn is not a JSON object",
    ),
    "a key instead of its id": (
        callback_secret(json.dumps({**CALLBACK_KEYS, "current": CANARY})),
        "keys",
        "names none of the callback keys",
    ),
    "no callback key": (callback_secret('{"current": "k1"}'), "keys", "names none"),
    "no token key": (token_secret('{"current": "k1"}'), "keys", "none of the token keys"),
    "a token key that is too short": (
        token_secret('{"current": "k1", "k1": "short"}'),
        "keys",
        "has less than 32 characters",
    ),
    "a disabled schedule": (schedule_disabled, "sweep", "DISABLED"),
    "a dead letter": (dead_letter("TaskDeadLetterQueueUrl"), "queue", "see DeadLettersAlarm"),
    "a dead letter about a notification": (
        dead_letter("NotificationDeadLetterQueueUrl"),
        "queue",
        "see NotificationDeadLettersAlarm",
    ),
    "a failed sweep": (
        dead_letter("FailedInvocationQueueUrl"),
        "queue",
        "see FailedInvocationsAlarm",
    ),
    "a queue that the worker does not read": (
        queue_not_read,
        "queue",
        "update-event-source-mapping --enabled",
    ),
    "a disabled alarm": (alarm_disabled, "alarms", "disabled: TasksOverdueAlarm"),
    "an alarm in ALARM": (alarm_active, "alarms", "in ALARM: ResultExpiredAlarm"),
    "a bucket without a public access block": (
        bucket_not_blocked,
        "bucket",
        "could become, public",
    ),
    "no backups": (table_not_backed_up, "table", "point-in-time recovery is off"),
    "items of tokens that are never removed": (tokens_not_removed, "table", "never removed"),
    "no callback route": (callback_route_missing, "callbacks", "the response is 404"),
    "settings that are not published": (
        settings_not_published,
        "functions",
        "`live` of WorkerFunction has another DOWNLOAD_HOSTS",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_doctor_reports_the_broken_part_and_no_other(
    stack: System, command: Doctor, name: str
) -> None:
    broken, check, message = BROKEN[name]

    with broken(stack):
        status, output = command()

    assert status == 1
    assert problems(output) == {("FAIL", check)}, output
    assert message in output


@pytest.mark.parametrize(
    ("broken", "check", "message"),
    [
        (orders_paused, "orders", "new orders are paused since 1970-01-01 00:00:00+00:00 (a test)"),
        (no_limit, "money", "a stolen key can spend PoYo's account empty"),
        (page_not_allowed, "page", "can neither upload references nor save archives"),
    ],
    ids=["paused orders", "no limit of credits", "a page that CORS does not allow"],
)
def test_doctor_warns_of_what_may_be_on_purpose(
    stack: System,
    command: Doctor,
    broken: Callable[[System], AbstractContextManager[None]],
    check: str,
    message: str,
) -> None:
    with broken(stack):
        status, output = command()

    assert status == 1
    assert problems(output) == {("warn", check)}, output
    assert message in output


def test_stack_is_healthy_again_after_each_broken_part_is_restored(command: Doctor) -> None:
    assert command()[0] == 0


@pytest.mark.usefixtures("command")
def test_api_url_is_the_emulators_or_the_output_of_the_stack(
    stack: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Stack(NAME, None)
    assert found.api_url() == stack.stack.api_url  # the emulator's URL

    monkeypatch.delenv("AWS_ENDPOINT_URL")

    assert found.api_url() == stack.outputs["ApiUrl"]
    with pytest.raises(CommandError, match="deploy the current template"):
        found.resource("Nothing")
    with pytest.raises(CommandError, match="deploy the current template"):
        found.parameter("Nothing")


@pytest.mark.usefixtures("command")
def test_check_that_fails_with_an_error_is_reported_and_the_others_still_run(stack: System) -> None:
    url = stack.outputs["TaskDeadLetterQueueUrl"]
    changed = Stack(NAME, None)
    changed._outputs["TaskDeadLetterQueueUrl"] = f"{url}-that-does-not-exist"

    found = list(doctor.run_checks(changed))

    [problem] = [each for each in found if each.todo]
    assert problem.check == "queue"
    assert problem.message.startswith("unknown: GetQueueAttributes failed with ")
    assert {each.check for each in found} >= {"alarms", "table", "bucket"}


# Findings as pure functions of responses and descriptions


def response(body: object, status: int = 200) -> HttpResponse:
    return HttpResponse(status, json.dumps(body).encode())


def balance_of(amount: object) -> HttpResponse:
    return response({"code": 200, "data": {"credits_amount": amount}})


@pytest.mark.parametrize(
    ("answer", "label", "message"),
    [
        (balance_of(200), "ok", "200 credits are left"),
        (balance_of("9998.0"), "ok", "9998 credits are left"),
        (balance_of(199.9), "warn", "top up"),
        (balance_of(0), "FAIL", "top up"),
        (response({"code": 401, "message": CANARY}, 401), "FAIL", "rejects the stored key"),
        (response({"code": 401, "message": CANARY}), "FAIL", "rejects the stored key"),
        (response({"message": CANARY}, 503), "FAIL", "PoYo responds 503"),
        (HttpResponse(200, b"<html>"), "FAIL", "without a balance"),
        ("ConnectTimeout", "FAIL", "no response: ConnectTimeout"),
    ],
)
def test_balance_finding_names_a_rejected_key_and_a_low_balance(
    answer: HttpResponse | str, label: str, message: str
) -> None:
    line = str(findings.balance(answer))

    assert line.startswith(f"{label} ")
    assert message in line
    assert CANARY not in line


PROBLEM = {"code": "not_found", "status": 404}


@pytest.mark.parametrize(
    ("answer", "healthy", "message"),
    [
        (response(PROBLEM, 404), True, "rejects a forged callback"),
        (response({"message": "Not Found"}, 404), False, "the response is 404"),
        (response({"code": "no_such_route"}, 404), False, "firewall"),
        (response({"message": "Forbidden"}, 403), False, "the response is 403"),
        (response({"ok": True}), False, "the response is 200"),
        (response(PROBLEM), False, "the response is 200"),
        (response({"code": "service_unavailable"}, 503), False, "callback_not_enqueued"),
        (response({"code": "internal"}, 500), False, "callback_not_enqueued"),
        (HttpResponse(302, b""), False, "the response is 302"),
        (HttpResponse(404, b"[" * 100_000), False, "the response is 404"),
        ("SSLError", False, "no response, SSLError"),
    ],
)
def test_callback_check_passes_only_if_webhook_function_itself_rejects_the_forged_callback(
    answer: HttpResponse | str, healthy: bool, message: str
) -> None:
    finding = findings.callback(answer)

    assert (not finding.todo) is healthy
    assert message in str(finding)


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        (response({"code": "unauthorized"}, 401), True),
        (response({"message": "Unauthorized"}, 401), False),
        (response({"code": "internal"}, 500), False),
        (response({"code": "service_unavailable"}, 503), False),
        (response({"items": []}), False),
        ("ConnectTimeout", False),
    ],
)
def test_unknown_key_check_passes_only_if_the_api_rejects_the_key_itself(
    answer: HttpResponse | str, healthy: bool
) -> None:
    finding = findings.unknown_key(answer)

    assert (not finding.todo) is healthy
    assert finding.check == "secrets"


def test_stack_that_serves_customers_needs_an_address_for_alarms() -> None:
    assert not alarms.no_alarm_address(serves_customers=False).todo
    assert "AlarmEmail" in alarms.no_alarm_address(serves_customers=True).todo


@pytest.mark.parametrize("name", ["ApiUrl", "PublicUrl"])
@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        (response({"status": "ok"}), True),
        (response({"status": "ok"}, 404), False),
        (response({"status": "maintenance"}), False),
        (response("ok"), False),
        (HttpResponse(200, b"<html>welcome"), False),
        ("ConnectionError", False),
    ],
)
def test_health_check_passes_only_for_the_body_of_our_own_function(
    name: str, answer: HttpResponse | str, healthy: bool
) -> None:
    finding = findings.health(name, answer)

    assert (not finding.todo) is healthy
    assert name in finding.message


def test_fetch_returns_the_error_name_if_the_connection_is_refused() -> None:
    [port] = free_ports(1)

    assert http_request.fetch("GET", f"http://127.0.0.1:{port}/health") == "ConnectionError"


@pytest.mark.parametrize(
    ("status", "resource", "healthy"),
    [
        ("CREATE_COMPLETE", "CREATE_COMPLETE", True),
        ("UPDATE_COMPLETE", "CREATE_COMPLETE", True),
        ("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", False),
        ("UPDATE_ROLLBACK_COMPLETE", "UPDATE_COMPLETE", False),
        ("ROLLBACK_COMPLETE", "DELETE_COMPLETE", False),
        ("UPDATE_COMPLETE", "UPDATE_FAILED", False),
    ],
)
def test_stack_that_was_rolled_back_or_is_in_progress_is_a_problem(
    status: str, resource: str, healthy: bool
) -> None:
    finding = findings.stack_status("imagetasks", status, {"HttpApi": resource})

    assert (not finding.todo) is healthy


@pytest.mark.parametrize(
    ("parameter", "used", "healthy"),
    [
        ("", "", True),
        ("https://img.example.com", "https://img.example.com", True),
        ("https://img.example.com", "https://old.example.com", False),
        ("https://img.example.com", "", False),
        ("", "https://old.example.com", False),
    ],
)
def test_public_url_in_use_must_equal_the_parameter(
    parameter: str, used: str, healthy: bool
) -> None:
    assert (not findings.public_url(parameter, used).todo) is healthy


def an_alarm(**changed: object) -> dict[str, Any]:
    default = {"AlarmName": "physical", "ActionsEnabled": True, "AlarmActions": ["topic"]}
    return default | {"StateValue": "OK"} | changed


@pytest.mark.parametrize(
    ("found", "topic", "problems"),
    [
        ([an_alarm()], "topic", []),
        ([an_alarm(StateValue="INSUFFICIENT_DATA")], "topic", []),
        ([an_alarm(AlarmActions=[])], "", []),
        ([an_alarm(AlarmActions=[])], "topic", ["without a notification"]),
        ([an_alarm(AlarmName="of another stack", StateValue="ALARM")], "", ["missing"]),
        ([], "", ["missing"]),
        (
            [an_alarm(ActionsEnabled=False, StateValue="ALARM")],
            "",
            ["disabled", "in ALARM"],
        ),
    ],
)
def test_missing_disabled_unsent_and_active_alarms_are_problems(
    found: list[dict[str, Any]], topic: str, problems: list[str]
) -> None:
    results = list(alarms.alarm_states({"physical": "TasksOverdueAlarm"}, found, topic))

    assert [each.message.partition(":")[0] for each in results if each.todo] == problems
    assert all("TasksOverdueAlarm" in each.message for each in results if each.todo)


@pytest.mark.parametrize(
    ("subscriptions", "healthy"),
    [
        ([], False),
        ([{"SubscriptionArn": "PendingConfirmation"}], False),
        ([{"SubscriptionArn": "Deleted"}], False),
        ([{"SubscriptionArn": "arn:aws:sns:eu-west-1:1:topic:2"}], True),
    ],
)
def test_mail_subscription_must_be_confirmed(
    subscriptions: list[dict[str, Any]], healthy: bool
) -> None:
    assert (not alarms.alarm_subscription(subscriptions).todo) is healthy


ALL_BLOCKED = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)


@pytest.mark.parametrize(
    ("blocks", "status", "healthy"),
    [
        (ALL_BLOCKED, {"IsPublic": False}, True),
        (ALL_BLOCKED, {"IsPublic": True}, False),
        (ALL_BLOCKED | {"BlockPublicPolicy": False}, {}, False),
        ({"BlockPublicAcls": True}, {}, False),
        ({}, {}, False),
    ],
)
def test_bucket_is_private_only_with_all_four_public_access_blocks(
    blocks: dict[str, bool], status: dict[str, bool], healthy: bool
) -> None:
    assert (not findings.bucket_private(blocks, status, "images").todo) is healthy


@pytest.mark.parametrize("stored", [HASHED, [HASHED], [HASHED, HASHED]])
def test_caller_may_have_two_keys(stored: object) -> None:
    found = findings.api_keys({"poyo_api_key": "sk-12345", "server_keys": {"website": stored}})

    assert [each.todo for each in found] == ["", ""]


@pytest.mark.parametrize("stored", ["", None, [], 7, HASHED.upper() + "G", [HASHED, "it_key"], {}])
def test_server_key_that_is_not_a_hash_is_a_problem(stored: object) -> None:
    found = findings.api_keys({"poyo_api_key": "sk-12345", "server_keys": {"website": stored}})

    assert [bool(each.todo) for each in found] == [False, True]


@pytest.mark.parametrize("key", ["", "short", "two words of it", None, "sk-öööööööö"])
def test_invalid_poyo_key_is_reported_as_missing(key: object) -> None:
    first, _ = findings.api_keys({"poyo_api_key": key, "server_keys": {"website": HASHED}})

    assert first == Finding("keys", "no PoYo key is stored", "imagetasks stack keys poyo")


CONCURRENCIES = {
    "WorkerConcurrency": 10,
    "NotifyConcurrency": 5,
    "WaitingConcurrency": 5,
    "ReservedConcurrency": 0,
}


@pytest.mark.parametrize(
    ("unreserved", "changed", "message"),
    [
        (1000, {}, "25 executions at most, the account has 1000"),
        (25, {}, "25 executions at most"),
        (24, {}, "25 executions may run at once, the account has 24 for all"),
        (10, {}, "the account has 10 for all"),
        (1000, {"WaitingConcurrency": 981}, "1001 executions may run at once"),
        (1000, {"WaitingConcurrency": 981, "ReservedConcurrency": 990}, "20 executions at most"),
        (1000, {"WaitingConcurrency": 50, "ReservedConcurrency": 50}, "50 requests may wait"),
    ],
)
def test_account_limit_must_suffice_for_everything_that_may_run_at_once(
    unreserved: int, changed: dict[str, int], message: str
) -> None:
    finding = account_limits.account_limit(unreserved, CONCURRENCIES | changed)

    assert message in finding.message
    assert bool(finding.todo) == ("at most" not in message)
    assert not (finding.todo and finding.failed)


def test_concurrencies_that_the_doctor_suggests_fit_a_new_account() -> None:
    todo = account_limits.account_limit(10, CONCURRENCIES).todo
    suggested = {name: int(value) for name, value in re.findall(r"(\w+Concurrency)=(\d+)", todo)}

    assert not account_limits.account_limit(10, CONCURRENCIES | suggested).todo
    for name, value in suggested.items():
        assert value >= template()["Parameters"][name]["MinValue"]


def test_defaults_of_the_template_are_those_of_these_tests() -> None:
    parameters = template()["Parameters"]

    assert {name: parameters[name]["Default"] for name in CONCURRENCIES} == CONCURRENCIES
