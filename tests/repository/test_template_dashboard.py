"""The dashboard shows metrics that the code emits, and the saved queries read fields that it logs."""

from __future__ import annotations

import ast
import io
import json
import re
from typing import Any

import pytest

from imagetasks import telemetry
from imagetasks.aws.task_repository import WriteResult
from imagetasks.tasks.failure_reasons import REASONS
from imagetasks.tasks.task import StoredImage
from imagetasks.tasks.transitions import TRANSITIONS
from imagetasks.workflows.task_updater import log_transition
from local.processes import ROOT
from tests.support.emitted_metrics import emitted
from tests.support.fakes import task
from tests.support.translated_template import JsonObject, properties, resources

AWS_METRICS = {
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
    "AWS/Lambda": {"Throttles"},
    "AWS/ApiGateway": {"Count", "4xx", "5xx", "Latency", "IntegrationLatency", "DataProcessed"},
}
ATTRIBUTES = {
    "AWS::CloudWatch::Alarm": "Arn",
    "AWS::SQS::Queue": "QueueName",
    "AWS::ApiGatewayV2::Api": "",
    "AWS::Lambda::Function": "",
}


def dashboard() -> JsonObject:
    """The dashboard's body, each reference replaced by the name of the referenced resource."""
    text = properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    for name, attribute in re.findall(r"\$\{(\w+)\.?(\w*)\}", text):
        assert ATTRIBUTES[resources()[name]["Type"]] == attribute, name
    body: JsonObject = json.loads(re.sub(r"\$\{(AWS::\w+|\w+)[.\w]*\}", r"\1", text))
    return body


def widgets(kind: str) -> list[JsonObject]:
    """Properties of the widgets of type `kind`."""
    return [each["properties"] for each in dashboard()["widgets"] if each["type"] == kind]


def expanded(metrics: list[list[Any]]) -> list[list[str]]:
    """CloudWatch's shorthand written out: `.` repeats the cell above, `...` repeats all leading cells."""
    lines: list[list[str]] = []
    for metric in metrics:
        cells = [each for each in metric if isinstance(each, str)]
        if cells[0] == "...":
            cells = lines[-1][: 1 - len(cells)] + cells[1:]
        lines.append([lines[-1][n] if each == "." else each for n, each in enumerate(cells)])
    return lines


def test_dashboard_shows_every_alarm() -> None:
    [widget] = widgets("alarm")

    assert sorted(widget["alarms"]) == sorted(resources("AWS::CloudWatch::Alarm"))


def test_dashboard_shows_only_metrics_that_are_emitted() -> None:
    shown = [line for widget in widgets("metric") for line in expanded(widget["metrics"])]

    assert len(shown) >= 20
    for namespace, metric, *dimensions in shown:
        if namespace == "AWS::StackName":
            assert metric in emitted(), metric
            assert dimensions == ["service", telemetry.SERVICE]
        else:
            assert metric in AWS_METRICS[namespace]
            assert dimensions[0] in ("QueueName", "ApiId", "FunctionName")
            assert dimensions[1] in resources()
    assert {metric for namespace, metric, *_ in shown if namespace == "AWS::StackName"} >= {
        f"Failed{reason.title().replace('_', '')}" for reason in REASONS
    } | {"Finished"}


def test_dashboard_shows_the_throttles_of_every_function() -> None:
    shown = [line for widget in widgets("metric") for line in expanded(widget["metrics"])]
    throttled = {line[3] for line in shown if line[:2] == ["AWS/Lambda", "Throttles"]}

    assert throttled == set(resources("AWS::Lambda::Function"))


def test_widgets_do_not_overlap_and_fit_the_width_of_the_dashboard() -> None:
    taken = [
        (x, y)
        for each in dashboard()["widgets"]
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    ]

    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def logged_fields(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every field that a log line can have: those of a transition and those of all other messages."""
    [handler] = telemetry.log.handlers
    line = io.StringIO()
    monkeypatch.setattr(handler, "stream", line)
    kept = StoredImage(
        key="k", content_type="image/png", bytes=1, width=1, height=1, sha256="0" * 64
    )
    ended = task(files=(kept,), reason="upstream", poyo_id="p")  # None is not logged
    log_transition("finish", WriteResult(True, ended))
    calls = [
        node
        for path in (ROOT / "functions").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in ("info", "warning", "alarm")
    ]
    fields = {str(each.arg) for call in calls for each in call.keywords if each.arg}
    return set(json.loads(line.getvalue())) | fields


# Keywords of Logs Insights, and the aliases that the queries define.
KEYWORDS = set(
    re.findall(
        r"\w+",
        "filter sort asc desc display limit stats count by bin as and in latest"
        "; tasks times example",
    )
)


def test_saved_queries_use_fields_that_are_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    known = logged_fields(monkeypatch)
    queries = resources("AWS::Logs::QueryDefinition")

    assert len(queries) >= 4
    for name, query in queries.items():
        text = re.sub(r'"[^"]*"', "", query["Properties"]["QueryString"])
        used = set(re.findall(r"(?<![@\w])[a-z_]+\b", text)) - KEYWORDS
        assert used, name
        assert used <= known, name
        assert set(re.findall(r"@\w+", text)) <= {"@timestamp"}, name


def test_saved_queries_read_log_groups_and_messages_that_exist() -> None:
    for name, query in resources("AWS::Logs::QueryDefinition").items():
        groups = [each["Ref"] for each in query["Properties"]["LogGroupNames"]]
        text = query["Properties"]["QueryString"]
        assert set(groups) <= set(resources("AWS::Logs::LogGroup")), name
        assert set(re.findall(r'transition = "(\w+)"', text)) <= set(TRANSITIONS), name
        assert set(re.findall(r'message = "(\w+)"', text)) <= {"transition"}, name
