"""docs/delivery.md, CONTRIBUTING.md and SECURITY.md: their policies, paths and commands match the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from local.processes import ROOT

Table = dict[str, Any]

DELIVERY = (ROOT / "docs" / "delivery.md").read_text()
DEPLOY = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
DOCUMENTS = [ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "delivery.md"]


def policy(name: str) -> list[Table]:
    found = re.search(rf"<!-- {name} policy -->\n```json\n(.*?)```", DELIVERY, re.DOTALL)
    assert found
    statements: list[Table] = json.loads(found[1])["Statement"]
    return statements


def test_trust_policy_trusts_this_repository_and_one_environment_by_numeric_id() -> None:
    [statement] = policy("trust")
    [(operator, conditions)] = statement["Condition"].items()
    issuer = "token.actions.githubusercontent.com"

    assert operator == "StringEquals"
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"]["Federated"].endswith(f":oidc-provider/{issuer}")
    assert conditions == {
        f"{issuer}:aud": "sts.amazonaws.com",
        f"{issuer}:sub": "repository_owner_id:OWNER_ID:repository_id:REPOSITORY_ID:environment:prod",
    }


def test_documented_subject_customization_yields_the_subject_of_the_trust_policy() -> None:
    keys = re.findall(r"'include_claim_keys\[\]=(\w+)'", DELIVERY)
    subject = policy("trust")[0]["Condition"]["StringEquals"][
        "token.actions.githubusercontent.com:sub"
    ]

    assert keys == ["repository_owner_id", "repository_id", "context"]
    assert subject.startswith(f"{keys[0]}:OWNER_ID:{keys[1]}:REPOSITORY_ID:environment:")


def test_deploy_role_lists_each_action_and_may_pass_one_role_only() -> None:
    statements = policy("deploy")
    actions = [
        action
        for each in statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    ]
    [pass_role] = [each for each in statements if each["Action"] == "iam:PassRole"]

    assert all(re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action) for action in actions)
    assert {action.split(":")[0] for action in actions} == {"cloudformation", "s3", "iam"}
    assert [action for action in actions if action.startswith("iam:")] == ["iam:PassRole"]
    assert pass_role["Resource"].endswith(":role/imagetasks-prod-execution")
    assert pass_role["Condition"] == {
        "StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}
    }
    assert '--role-arn "$EXECUTION_ROLE"' in DEPLOY


def test_delivery_md_lists_the_variables_that_the_deployment_reads() -> None:
    variables = set(re.findall(r"vars\.(\w+)", DEPLOY))

    assert variables == set(re.findall(r"^\| `(AWS_\w+)` \|", DELIVERY, re.MULTILINE))
    assert "AWS_ROLE_ARN" in variables


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_linked_or_named_file_exists(document: Path) -> None:
    text = document.read_text()
    linked = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    named = re.findall(r"`((?:local|scripts|tests|docs|requirements|\.github)/[\w./]+)`", text)

    assert linked or named
    assert [link for link in linked if not (document.parent / link).exists()] == []
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_documented_make_target_exists(document: Path) -> None:
    used = set(re.findall(r"(?:`|^|&& |── )make ([a-z-]+)", document.read_text(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))

    assert used
    assert used <= targets


def test_dev_container_has_our_python_and_runs_make_setup() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    version = (ROOT / ".python-version").read_text().strip()

    assert container["image"].startswith(f"python:{version}-")
    assert container["postCreateCommand"] == "make setup"
    assert container["forwardPorts"] == [8787]
