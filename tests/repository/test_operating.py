"""Every alarm uses a metric that the code emits, and docs/operating.md explains every alarm and output."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from imagetasks.tasks.failure_reasons import REASONS

ROOT = Path(__file__).parents[2]
TEMPLATE = (ROOT / "template.yaml").read_text()
PAGE = (ROOT / "docs" / "operating.md").read_text()
ALARMS = re.findall(
    r"^  (\w+Alarm):\n    Type: AWS::CloudWatch::Alarm\n(.*?)\n\n",
    TEMPLATE,
    re.DOTALL | re.MULTILINE,
)


def test_template_defines_alarms() -> None:
    assert len(ALARMS) >= 10


@pytest.mark.parametrize(("name", "body"), ALARMS, ids=[name for name, _ in ALARMS])
def test_operating_page_explains_each_alarm(name: str, body: str) -> None:
    found = re.search(rf"^### {name}\n(.+?)\n\n", PAGE, re.DOTALL | re.MULTILINE)

    assert found
    assert len(found[1]) > 80


@pytest.mark.parametrize(("name", "body"), ALARMS, ids=[name for name, _ in ALARMS])
def test_each_alarm_on_a_metric_of_the_stack_uses_one_that_is_emitted(name: str, body: str) -> None:
    metric = re.search(r"MetricName: (\w+)", body)

    assert metric
    if "AWS::StackName" in body:
        assert metric[1] in _emitted()


def _emitted() -> set[str]:
    """Metric names that the code can emit: alarms, values, and one for each result of a task."""
    code = "\n".join(path.read_text() for path in (ROOT / "functions").rglob("*.py"))
    named = re.findall(r'(?:alarm|put_metric|count_metric)\(\s*"(\w+)"', code)
    named += ["finished", *(f"failed_{reason}" for reason in REASONS)]
    return {"".join(word.capitalize() for word in name.split("_")) for name in named}


def test_operating_page_explains_no_alarm_that_does_not_exist() -> None:
    assert set(re.findall(r"^### (\w+Alarm)$", PAGE, re.MULTILINE)) == {name for name, _ in ALARMS}


def test_operating_page_lists_each_output() -> None:
    outputs = re.findall(r"^  (\w+):$", TEMPLATE.partition("\nOutputs:\n")[2], re.MULTILINE)

    assert len(outputs) > 10
    assert [name for name in outputs if f"`{name}`" not in PAGE] == []
