"""Looks a deployed stack over and says of each part: ok, or what is wrong and what to do next.

python -m cli.doctor                          the stack imagetasks
python -m cli.doctor --stack imagetasks-prod

It changes nothing, prints no key, and exits 0 only when all is well. From outside it asks PoYo's
balance and /health, and calls back once with a forged URL, which must be refused.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from cli import findings
from cli.findings import PAGE, Finding, Findings
from cli.stack import Stack, Values, Wrong, asking
from imagetasks.poyo.reply import HttpResponse

FUNCTIONS = ("ApiFunction", "WebhookFunction", "WorkerFunction", "SweepFunction")
QUEUES = {
    "TaskDeadLetterQueueUrl": "DeadLettersAlarm",
    "FailedInvocationQueueUrl": "FailedInvocationsAlarm",
}
COUNTS = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
SWEPT_WITHIN_S = 300
PATIENCE_S = (5, 35)  # to connect, and a little over the gateway's own 30 s
FORGED = f"/callbacks/poyo/k1/{'a' * 26}/forged-by-the-doctor"  # of no task, and under no key
SPOILT = (ValueError, TypeError, KeyError, RecursionError)  # a secret whose text is not repeated


def complete(stack: Stack) -> Findings:
    """The stack as CloudFormation sees it."""
    resources = {name: each["ResourceStatus"] for name, each in stack.resources.items()}
    yield findings.standing(stack.name, stack.status, resources)


def functions(stack: Stack) -> Findings:
    """What runs is the alias `live`, with the settings of the version that was published last."""
    client = stack.client("lambda")
    for name in FUNCTIONS:
        function = stack.output(f"{name}Name")
        latest = _settings(client.get_function_configuration(FunctionName=function))
        live = client.get_function_configuration(FunctionName=function, Qualifier="live")
        yield findings.settled(name, latest, _settings(live))
        if name == "ApiFunction":
            used = str(_settings(live).get("PUBLIC_URL", ""))
            yield findings.public(stack.parameter("PublicUrl"), used)


def keys(stack: Stack) -> Findings:
    """The shape of both secrets."""
    yield from _secret(stack, "ApiSecretArn", findings.api_keys)
    yield from _secret(stack, "CallbackSecretArn", findings.callback_keys)


def _secret(stack: Stack, output: str, judge: Callable[[Values], Findings]) -> Findings:
    try:
        values = stack.secret(output)
    except SPOILT:
        todo = "put an earlier version of it back (AWSPREVIOUS), then run this again"
        yield Finding("keys", f"the secret {output} is no JSON object", todo)
    else:
        yield from judge(values)


def account(stack: Stack) -> Findings:
    """PoYo's key, tried at PoYo."""
    try:
        key = findings.poyo_key(stack.secret("ApiSecretArn"))
    except SPOILT:
        key = ""
    if key:  # else it has been said already
        url = f"{stack.parameter('PoyoBaseUrl')}/api/user/balance"
        yield findings.balance(asked("GET", url, {"Authorization": f"Bearer {key}"}))


def doors(stack: Stack) -> Findings:
    """The API from outside, by its own address and by yours, and the callbacks' door."""
    own, yours = stack.api_url(), stack.parameter("PublicUrl")
    for name, url in (("ApiUrl", own), ("PublicUrl", yours)):
        if url:
            yield findings.health(name, asked("GET", f"{url}/health"))
    yield findings.callback(asked("POST", (yours or own) + FORGED))


def asked(method: str, url: str, headers: Mapping[str, str] | None = None) -> HttpResponse | str:
    """The answer, or the kind of failure when there was none."""
    try:
        answer = requests.request(
            method,
            url,
            headers={"User-Agent": "imagetasks/1", **(headers or {})},
            auth=lambda request: request,  # or a .netrc would put its own key there
            timeout=PATIENCE_S,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        return type(error).__name__
    return HttpResponse(answer.status_code, answer.content)


def sweep(stack: Stack) -> Findings:
    """Whether stuck tasks are looked for, and were lately."""
    name = stack.resource("SweepFunctionEveryMinute")
    state = stack.client("scheduler").get_schedule(Name=name)["State"]
    if state != "ENABLED":
        todo = f"enable {name} in EventBridge Scheduler, or deploy again"
        yield Finding("sweep", f"its schedule is {state}", todo)
    found = (
        stack.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=stack.resource("SweepLogs"),
            filterPattern='"swept"',
            startTime=int((time.time() - SWEPT_WITHIN_S) * 1000),
        )
    )
    yield findings.swept(any(page["events"] for page in found))


def queue(stack: Stack) -> Findings:
    """Whether bells are heard, and which could not be."""
    mapping = stack.resource("WorkerFunctionTaskMessages")
    state = stack.client("lambda").get_event_source_mapping(UUID=mapping)["State"]
    if state == "Enabled":
        yield Finding("queue", "the worker reads it")
    else:
        todo = f"aws lambda update-event-source-mapping --enabled --uuid {mapping}"
        yield Finding("queue", f"the worker's reading of it is {state}", todo)
    for output, alarm in QUEUES.items():
        count = _messages(stack, output)
        said = f"{output.removesuffix('Url')}: {count or 'empty'}"
        yield Finding("queue", said, f"see {alarm} in {PAGE}" if count else "")


def _messages(stack: Stack, output: str) -> int:
    sqs, url = stack.client("sqs"), stack.output(output)
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=COUNTS)["Attributes"]
    return sum(int(found.get(name, 0)) for name in COUNTS)


def alarms(stack: Stack) -> Findings:
    """The alarms, and whether anybody hears them."""
    names = {
        each["PhysicalResourceId"]: name
        for name, each in stack.resources.items()
        if each["ResourceType"] == "AWS::CloudWatch::Alarm"
    }
    found = stack.client("cloudwatch").describe_alarms(AlarmNames=sorted(names), MaxRecords=100)
    topic = stack.resource("AlarmTopic") if stack.parameter("AlarmEmail") else ""
    yield from findings.alarms(names, found["MetricAlarms"], topic)
    if topic:
        answer = stack.client("sns").list_subscriptions_by_topic(TopicArn=topic)
        yield findings.mail(answer["Subscriptions"])
    else:
        yield Finding("alarms", "nobody is mailed, since AlarmEmail is empty")


def table(stack: Stack) -> Findings:
    """What every task lives in."""
    name = stack.output("TasksTableName")
    said = stack.client("dynamodb").describe_continuous_backups(TableName=name)
    backups = said["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    yield findings.recoverable(backups, name)


def bucket(stack: Stack) -> Findings:
    """What every image lives in."""
    s3, name = stack.client("s3"), stack.output("ImagesBucketName")
    status = s3.get_bucket_policy_status(Bucket=name)["PolicyStatus"]
    yield findings.closed(_blocks(s3, name), status, name)


def _blocks(s3: Any, name: str) -> Values:
    try:
        answer = s3.get_public_access_block(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchPublicAccessBlockConfiguration":
            raise
        return {}
    return dict(answer["PublicAccessBlockConfiguration"])


CHECKS = (complete, functions, keys, account, doors, sweep, queue, alarms, table, bucket)


def examine(stack: Stack) -> Findings:
    """Every finding; a check that cannot be made is one, too."""
    for check in CHECKS:
        try:
            yield from check(stack)
        except ClientError as error:
            code, what = error.response["Error"]["Code"], error.operation_name
            todo = "may these credentials ask that? is the thing still there? then deploy again"
            yield Finding(check.__name__, f"not known: {what} answers {code}", todo)
        except (BotoCoreError, Wrong) as error:
            yield Finding(check.__name__, f"not known: {error}", "mend that, then run this again")


def main() -> int:
    """0 when all is well, 1 when anything is not."""
    options = asking("doctor", __doc__).parse_args()
    try:
        stack = Stack(options.stack, options.region)
    except (ClientError, BotoCoreError) as error:
        print(Finding("stack", str(error), "is it deployed, in this region and this account?"))
        return 1
    well = True
    for finding in examine(stack):
        print(finding, flush=True)
        well = well and not finding.todo
    print("all is well" if well else "not all is well: see above")
    return 0 if well else 1


def _settings(configuration: Values) -> Values:
    return dict(configuration.get("Environment", {}).get("Variables", {}))


if __name__ == "__main__":
    sys.exit(main())
