"""Delivery: what workflows may do, what they run, and that the papers about it say what is so."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.processes import ROOT
from scripts.release_notes import NotARelease, notes

Table = dict[str, Any]

GITHUB = ROOT / ".github"
FILES = sorted((GITHUB / "workflows").glob("*.yml"))


def read(file: Path) -> Table:
    """A workflow; PyYAML reads YAML 1.1, in which the key `on` means true."""
    return {
        "on" if key is True else key: each for key, each in yaml.safe_load(file.read_text()).items()
    }


WORKFLOWS = {file.stem: read(file) for file in FILES}
JOBS = [(name, key) for name, each in WORKFLOWS.items() for key in each["jobs"]]
DEPLOY = (GITHUB / "workflows" / "deploy.yml").read_text()
PAGE = (ROOT / "docs" / "delivery.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
PAPERS = [ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "delivery.md"]
POWERSHELL = (ROOT / "scripts" / "check.ps1").read_text()


def job(workflow: str, key: str) -> Table:
    found: Table = WORKFLOWS[workflow]["jobs"][key]
    return found


def steps(workflow: str) -> Iterator[Table]:
    for each in WORKFLOWS[workflow]["jobs"].values():
        yield from each.get("steps", [])


def scripts_of(workflow: str) -> list[str]:
    return [step["run"].strip() for step in steps(workflow) if "run" in step]


# ── What workflows are made of ───────────────────────────────────────────────────────────────────


def test_the_workflows_are_these() -> None:
    assert set(WORKFLOWS) == {"check", "deploy", "locks", "release"}
    assert all(each["jobs"] and each["on"] for each in WORKFLOWS.values())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_action_is_pinned_by_its_whole_hash_and_says_its_version(file: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.*)$", file.read_text(), re.MULTILINE)

    assert used
    for each in used:
        if each.startswith("./"):
            assert (ROOT / each).is_file()
        else:
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_an_action_has_one_hash_wherever_it_is_used() -> None:
    text = "\n".join(file.read_text() for file in FILES)
    hashes: dict[str, set[str]] = {}
    for name, pin in re.findall(r"uses: ([\w./-]+)@(.*)", text):
        hashes.setdefault(name, set()).add(pin)

    assert len(hashes) >= 3
    assert {name: pins for name, pins in hashes.items() if len(pins) > 1} == {}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_starts_with_no_permission(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}


def test_each_job_has_the_permissions_it_needs_and_no_other() -> None:
    reads = {"contents": "read"}
    lent = {"contents": "read", "id-token": "write"}

    assert {(name, key): job(name, key)["permissions"] for name, key in JOBS} == {
        ("check", "check"): reads,
        ("deploy", "deploy"): lent,
        ("locks", "resolve"): reads,
        ("locks", "propose"): {"contents": "write", "pull-requests": "write", "actions": "write"},
        ("release", "check"): reads,
        ("release", "notes"): {"contents": "write"},
        ("release", "dev"): lent,
        ("release", "prod"): lent,
    }


@pytest.mark.parametrize(("name", "key"), JOBS)
def test_a_job_ends_some_time(name: str, key: str) -> None:
    assert "uses" in job(name, key) or job(name, key)["timeout-minutes"] <= 90


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_checkout_leaves_its_token_behind(name: str) -> None:
    for step in steps(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_script_has_anything_pasted_into_it(name: str) -> None:
    """What `${{ }}` holds reaches a script through its environment, where it cannot become code."""
    assert not [script for script in scripts_of(name) if "${{" in script]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_workflow_knows_a_secret(file: Path) -> None:
    text = file.read_text()

    assert "secrets" not in text
    assert not re.search(r"access[-_]key|secret[-_]access|session[-_]token|AKIA", text, re.I)
    assert "pull_request_target" not in text
    assert "workflow_run" not in text


# ── What they do ─────────────────────────────────────────────────────────────────────────────────


def test_the_check_is_the_one_gate() -> None:
    commands = [
        line
        for line in (ROOT / ".ci" / "run").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    assert scripts_of("check") == [".ci/run"]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "exec make check"]


def test_every_push_and_every_pull_request_is_checked() -> None:
    when = WORKFLOWS["check"]["on"]

    assert when["push"] == {"branches": ["**"]}
    assert when["pull_request"] is None
    assert "if" not in job("check", "check")


def test_a_tag_passes_the_gate_then_goes_to_dev_then_to_prod() -> None:
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


def test_a_deployment_is_to_an_environment_that_samconfig_knows() -> None:
    sam = tomllib.loads((ROOT / "samconfig.toml").read_text())
    choices = WORKFLOWS["deploy"]["on"]["workflow_dispatch"]["inputs"]["environment"]["options"]

    assert choices == ["dev", "prod"]
    assert job("deploy", "deploy")["environment"]["name"] == "${{ inputs.environment }}"
    for name in choices:
        assert sam[name]["global"]["parameters"]["stack_name"] == f"imagetasks-{name}"
    assert '--stack-name "imagetasks-$ENVIRONMENT"' in DEPLOY
    assert 'sam deploy --config-env "$ENVIRONMENT"' in DEPLOY


def test_code_is_built_before_there_are_credentials() -> None:
    did = [step["uses"] if "uses" in step else step["run"] for step in steps("deploy")]
    names = [each.split("@")[0] for each in did]
    lent = names.index("aws-actions/configure-aws-credentials")

    assert names.index("make build") < lent
    assert all("sam deploy" not in each for each in names[:lent])


def test_prod_takes_release_tags_only_and_says_so_before_anything_else() -> None:
    first = next(steps("deploy"))

    assert first["if"] == "inputs.environment == 'prod' && github.ref_type != 'tag'"
    assert first["run"].strip().endswith("exit 1")


def test_the_page_names_the_variables_that_a_deployment_reads() -> None:
    asked = set(re.findall(r"vars\.(\w+)", DEPLOY))

    assert asked == set(re.findall(r"^\| `(AWS_\w+)` \|", PAGE, re.MULTILINE))
    assert "AWS_ROLE_ARN" in asked


def test_the_job_that_may_push_runs_nothing_but_its_own_script() -> None:
    [script] = [each["run"] for each in job("locks", "propose")["steps"] if "run" in each]

    assert script == 'scripts/propose_locks.sh "$RUNNER_TEMP/locks.patch"'


def test_dependabot_watches_actions_containers_and_every_folder_of_locks() -> None:
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text())["updates"]
    watched = {each["package-ecosystem"]: each for each in updates}
    text = (ROOT / "scripts" / "locks.sh").read_text()
    [sources] = re.findall(r'^sources="(.*)"$', text, re.MULTILINE)

    assert set(watched) == {"github-actions", "devcontainers", "pip"}
    assert set(watched["pip"]["directories"]) == {
        f"/{Path(each).parent}" for each in sources.split()
    }
    assert watched["pip"]["open-pull-requests-limit"] == 0  # its locks would not pass the gate


# ── The scripts that they call ───────────────────────────────────────────────────────────────────


def git(where: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(
        ["git", *identity, *words], cwd=where, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository with an origin, a lock, the script, and a `gh` that notes what it is asked."""
    work = tmp_path / "work"
    for folder in ("requirements", "scripts", "bin"):
        work.joinpath(folder).mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "propose_locks.sh", work / "scripts")
    work.joinpath("requirements", "dev.txt").write_text("a==1\n")
    work.joinpath("Makefile").write_text("check:\n")
    gh = work / "bin" / "gh"
    gh.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\n[ "$1 $2" != "pr view" ]\n')
    gh.chmod(0o755)
    git(tmp_path, "init", "--quiet", "--bare", "origin")
    git(work, "init", "--quiet", "--initial-branch=main")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "--message", "first")
    git(work, "remote", "add", "origin", str(tmp_path / "origin"))
    return work


def propose(work: Path, patch: str) -> subprocess.CompletedProcess[str]:
    file = work.parent / "locks.patch"
    file.write_text(patch)
    return subprocess.run(
        [str(work / "scripts" / "propose_locks.sh"), str(file)],
        env={"PATH": f"{work}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": str(work.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_new_locks_become_a_pull_request_that_is_checked(checkout: Path) -> None:
    checkout.joinpath("requirements", "dev.txt").write_text("a==2\n")
    patch = git(checkout, "diff")
    git(checkout, "checkout", "--quiet", ".")

    done = propose(checkout, patch)

    assert done.returncode == 0, done.stderr
    assert git(checkout.parent / "origin", "show", "locks:requirements/dev.txt") == "a==2\n"
    asked = checkout.parent.joinpath("asked").read_text()
    assert "pr create --head locks" in asked
    assert "workflow run check.yml --ref locks" in asked


def test_a_patch_cannot_bring_anything_but_locks(checkout: Path) -> None:
    checkout.joinpath("requirements", "dev.txt").write_text("a==2\n")
    checkout.joinpath("Makefile").write_text("check:\n\ttrue\n")
    patch = git(checkout, "diff")
    git(checkout, "checkout", "--quiet", ".")

    done = propose(checkout, patch)

    assert done.returncode == 0, done.stderr
    changed = git(checkout.parent / "origin", "diff", "--name-only", "locks~1", "locks")
    assert changed.split() == ["requirements/dev.txt"]


def test_locks_that_are_the_newest_ask_for_nothing(checkout: Path) -> None:
    done = propose(checkout, "")

    assert done.returncode == 0
    assert not checkout.parent.joinpath("asked").exists()
    assert git(checkout, "branch", "--list", "locks") == ""


CHANGELOG = """# Changelog

## Unreleased

## 1.2.3 - 2030-01-31

### Added
- This.

## 1.2.2 - 2029-12-31

- That.
"""


def project(folder: Path, version: str) -> Path:
    folder.joinpath("pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    folder.joinpath("CHANGELOG.md").write_text(CHANGELOG)
    return folder


def test_a_release_says_what_the_changelog_says_of_it(tmp_path: Path) -> None:
    assert notes("v1.2.3", project(tmp_path, "1.2.3")) == "### Added\n- This.\n"
    assert notes("v1.2.2", project(tmp_path, "1.2.2")) == "- That.\n"


@pytest.mark.parametrize(
    ("tag", "version", "why"),
    [
        ("v1.2.3", "1.2.4", "pyproject.toml says 1.2.4"),
        ("1.2.3", "1.2.3", "the tag is 1.2.3"),
        ("v1.3.0", "1.3.0", "nothing under '## 1.3.0"),
    ],
)
def test_a_tag_that_is_no_release_is_refused(
    tmp_path: Path, tag: str, version: str, why: str
) -> None:
    with pytest.raises(NotARelease, match=re.escape(why)):
        notes(tag, project(tmp_path, version))


def test_a_heading_that_only_looks_like_the_version_is_another(tmp_path: Path) -> None:
    folder = project(tmp_path, "1.2.3")
    folder.joinpath("CHANGELOG.md").write_text(CHANGELOG.replace("## 1.2.3", "## 1x2x3"))

    with pytest.raises(NotARelease, match="nothing under"):
        notes("v1.2.3", folder)


# ── The trust that AWS is asked for ──────────────────────────────────────────────────────────────


def policy(name: str) -> list[Table]:
    found = re.search(rf"<!-- {name} policy -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    assert found
    statements: list[Table] = json.loads(found[1])["Statement"]
    return statements


def test_only_this_repository_and_one_environment_are_trusted_by_their_numbers() -> None:
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


def test_the_page_asks_github_for_the_subject_that_the_policy_trusts() -> None:
    keys = re.findall(r"'include_claim_keys\[\]=(\w+)'", PAGE)
    subject = policy("trust")[0]["Condition"]["StringEquals"][
        "token.actions.githubusercontent.com:sub"
    ]

    assert keys == ["repository_owner_id", "repository_id", "context"]
    assert subject.startswith(f"{keys[0]}:OWNER_ID:{keys[1]}:REPOSITORY_ID:environment:")


def test_the_role_for_github_names_each_action_and_passes_on_one_role() -> None:
    statements = policy("deploy")
    actions = [
        action
        for each in statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    ]
    [passing] = [each for each in statements if each["Action"] == "iam:PassRole"]

    assert all(re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action) for action in actions)
    assert {action.split(":")[0] for action in actions} == {"cloudformation", "s3", "iam"}
    assert [action for action in actions if action.startswith("iam:")] == ["iam:PassRole"]
    assert passing["Resource"].endswith(":role/imagetasks-prod-execution")
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}
    }
    assert '--role-arn "$EXECUTION_ROLE"' in DEPLOY


# ── The gate in PowerShell ───────────────────────────────────────────────────────────────────────


def made() -> list[tuple[str, list[str]]]:
    """The steps of `make check`: names, and commands with their programs spelt out."""
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe
    spelt = {
        "$(MAKE)": "make",
        "$(DEV)": ".local/envs/dev/bin",
        "$(AUDIT)": ".local/envs/audit/bin",
        "$(SAM)": ".local/envs/sam/bin/sam",
        "$(CODE)": "$Code",
        "$(TYPED)": "$Typed",
        "$(TESTS)": "tests",
    }
    found = []
    for name, command in re.findall(r"\$\(call step,([^,]+),(.*)\)$", recipe[1], re.MULTILINE):
        for short, long in spelt.items():
            command = command.replace(short, long)  # noqa: PLW2901  # the one after the other
        found.append((name, command.split()))
    return found


def typed() -> list[tuple[str, list[str]]]:
    """The same of check.ps1."""
    found = []
    rows = re.findall(r"^    @\('([^']+)', +'(unix|native)', +(.*)\),?$", POWERSHELL, re.MULTILINE)
    for name, where, row in rows:
        words = [word.strip().strip("'") for word in row.split(",")]
        if where == "native":
            words = [f".local/envs/{words[0]}/bin/{words[1]}", *words[2:]]
        found.append((name, words))
    return found


def test_powershell_takes_the_steps_of_make_check_in_their_order() -> None:
    assert len(made()) >= 7
    assert typed() == made()


@pytest.mark.parametrize("name", ["Code", "Typed"])
def test_powershell_reads_the_folders_that_make_reads(name: str) -> None:
    [wildcard] = re.findall(rf"^{name.upper()} +:= \$\(wildcard (.*)\)$", MAKEFILE, re.MULTILINE)
    [listed] = re.findall(rf"^\${name} = @\((.*?) \|", POWERSHELL, re.MULTILINE)

    assert re.findall(r"'(\w+)'", listed) == wildcard.split()


def test_powershell_says_why_a_step_needs_unix() -> None:
    needing = re.findall(r"^    @\('([^']+)', +'unix'", POWERSHELL, re.MULTILINE)
    explained = re.findall(
        r"^        ([\w -]+?)  +\w", POWERSHELL.split(".PARAMETER")[0], re.MULTILINE
    )

    assert needing == explained


def test_powershell_itself_can_read_the_gate() -> None:
    pwsh = shutil.which("pwsh") or shutil.which("powershell")
    if not pwsh:
        pytest.skip(
            "NOT TRIED: no PowerShell on this machine; `make audit` parses check.ps1 instead"
        )
    reading = (
        "$found = $null; [void][System.Management.Automation.Language.Parser]::ParseFile("
        f"'{ROOT}/scripts/check.ps1', [ref]$null, [ref]$found); $found; exit $found.Count"
    )

    done = subprocess.run(
        [pwsh, "-NoProfile", "-Command", reading], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


# ── What reviews the rest ────────────────────────────────────────────────────────────────────────


def translated(*given: str) -> subprocess.CompletedProcess[str]:
    python = ROOT / ".local" / "envs" / "cloud" / "bin" / "python"
    return subprocess.run(
        [str(python), "-m", "local.translate", *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_translated_template_is_plain_cloudformation_with_roles_routes_and_notes() -> None:
    done = translated("AlarmEmail=a@example.org")
    assert done.returncode == 0, done.stderr
    template = json.loads(done.stdout)
    kinds = {name: each["Type"] for name, each in template["Resources"].items()}

    assert not [kind for kind in kinds.values() if kind.startswith("AWS::Serverless")]
    assert kinds["ApiFunctionRole"] == "AWS::IAM::Role"
    assert kinds["HttpApiApiGatewayDefaultStage"] == "AWS::ApiGatewayV2::Stage"
    assert template["Parameters"]["AlarmEmail"]["Default"] == "a@example.org"
    resources = template["Resources"]
    assert resources["ApiFunctionRole"]["Metadata"] == resources["ApiFunction"]["Metadata"]


def test_a_parameter_that_the_template_does_not_have_is_refused() -> None:
    done = translated("AlarmMail=a@example.org")

    assert done.returncode == 1
    assert done.stderr == "translate: the template has no parameter AlarmMail\n"


def actionlint(*paths: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "scripts" / "actionlint.sh"), *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_actionlint_takes_our_workflows_and_not_a_broken_one(tmp_path: Path) -> None:
    broken = DEPLOY.replace("inputs.environment", "input.environment")
    tmp_path.joinpath("broken.yml").write_text(broken)

    ours, theirs = actionlint(*FILES), actionlint(tmp_path)

    assert ours.returncode == 0, ours.stdout
    assert theirs.returncode == 1
    assert 'undefined variable "input"' in theirs.stdout


def test_actionlint_that_has_read_nothing_has_not_passed(tmp_path: Path) -> None:
    assert actionlint(tmp_path).returncode == 2


def test_no_audit_is_told_to_look_away() -> None:
    audit = MAKEFILE.split("\naudit:")[1].split("\n\n")[0]
    text = audit + (ROOT / "scripts" / "checkov.sh").read_text()

    assert not re.search(r"soft|skip-check|exit-zero|\|\||--no-exit|severity|--ignore", text)


# ── The papers ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_what_a_paper_points_to_is_there(paper: Path) -> None:
    text = paper.read_text()
    linked = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    named = re.findall(r"`((?:local|scripts|tests|docs|requirements|\.github)/[\w./]+)`", text)

    assert linked or named
    assert [link for link in linked if not (paper.parent / link).exists()] == []
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_every_make_in_a_paper_is_a_target(paper: Path) -> None:
    asked = set(re.findall(r"(?:`|^|&& |── )make ([a-z-]+)", paper.read_text(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))

    assert asked
    assert asked <= targets


def test_the_container_has_our_python_and_makes_the_environments() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    version = (ROOT / ".python-version").read_text().strip()

    assert container["image"].startswith(f"python:{version}-")
    assert container["postCreateCommand"] == "make envs"
    assert container["forwardPorts"] == [8787]
