"""Checks every part of a deployed stack. Prints ok, or the problem and what to do next.

imagetasks stack doctor                          the stack imagetasks
imagetasks stack doctor --stack imagetasks-prod

It changes nothing, prints no key, and exits 0 only if every check passes. It also sends requests from
outside: it reads PoYo's balance and /health, and sends one forged callback and one unknown key, which must be
rejected.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli import findings, poyo_account
from cli.account_limits import check_account
from cli.alarms import check_alarms
from cli.catalog_drift import check_catalog
from cli.findings import Finding, Findings
from cli.http_request import fetch
from cli.money import check_money, removal
from cli.page import check_page
from cli.queues import check_queue
from cli.stack import (
    DEFAULT_STACK,
    INTERRUPTED,
    CommandError,
    SecretDamaged,
    Stack,
    Values,
    argument_parser,
    command_line,
)

FUNCTIONS = [f"{name}Function" for name in ("Api", "Webhook", "Worker", "Notify", "Sweep", "Drift")]
SWEEP_WINDOW_S = 300
FORGED_CALLBACK = (
    f"/callbacks/poyo/k1/{'a' * 26}/forged-by-the-doctor"  # no such task, invalid token
)


def check_stack(stack: Stack) -> Findings:
    """CloudFormation's status of the stack and of each resource."""
    resources = {name: each["ResourceStatus"] for name, each in stack.resources.items()}
    yield findings.stack_status(stack.name, stack.status, resources)


def check_functions(stack: Stack) -> Findings:
    """Whether the alias `live` of each function has the settings that were deployed last."""
    client = stack.client("lambda")
    for name in FUNCTIONS:
        function = stack.output(f"{name}Name")
        latest = _settings(client.get_function_configuration(FunctionName=function))
        live = _settings(client.get_function_configuration(FunctionName=function, Qualifier="live"))
        yield findings.function_settings(name, latest, live)
        if name == "ApiFunction":
            used = str(live.get("PUBLIC_URL", ""))
            yield findings.public_url(stack.parameter("PublicUrl"), used)


def _settings(configuration: Values) -> Values:
    return dict(configuration.get("Environment", {}).get("Variables", {}))


def check_keys(stack: Stack) -> Findings:
    """The contents of the three secrets."""
    yield from _secret(stack, "ApiSecretArn", findings.api_keys)
    yield from _secret(stack, "CallbackSecretArn", findings.callback_keys)
    yield from _secret(stack, "TokenSecretArn", findings.token_keys)


def _secret(stack: Stack, output: str, check: Callable[[Values], Findings]) -> Findings:
    try:
        values = stack.secret(output)
    except SecretDamaged:
        todo = "restore an earlier version of the secret (AWSPREVIOUS), then run this again"
        yield Finding("keys", f"the secret {output} is not a JSON object", todo)
    else:
        yield from check(values)


def check_poyo(stack: Stack) -> Findings:
    """Whether PoYo accepts the stored key. Without a key check_keys has reported it already."""
    try:
        key = findings.poyo_key(stack.secret("ApiSecretArn"))
    except SecretDamaged:
        key = ""
    if key:
        yield findings.balance(poyo_account.ask_balance(stack, key))


def check_api(stack: Stack) -> Findings:
    """The API from outside, at its own URL and at PublicUrl; and whether each function that answers
    requests can read its secret: it needs that to reject a forged callback and an unknown key."""
    api_url, public_url = stack.api_url(), stack.parameter("PublicUrl")
    for name, url in (("ApiUrl", api_url), ("PublicUrl", public_url)):
        if url:
            yield findings.health(name, fetch("GET", f"{url}/health"))
    yield findings.callback(fetch("POST", (public_url or api_url) + FORGED_CALLBACK))
    unknown_key = {"Authorization": "Bearer forged-by-the-doctor"}
    yield findings.unknown_key(fetch("GET", (public_url or api_url) + "/v1/tasks", unknown_key))


def check_sweep(stack: Stack) -> Findings:
    """Whether the sweep's schedule is enabled and a sweep has completed recently."""
    name = stack.resource("SweepFunctionEveryMinute")
    state = stack.client("scheduler").get_schedule(Name=name)["State"]
    if state != "ENABLED":
        todo = f"enable {name} in EventBridge Scheduler, or deploy again"
        yield Finding("sweep", f"its schedule is {state}", todo)
    pages = (
        stack.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=stack.resource("SweepLogs"),
            filterPattern='"sweep_completed"',
            startTime=int((time.time() - SWEEP_WINDOW_S) * 1000),
        )
    )
    yield findings.sweep_ran(any(page["events"] for page in pages))


def check_table(stack: Stack) -> Findings:
    """Point-in-time recovery of the table that holds the tasks, and the removal of ended tokens."""
    name = stack.output("TasksTableName")
    described = stack.client("dynamodb").describe_continuous_backups(TableName=name)
    backups = described["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    yield findings.table_recovery(backups, name)
    ttl = stack.client("dynamodb").describe_time_to_live(TableName=name)
    yield removal(ttl["TimeToLiveDescription"])


def check_bucket(stack: Stack) -> Findings:
    """Whether the bucket that holds the images blocks public access."""
    s3, name = stack.client("s3"), stack.output("ImagesBucketName")
    status = s3.get_bucket_policy_status(Bucket=name)["PolicyStatus"]
    yield findings.bucket_private(_public_access_block(s3, name), status, name)


def _public_access_block(s3: Any, name: str) -> Values:
    try:
        response = s3.get_public_access_block(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchPublicAccessBlockConfiguration":
            raise
        return {}
    return dict(response["PublicAccessBlockConfiguration"])


Check = Callable[[Stack], Findings]
CHECKS: Sequence[Check] = (
    check_stack,
    check_functions,
    check_account,
    check_keys,
    check_poyo,
    check_catalog,
    check_api,
    check_sweep,
    check_queue,
    check_alarms,
    check_table,
    check_bucket,
    check_page,
    check_money,
)


def run_checks(stack: Stack) -> Findings:
    """All findings. A check that fails with an error becomes a finding, and the next one runs."""
    for check in CHECKS:
        name = check.__name__.removeprefix("check_")
        try:
            yield from check(stack)
        except ClientError as error:
            code, operation = error.response["Error"]["Code"], error.operation_name
            todo = (
                "check the credentials' permissions and that the resource exists; then deploy again"
            )
            yield Finding(name, f"unknown: {operation} failed with {code}", todo)
        except (BotoCoreError, CommandError) as error:
            yield Finding(name, f"unknown: {error}", "correct that, then run this again")


def _run(options: argparse.Namespace) -> int:
    try:
        stack = Stack(options.stack, options.region)
    except (ClientError, BotoCoreError) as error:
        print(Finding("stack", str(error), "check the stack's name, the region and the account"))
        return 1
    healthy = True
    for finding in run_checks(stack):
        # A command without the stack's name would change another stack.
        todo = finding.todo.replace(
            command_line("keys", DEFAULT_STACK), command_line("keys", stack.name)
        )
        print(replace(finding, todo=todo), flush=True)
        healthy = healthy and not finding.todo
    print("all checks passed" if healthy else "some checks failed: see above")
    return 0 if healthy else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the findings. Returns 0 if every check passes, 1 otherwise, 130 after Ctrl-C."""
    options = argument_parser("doctor", __doc__).parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        print("stopped: run the same command again, it changes nothing", file=sys.stderr)
        return INTERRUPTED
