"""docs/operating.md explains every alarm and output."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli import keys

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


def test_operating_page_explains_no_alarm_that_does_not_exist() -> None:
    assert set(re.findall(r"^### (\w+Alarm)$", PAGE, re.MULTILINE)) == {name for name, _ in ALARMS}


def test_operating_page_lists_each_output() -> None:
    outputs = re.findall(r"^  (\w+):$", TEMPLATE.partition("\nOutputs:\n")[2], re.MULTILINE)

    assert len(outputs) > 10
    assert [name for name in outputs if f"`{name}`" not in PAGE] == []


def test_help_of_the_callback_keys_names_the_waits_of_the_operating_page() -> None:
    page, text = (" ".join(each.split()) for each in (PAGE, str(keys.__doc__)))

    assert "fifteen minutes later run `callback use <id>`; and after five days" in page
    assert (
        "fifteen minutes later, imagetasks stack keys callback use k2 and, five days later," in text
    )
