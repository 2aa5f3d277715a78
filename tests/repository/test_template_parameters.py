"""Parameters and outputs are described, and the README lists every parameter with its default."""

from __future__ import annotations

import re

import pytest

from local.cfn_intrinsics import Template, holds
from local.processes import ROOT
from tests.support.translated_template import JsonObject, translated_templates

README = (ROOT / "README.md").read_text()


def parameters() -> dict[str, JsonObject]:
    """The parameters of the template, by name."""
    found: dict[str, JsonObject] = translated_templates()["plain"]["Parameters"]
    return found


def test_every_parameter_is_described_and_its_default_is_valid() -> None:
    for name, each in parameters().items():
        default = str(each["Default"])
        assert len(each["Description"]) > 30, name
        if "AllowedValues" in each:
            assert default in map(str, each["AllowedValues"]), name
        elif each["Type"] == "Number":
            assert each["MinValue"] <= float(default) <= each["MaxValue"], name
        else:
            assert re.fullmatch(each["AllowedPattern"], default), name
            assert each.get("ConstraintDescription") or name == "Architecture", name


def test_readme_lists_every_parameter_with_its_default() -> None:
    deploying = README.split("## Deploying to AWS")[1]
    table = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", deploying, re.MULTILINE))
    words = {"empty": "", "PoYo's": parameters()["DownloadHosts"]["Default"]}

    assert set(table) == set(parameters())
    for name, shown in table.items():
        default = shown.strip("`")
        assert words.get(default, default) == str(parameters()[name]["Default"]), name


def test_every_output_is_described() -> None:
    for name, each in translated_templates()["plain"]["Outputs"].items():
        assert len(each["Description"]) > 15, name


@pytest.mark.parametrize(
    ("condition", "parameter", "no", "yes"),
    [
        ("HasAlarmEmail", "AlarmEmail", "", "a@example.org"),
        ("HasReservedConcurrency", "ReservedConcurrency", "0", "1"),
        ("HasRetention", "ImageRetentionDays", "0", "30"),
        ("HasSavedQueries", "SavedQueries", "false", "true"),
        ("HasCors", "CorsOrigins", "", "https://app.example"),
        ("HasGradualDeploys", "GradualDeploys", "false", "true"),
    ],
)
def test_condition_depends_on_its_parameter(
    condition: str, parameter: str, no: str, yes: str
) -> None:
    document = translated_templates()["plain"]

    assert not holds(Template(document, {parameter: no}), {"Condition": condition})
    assert holds(Template(document, {parameter: yes}), {"Condition": condition})
