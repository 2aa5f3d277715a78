"""Compares what the stack may run at once with the account's limit of Lambda executions."""

from __future__ import annotations

from collections.abc import Mapping

from cli.findings import Finding, Findings
from cli.stack import Stack

CONCURRENCIES = (
    "WorkerConcurrency",
    "NotifyConcurrency",
    "WaitingConcurrency",
    "ReservedConcurrency",
)
OTHER_EXECUTIONS = 5  # requests that do not wait, callbacks, and two sweeps that overlap


def check_account(stack: Stack) -> Findings:
    """Whether the account's limit of Lambda executions suffices for what may run at once."""
    limits = stack.client("lambda").get_account_settings()["AccountLimit"]
    concurrencies = {name: int(stack.parameter(name)) for name in CONCURRENCIES}
    yield account_limit(int(limits["UnreservedConcurrentExecutions"]), concurrencies)


def account_limit(unreserved: int, concurrencies: Mapping[str, int]) -> Finding:
    """Whether waiting requests and slow receivers leave executions to callbacks, worker and sweep.

    `unreserved` executions are shared by all functions of the account that have none reserved.
    """
    waiting, reserved = concurrencies["WaitingConcurrency"], concurrencies["ReservedConcurrency"]
    needed = concurrencies["WorkerConcurrency"] + concurrencies["NotifyConcurrency"]
    needed += OTHER_EXECUTIONS + (0 if reserved else waiting)
    if 0 < reserved <= waiting:
        message = f"{waiting} requests may wait, and the API has {reserved} reserved executions"
        todo = "deploy with a ReservedConcurrency well above WaitingConcurrency"
        return Finding("account", message, todo, failed=False)
    if needed > unreserved:
        message = f"{needed} executions may run at once, the account has {unreserved} for all"
        todo = (
            "request a higher Lambda quota `Concurrent executions`, or deploy with less:"
            " WorkerConcurrency=2 NotifyConcurrency=2 WaitingConcurrency=1 need 10"
        )
        return Finding("account", message, todo, failed=False)
    return Finding("account", f"{needed} executions at most, the account has {unreserved}")
