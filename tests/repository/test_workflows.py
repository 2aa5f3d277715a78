"""The GitHub workflows: their permissions, pinned actions, triggers and commands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.processes import ROOT

Table = dict[str, Any]

GITHUB = ROOT / ".github"
FILES = sorted((GITHUB / "workflows").glob("*.yml"))


def read(file: Path) -> Table:
    """A workflow. PyYAML reads YAML 1.1, in which the key `on` means true."""
    return {
        "on" if key is True else key: each for key, each in yaml.safe_load(file.read_text()).items()
    }


WORKFLOWS = {file.stem: read(file) for file in FILES}
JOBS = [(name, key) for name, each in WORKFLOWS.items() for key in each["jobs"]]
DEPLOY = (GITHUB / "workflows" / "deploy.yml").read_text()


def job(workflow: str, key: str) -> Table:
    found: Table = WORKFLOWS[workflow]["jobs"][key]
    return found


def steps(workflow: str) -> Iterator[Table]:
    for each in WORKFLOWS[workflow]["jobs"].values():
        yield from each.get("steps", [])


def run_commands(workflow: str) -> list[str]:
    return [step["run"].strip() for step in steps(workflow) if "run" in step]


def test_there_are_four_workflows_each_with_jobs_and_triggers() -> None:
    assert set(WORKFLOWS) == {"check", "deploy", "locks", "release"}
    assert all(each["jobs"] and each["on"] for each in WORKFLOWS.values())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_action_is_pinned_by_commit_hash_with_its_version_as_comment(file: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.*)$", file.read_text(), re.MULTILINE)

    assert used
    for each in used:
        if each.startswith("./"):
            assert (ROOT / each).is_file()
        else:
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_an_action_has_the_same_hash_in_all_workflows() -> None:
    text = "\n".join(file.read_text() for file in FILES)
    hashes: dict[str, set[str]] = {}
    for name, pin in re.findall(r"uses: ([\w./-]+)@(.*)", text):
        hashes.setdefault(name, set()).add(pin)

    assert len(hashes) >= 3
    assert {name: pins for name, pins in hashes.items() if len(pins) > 1} == {}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflow_has_no_permissions_by_default(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}


def test_each_job_has_only_the_permissions_it_needs() -> None:
    read_only = {"contents": "read"}
    with_token = {"contents": "read", "id-token": "write"}

    assert {(name, key): job(name, key)["permissions"] for name, key in JOBS} == {
        ("check", "check"): read_only,
        ("deploy", "deploy"): with_token,
        ("locks", "resolve"): read_only,
        ("locks", "propose"): {"contents": "write", "pull-requests": "write", "actions": "write"},
        ("release", "check"): read_only,
        ("release", "notes"): {"contents": "write"},
        ("release", "dev"): with_token,
        ("release", "prod"): with_token,
    }


@pytest.mark.parametrize(("name", "key"), JOBS)
def test_job_has_a_timeout(name: str, key: str) -> None:
    assert "uses" in job(name, key) or job(name, key)["timeout-minutes"] <= 90


@pytest.mark.parametrize("name", WORKFLOWS)
def test_checkout_does_not_persist_its_token(name: str) -> None:
    for step in steps(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", WORKFLOWS)
def test_run_commands_contain_no_expressions(name: str) -> None:
    """Values of `${{ }}` are passed as environment variables, where they cannot become code."""
    assert not [command for command in run_commands(name) if "${{" in command]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_workflow_uses_no_secrets(file: Path) -> None:
    text = file.read_text()

    assert "secrets" not in text
    assert not re.search(r"access[-_]key|secret[-_]access|session[-_]token|AKIA", text, re.I)
    assert "pull_request_target" not in text
    assert "workflow_run" not in text


def test_check_workflow_runs_make_check_only() -> None:
    commands = [
        line
        for line in (ROOT / ".ci" / "run").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    assert run_commands("check") == [".ci/run"]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "exec make check"]


def test_check_workflow_runs_for_every_push_and_pull_request() -> None:
    triggers = WORKFLOWS["check"]["on"]

    assert triggers["push"] == {"branches": ["**"]}
    assert triggers["pull_request"] is None
    assert "if" not in job("check", "check")


def test_release_tag_runs_the_gate_then_deploys_to_dev_then_to_prod() -> None:
    jobs = WORKFLOWS["release"]["jobs"]
    deploy = "./.github/workflows/deploy.yml"

    assert WORKFLOWS["release"]["on"] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}
    assert jobs["check"]["uses"] == "./.github/workflows/check.yml"
    assert [jobs[name].get("needs") for name in ("notes", "dev", "prod")] == [
        "check",
        "notes",
        "dev",
    ]
    for name in ("dev", "prod"):
        assert (jobs[name]["uses"], jobs[name]["with"]) == (deploy, {"environment": name})


def test_deploy_workflow_offers_the_environments_of_samconfig() -> None:
    sam = tomllib.loads((ROOT / "samconfig.toml").read_text())
    choices = WORKFLOWS["deploy"]["on"]["workflow_dispatch"]["inputs"]["environment"]["options"]

    assert choices == ["dev", "prod"]
    assert job("deploy", "deploy")["environment"]["name"] == "${{ inputs.environment }}"
    for name in choices:
        assert sam[name]["global"]["parameters"]["stack_name"] == f"imagetasks-{name}"
    assert '--stack-name "imagetasks-$ENVIRONMENT"' in DEPLOY
    assert 'sam deploy --config-env "$ENVIRONMENT"' in DEPLOY


def test_code_is_built_before_the_job_gets_credentials() -> None:
    actions = [step["uses"] if "uses" in step else step["run"] for step in steps("deploy")]
    names = [each.split("@")[0] for each in actions]
    credentials = names.index("aws-actions/configure-aws-credentials")

    assert names.index("make build") < credentials
    assert all("sam deploy" not in each for each in names[:credentials])


def test_first_step_of_a_prod_deployment_requires_a_release_tag() -> None:
    first = next(steps("deploy"))

    assert first["if"] == "inputs.environment == 'prod' && github.ref_type != 'tag'"
    assert first["run"].strip().endswith("exit 1")


def test_job_that_may_push_runs_only_propose_locks() -> None:
    [command] = [each["run"] for each in job("locks", "propose")["steps"] if "run" in each]

    assert command == 'scripts/propose_locks.sh "$RUNNER_TEMP/locks.patch"'


def test_dependabot_covers_actions_dev_containers_and_every_folder_of_locks() -> None:
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text())["updates"]
    watched = {each["package-ecosystem"]: each for each in updates}
    text = (ROOT / "scripts" / "locks.sh").read_text()
    [sources] = re.findall(r'^sources="(.*)"$', text, re.MULTILINE)

    assert set(watched) == {"github-actions", "devcontainers", "pip"}
    assert set(watched["pip"]["directories"]) == {
        f"/{Path(each).parent}" for each in sources.split()
    }
    assert (
        watched["pip"]["open-pull-requests-limit"] == 0
    )  # the gate rejects locks written by dependabot
