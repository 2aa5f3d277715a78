"""Every caller invokes an alias, and the HTTP API's routes, throttles and access log are as intended."""

from __future__ import annotations

import json
import re

import pytest

from local.routes import routes
from tests.support.translated_template import (
    JsonObject,
    properties,
    resolved,
    resources,
    statements,
)


def test_http_api_invokes_aliases() -> None:
    called = {function for _, function in routes(properties("HttpApi")["Body"])}

    assert called == {"ApiFunctionAliaslive", "WebhookFunctionAliaslive"}


def test_each_route_may_invoke_its_own_alias_only() -> None:
    permissions = [each["Properties"] for each in resources("AWS::Lambda::Permission").values()]
    allowed = [(_route(each["SourceArn"]), each["FunctionName"]["Ref"]) for each in permissions]
    expected = {
        (re.sub(r"\{\w+\}", "*", "*" if key == "$default" else key.replace(" ", "")), function)
        for key, function in routes(properties("HttpApi")["Body"])
    }

    assert set(allowed) == expected
    assert len(allowed) == len(expected)
    assert {each["Principal"] for each in permissions} == {"apigateway.amazonaws.com"}


def _route(source: JsonObject) -> str:
    return str(source["Fn::Sub"][0]).partition("${__Stage__}/")[2]


def test_queues_and_schedules_invoke_aliases() -> None:
    mappings = [
        each["Properties"] for each in resources("AWS::Lambda::EventSourceMapping").values()
    ]
    schedules = {
        "SweepFunctionEveryMinute": "rate(1 minute)",
        "DriftFunctionEveryDay": "rate(1 day)",
    }
    invokes = resources("AWS::Lambda::EventInvokeConfig").values()

    assert {
        (each["EventSourceArn"]["Fn::GetAtt"][0], each["FunctionName"]["Ref"]) for each in mappings
    } == {
        ("TaskQueue", "WorkerFunctionAliaslive"),
        ("NotificationQueue", "NotifyFunctionAliaslive"),
    }
    for each in mappings:
        assert each["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert each["BatchSize"] == 1
    assert set(resources("AWS::Scheduler::Schedule")) == set(schedules)
    for name, rate in schedules.items():
        alias = {"Ref": f"{name.partition('Every')[0]}Aliaslive"}
        assert properties(name)["Target"]["Arn"] == alias
        assert properties(name)["ScheduleExpression"] == rate
        assert statements(properties(f"{name}Role"))[0]["Resource"] == alias
    assert [each["Properties"]["Qualifier"] for each in invokes] == ["live", "live"]


def test_worker_and_notifications_have_a_concurrency_of_their_own() -> None:
    """A slow receiver occupies the notify function only, and never more of it than its parameter."""
    found = {
        each["Properties"]["FunctionName"]["Ref"]: each["Properties"]["ScalingConfig"]
        for each in resources("AWS::Lambda::EventSourceMapping").values()
    }

    assert found == {
        "WorkerFunctionAliaslive": {"MaximumConcurrency": {"Ref": "WorkerConcurrency"}},
        "NotifyFunctionAliaslive": {"MaximumConcurrency": {"Ref": "NotifyConcurrency"}},
    }


def test_throttled_routes_exist() -> None:
    stage = properties("HttpApiApiGatewayDefaultStage")
    keys = {key for key, _ in routes(properties("HttpApi")["Body"])}
    every = [stage["DefaultRouteSettings"], *stage["RouteSettings"].values()]

    assert set(stage["RouteSettings"]) == {"POST /callbacks/poyo/{kid}/{task_id}/{mac}", "$default"}
    assert set(stage["RouteSettings"]) <= keys
    assert all({"ThrottlingRateLimit", "ThrottlingBurstLimit"} == set(each) for each in every)
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == {"Ref": "RequestsPerSecond"}


def test_access_log_is_json_and_contains_no_path() -> None:
    """A path may be a signed URL."""
    log_format = properties("HttpApiApiGatewayDefaultStage")["AccessLogSettings"]["Format"]

    assert json.loads(log_format)["route"] == "$context.routeKey"
    assert not re.search(r"\$context\.(path|protocol|authorizer)|querystring|header", log_format)


@pytest.mark.parametrize("count", ["0", "7"])
def test_reserved_concurrency_is_set_only_if_the_parameter_is_not_zero(count: str) -> None:
    for name in ("ApiFunction", "WebhookFunction"):
        value = {"reserved": properties(name)["ReservedConcurrentExecutions"]}
        assert resolved(value, ReservedConcurrency=count).get("reserved") == (
            None if count == "0" else count
        )
