"""The tools of `make audit`: the template they read, and that they fail for what they should find."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from local.processes import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def translate(*parameters: str) -> subprocess.CompletedProcess[str]:
    python = ROOT / ".local" / "envs" / "cloud" / "bin" / "python"
    return subprocess.run(
        [str(python), "-m", "local.translate", *parameters],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_translated_template_is_plain_cloudformation_with_roles_routes_and_metadata() -> None:
    done = translate("AlarmEmail=a@example.org")
    assert done.returncode == 0, done.stderr
    template = json.loads(done.stdout)
    types = {name: each["Type"] for name, each in template["Resources"].items()}

    assert not [each for each in types.values() if each.startswith("AWS::Serverless")]
    assert types["ApiFunctionRole"] == "AWS::IAM::Role"
    assert types["HttpApiApiGatewayDefaultStage"] == "AWS::ApiGatewayV2::Stage"
    assert template["Parameters"]["AlarmEmail"]["Default"] == "a@example.org"
    resources = template["Resources"]
    assert resources["ApiFunctionRole"]["Metadata"] == resources["ApiFunction"]["Metadata"]


def test_translate_rejects_a_parameter_that_the_template_does_not_have() -> None:
    done = translate("AlarmMail=a@example.org")

    assert done.returncode == 1
    assert done.stderr == "translate: the template has no parameter AlarmMail\n"


def actionlint(*paths: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "scripts" / "actionlint.sh"), *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_actionlint_accepts_our_workflows_and_rejects_a_broken_one(tmp_path: Path) -> None:
    deploy = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
    tmp_path.joinpath("broken.yml").write_text(
        deploy.replace("inputs.environment", "input.environment")
    )

    ours, broken = actionlint(*WORKFLOWS), actionlint(tmp_path)

    assert ours.returncode == 0, ours.stdout
    assert broken.returncode == 1
    assert 'undefined variable "input"' in broken.stdout


def test_actionlint_fails_if_there_are_no_workflows(tmp_path: Path) -> None:
    assert actionlint(tmp_path).returncode == 2


def test_no_audit_tool_runs_with_an_option_that_hides_findings() -> None:
    audit = (ROOT / "Makefile").read_text().split("\naudit:")[1].split("\n\n")[0]
    text = audit + (ROOT / "scripts" / "checkov.sh").read_text()

    assert not re.search(r"soft|skip-check|exit-zero|\|\||--no-exit|severity|--ignore", text)
