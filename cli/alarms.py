"""Checks the alarms of a deployed stack, and whether anybody receives their mails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cli.findings import OPERATING, Finding, Findings, join
from cli.stack import CommandError, Stack, Values


def check_alarms(stack: Stack) -> Findings:
    """The alarms' states, and whether a confirmed subscription receives their mails."""
    names = {
        stack.resource(name): name
        for name, each in stack.resources.items()
        if each["ResourceType"] == "AWS::CloudWatch::Alarm"
    }
    if not names:
        raise CommandError("the stack has no alarm: deploy the current template first")
    found = stack.client("cloudwatch").describe_alarms(AlarmNames=sorted(names), MaxRecords=100)
    topic = stack.resource("AlarmTopic") if stack.parameter("AlarmEmail") else ""
    yield from alarm_states(names, found["MetricAlarms"], topic)
    if topic:
        listing = stack.client("sns").list_subscriptions_by_topic(TopicArn=topic)
        yield alarm_subscription(listing["Subscriptions"])
    else:
        yield no_alarm_address(serves_customers=stack.parameter("GradualDeploys") == "true")


def alarm_states(names: Mapping[str, str], found: Sequence[Values], topic: str) -> Findings:
    """Whether each alarm exists, is enabled, notifies `topic` and is not in ALARM.

    `names` maps the physical names to the logical ids. Without a `topic` notifying is not checked.
    """
    known = {names[each["AlarmName"]]: each for each in found if each["AlarmName"] in names}
    missing = [name for name in names.values() if name not in known]
    disabled = [name for name, each in known.items() if not each["ActionsEnabled"]]
    silent = [name for name, each in known.items() if topic and topic not in each["AlarmActions"]]
    active = [name for name, each in known.items() if each["StateValue"] == "ALARM"]
    for problem, which, todo in (
        ("missing", missing, "deploy again"),
        ("disabled", disabled, "aws cloudwatch enable-alarm-actions --alarm-names …"),
        ("without a notification", silent, "deploy again: AlarmEmail is set"),
        ("in ALARM", active, f"each has its paragraph in {OPERATING}"),
    ):
        if which:
            yield Finding("alarms", f"{problem}:{join(which)}", todo)
    if not (missing or active):
        yield Finding("alarms", f"all {len(known)} exist, none is in ALARM")


def alarm_subscription(subscriptions: Sequence[Values]) -> Finding:
    """Whether the owner of AlarmEmail has confirmed the subscription."""
    if any(each["SubscriptionArn"].startswith("arn:") for each in subscriptions):
        return Finding("alarms", "the mail subscription is confirmed")
    todo = "follow the link in the mail that AWS sent to AlarmEmail"
    return Finding("alarms", "the mail subscription is not confirmed", todo)


def no_alarm_address(*, serves_customers: bool) -> Finding:
    """What it means that AlarmEmail is empty: a stack that serves customers needs an address."""
    todo = "write AlarmEmail=… into samconfig.toml and deploy again" if serves_customers else ""
    return Finding("alarms", "no mail is sent, because AlarmEmail is empty", todo)
