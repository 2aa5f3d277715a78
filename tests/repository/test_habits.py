"""Editor, pre-commit and GitHub files: they exist, parse, and name existing scripts, commands and files."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.processes import ROOT

Table = dict[str, Any]

GITHUB = ROOT / ".github"
MAKEFILE = (ROOT / "Makefile").read_text()
PRE_COMMIT = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
HOOKS = {hook["id"]: hook for repo in PRE_COMMIT["repos"] for hook in repo["hooks"]}
FORMS = {path.stem: path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml")}
TEMPLATES = [*FORMS.values(), GITHUB / "PULL_REQUEST_TEMPLATE.md"]


def form(name: str) -> Table:
    loaded: Table = yaml.safe_load(FORMS[name].read_text())
    return loaded


def fields(name: str) -> dict[str, Table]:
    """The input fields of an issue form by id."""
    return {each["id"]: each for each in form(name)["body"] if each["type"] != "markdown"}


def test_editorconfig_is_the_root_and_covers_every_file() -> None:
    parser = configparser.ConfigParser()
    parser.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())

    assert parser["top"]["root"] == "true"
    assert parser["*"]["end_of_line"] == "lf"
    assert parser["*"]["insert_final_newline"] == "true"
    assert parser["{Makefile,*.mk}"]["indent_style"] == "tab"


def test_pre_commit_has_only_local_hooks_for_ruff_and_the_locks() -> None:
    assert {repo["repo"] for repo in PRE_COMMIT["repos"]} == {"local"}
    assert set(HOOKS) == {"ruff-format", "ruff-check", "locks"}
    assert {hook["language"] for hook in HOOKS.values()} == {"system"}


@pytest.mark.parametrize("hook", HOOKS)
def test_pre_commit_hook_runs_an_existing_program_as_make_check_does(hook: str) -> None:
    program, *words = shlex.split(HOOKS[hook]["entry"])
    command = " ".join([program, *(word for word in words if word != "--force-exclude")])

    assert os.access(ROOT / program, os.X_OK)
    assert command in MAKEFILE.replace("$(DEV)", ".local/envs/dev/bin")


def test_locks_hook_runs_for_every_lock_and_its_source() -> None:
    folders = [ROOT / "requirements", ROOT / "layers" / "dependencies"]
    locks = [
        path for folder in folders for kind in ("in", "txt") for path in folder.glob(f"*.{kind}")
    ]
    pattern = HOOKS["locks"]["files"]

    assert len(locks) >= 10
    assert [path for path in locks if not re.search(pattern, str(path.relative_to(ROOT)))] == []


def test_issue_forms_are_a_bug_report_and_a_feature_request() -> None:
    assert set(FORMS) == {"bug", "feature", "config"}
    assert form("config")["blank_issues_enabled"] is False
    for name in ("bug", "feature"):
        assert {"name", "description", "labels", "body"} == set(form(name))
        assert all(field["attributes"]["label"] for field in fields(name).values())


def test_bug_report_requests_what_an_operator_can_search_for() -> None:
    described = {name: str(field["attributes"]) for name, field in fields("bug").items()}

    assert "imagetasks stack doctor" in described["doctor"]
    assert "apigw-requestid" in described["request_id"]
    assert "ReleaseSha" in described["version"]
    assert re.search(r"^  ReleaseSha:$", (ROOT / "template.yaml").read_text(), re.MULTILINE)
    assert fields("bug")["expected"]["validations"]["required"] is True


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_name_existing_modules_make_targets_and_files(path: Path) -> None:
    text = path.read_text()
    modules = re.findall(r"python -m ([\w.]+)", text)
    targets = re.findall(r"`make ([a-z-]+)`", text)
    named = re.findall(r"\b(?:docs|tests)/[\w/]+\.\w+|\b[A-Z]{5,}\.md\b", text)

    assert [module for module in modules if importlib.util.find_spec(module) is None] == []
    assert set(targets) <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_file_has_a_code_owner() -> None:
    lines = (GITHUB / "CODEOWNERS").read_text().splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]

    assert rules[0][0] == "*"
    assert all(
        re.fullmatch(r"@[\w-]+(/[\w-]+)?", owner) for _, *owners in rules for owner in owners
    )
    assert all(len(rule) > 1 for rule in rules)


@pytest.mark.parametrize(
    ("arguments", "tests"),
    [([], "tests/unit tests/integration"), (["TESTS=tests/deployed"], "tests/deployed")],
    ids=["by default", "with TESTS"],
)
def test_make_test_runs_the_unit_and_integration_tests_or_the_given_ones(
    arguments: list[str], tests: str
) -> None:
    environ = {
        name: value for name, value in os.environ.items() if name not in ("TESTS", "MAKEFLAGS")
    }
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "test", *arguments],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.splitlines()[-1].endswith(f" {tests}")
