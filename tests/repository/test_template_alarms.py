"""Every metric of ours raises an alarm or has a reason not to, and every alarm that a bad release can cause stops
its canary."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from imagetasks.aws.task_queue import MAX_DELAY_S
from local.processes import ROOT
from tests.support.emitted_metrics import emitted
from tests.support.template import template
from tests.support.translated_template import properties, resources

CANARY_S = 300  # Canary10Percent5Minutes
MAX_ALARMS = 10  # of a deployment group (CodeDeploy's API reference, AlarmConfiguration)
WITHOUT_ALARM = {
    "Finished": "a success",
    "FailedModerated": "the caller's prompt",
    "FailedRejected": "the caller's order",
    "FailedUpstream": "PoYo could not create the image and does not charge for it",
    "FailedInsufficientCredits": "PoyoAccountRejectedAlarm goes off at the same moment",
    "CreditsReserved": "an accepted order",
    "CreditsCharged": "an image that was paid for",
    "CreditsReleased": "a task that PoYo does not charge",
    "ChargeDifference": "ChargeDiffersAlarm goes off at the same moment",
    "StackCreditsLeft": "StackBudgetExhaustedAlarm goes off when too little is left",
    "NotificationAbandoned": "the caller's server is at fault, and the caller can read the task",
}
NOT_IN_CANARY = {
    "DeadLettersAlarm": "a message is dead-lettered after 18 minutes, and stays until someone moves it",
    "FailedInvocationsAlarm": "a message stays until someone purges the queue; SweepErrorsAlarm is in the canary",
    "OldestMessageAlarm": "takes 20 minutes",
    "NotificationDeadLettersAlarm": "as DeadLettersAlarm",
    "NotificationsLateAlarm": "takes 15 minutes",
    "SweepNotRunningAlarm": "takes 15 minutes",
    "TasksOverdueAlarm": "takes 15 minutes",
    "TimedOutAlarm": "a task times out after a day",
    "UnavailableAlarm": "an order is given up after half an hour",
    "TooManyOrdersAlarm": "callers order more than PoYo accepts",
    "UnconfirmedAlarm": "a task is given up after an hour",
    "DuplicatePoyoTaskAlarm": "PoYo's mistake",
    "PoyoIdConflictAlarm": "PoYo's mistake",
    "PoyoAnswerMismatchAlarm": "PoYo's mistake",
    "ImageAtRiskAlarm": "takes 18 hours",
    "ResultExpiredAlarm": "takes a day",
    "ChargeDiffersAlarm": "PoYo's prices have changed",
    "CatalogDriftAlarm": "PoYo's catalogue has changed",
    "SoftBudgetReachedAlarm": "callers order more than was planned",
    "StackBudgetExhaustedAlarm": "as SoftBudgetReachedAlarm",
    "BadResultAlarm": "the task is retried before that",
}


def alarms() -> dict[str, dict[str, Any]]:
    """Properties of every alarm."""
    return {name: each["Properties"] for name, each in resources("AWS::CloudWatch::Alarm").items()}


def canary_alarms() -> dict[str, list[str]]:
    """The alarms that stop the deployment of each function."""
    groups = resources("AWS::CodeDeploy::DeploymentGroup", "gradual").items()
    return {
        name.removesuffix("DeploymentGroup"): [
            each["Name"]["Ref"] for each in group["Properties"]["AlarmConfiguration"]["Alarms"]
        ]
        for name, group in groups
    }


def test_every_metric_of_ours_has_an_alarm_or_a_reason_to_have_none() -> None:
    own = {each["MetricName"] for each in alarms().values() if "Ref" in str(each["Namespace"])}

    assert own | set(WITHOUT_ALARM) == emitted()
    assert not own & set(WITHOUT_ALARM)


def test_functions_queue_and_api_have_alarms_on_what_only_aws_can_count() -> None:
    watched = {
        (str(each["Namespace"]), each["MetricName"], str(each["Dimensions"][0]["Value"]))
        for each in alarms().values()
    }
    functions = resources("AWS::Lambda::Function")

    for name in functions:
        for metric in ("Errors", "Throttles"):
            assert ("AWS/Lambda", metric, str({"Ref": name})) in watched, (name, metric)
    age = ("AWS/SQS", "ApproximateAgeOfOldestMessage")
    assert (*age, str({"Fn::GetAtt": ["TaskQueue", "QueueName"]})) in watched
    assert ("AWS/ApiGateway", "5xx", str({"Ref": "HttpApi"})) in watched


def test_every_alarm_stops_a_canary_or_has_a_reason_not_to() -> None:
    watched = {alarm for names in canary_alarms().values() for alarm in names}

    assert watched | set(NOT_IN_CANARY) == set(alarms())
    assert not watched & set(NOT_IN_CANARY)


def test_each_canary_has_alarms_on_its_own_function_and_no_more_than_codedeploy_takes() -> None:
    canaries = canary_alarms()

    assert set(canaries) == set(resources("AWS::Lambda::Function"))
    for function, names in canaries.items():
        name = function.removesuffix("Function")
        assert {f"{name}ErrorsAlarm", f"{name}ThrottlesAlarm"} <= set(names)
        assert len(names) <= MAX_ALARMS, function


def test_alarm_in_the_canary_can_go_off_within_its_five_minutes() -> None:
    for name in {alarm for names in canary_alarms().values() for alarm in names}:
        alarm = properties(name)
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= CANARY_S, name
        assert alarm["TreatMissingData"] == "notBreaching", name


def test_alarm_on_the_oldest_message_is_later_than_the_longest_delay() -> None:
    assert properties("OldestMessageAlarm")["Threshold"] > MAX_DELAY_S


@pytest.mark.parametrize(("environment", "allowed"), [("prod", False), ("dev", True)])
def test_prod_cannot_be_deployed_before_it_has_an_address_for_alarms(
    environment: str, allowed: bool
) -> None:
    """samconfig.toml has a value that the template refuses until someone replaces it."""
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())
    overrides = settings[environment]["deploy"]["parameters"]["parameter_overrides"]
    given = dict(each.split("=", 1) for each in overrides.split())
    parameter = template()["Parameters"]["AlarmEmail"]
    address = given.get("AlarmEmail", parameter["Default"])

    assert bool(re.fullmatch(parameter["AllowedPattern"], address)) is allowed
    assert "samconfig.toml" in parameter["ConstraintDescription"]


@pytest.mark.parametrize(("environment", "allowed"), [("prod", False), ("dev", True)])
def test_prod_cannot_be_deployed_before_it_has_a_limit_of_credits(
    environment: str, allowed: bool
) -> None:
    """samconfig.toml has a value that is no number until someone replaces it."""
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())
    overrides = settings[environment]["deploy"]["parameters"]["parameter_overrides"]
    given = dict(each.split("=", 1) for each in overrides.split())
    parameter = template()["Parameters"]["StackDailyCredits"]

    assert parameter["Type"] == "Number"
    assert str(given.get("StackDailyCredits", parameter["Default"])).isdecimal() is allowed
    assert "samconfig.toml" in parameter["ConstraintDescription"]


def test_readme_counts_the_alarms_that_an_idle_stack_pays_for() -> None:
    alarms = resources("AWS::CloudWatch::Alarm")

    assert f"{len(alarms)} alarms (ten are free" in (ROOT / "README.md").read_text()
