"""cli.release: it prints the parameters of samconfig.toml and a ReleaseSha that changes with every release."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from cli import release
from cli.release import main, overrides
from local.processes import ROOT

SAM = ROOT / ".local" / "envs" / "sam" / "bin" / "python"
PARSE = (
    "import json, sys; from samcli.cli.types import CfnParameterOverridesType as T;"
    "print(json.dumps(T().convert(tuple(sys.argv[1:]), None, None)))"
)

SETTINGS = tomllib.loads((ROOT / "samconfig.toml").read_text())
SAVED = {
    name: dict(
        each.split("=")
        for each in settings["deploy"]["parameters"].get("parameter_overrides", "").split()
    )
    for name, settings in SETTINGS.items()
    if name != "version"
}


def parsed_by_sam(line: str) -> dict[str, str]:
    """The parameters that SAM CLI itself reads from a `--parameter-overrides`."""
    done = subprocess.run([SAM, "-c", PARSE, line], check=True, capture_output=True, text=True)
    parameters: dict[str, str] = json.loads(done.stdout)
    return parameters


def samconfig(folder: Path, value: str) -> Path:
    """A samconfig.toml with these parameters for `prod`."""
    file = folder / "samconfig.toml"
    file.write_text(f"[prod.deploy.parameters]\n{value}\n")
    return file


@pytest.fixture
def source_digest(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digest of the sources, in a list so that a test can change it."""
    current = ["a" * 64]
    monkeypatch.setattr(release, "digest", lambda: current[0])
    return current


@pytest.mark.parametrize("environment", SAVED)
def test_sam_parses_the_saved_parameters_and_a_release_sha_that_the_template_allows(
    environment: str,
) -> None:
    parameters = parsed_by_sam(overrides(environment))
    template = (ROOT / "template.yaml").read_text()
    [pattern] = re.findall(r"ReleaseSha:\n(?: {4}.*\n)*? {4}AllowedPattern: (.*)\n", template)

    assert re.fullmatch(pattern, parameters.pop("ReleaseSha"))
    assert parameters == SAVED[environment]


def test_release_sha_is_the_same_for_the_same_sources_and_parameters(
    source_digest: list[str],
) -> None:
    assert overrides("prod") == overrides("prod")
    assert overrides("prod") != overrides("dev")


def test_release_sha_changes_with_the_sources(source_digest: list[str]) -> None:
    before = overrides("prod")
    source_digest[0] = "b" * 64

    assert overrides("prod") != before


def test_parameter_given_as_argument_is_passed_on_and_changes_the_release_sha(
    source_digest: list[str],
) -> None:
    before, after = (
        parsed_by_sam(overrides("dev")),
        parsed_by_sam(overrides("dev", ("PoyoSubmitsPer10s=40",))),
    )

    assert after["PoyoSubmitsPer10s"] == "40"
    assert after["LogRetentionDays"] == before["LogRetentionDays"]
    assert after["ReleaseSha"] != before["ReleaseSha"]


@pytest.mark.parametrize(
    "value",
    [
        r"""parameter_overrides = "ReleaseSha=\"\" DownloadHosts=\"a.example,*.b.example\" PublicUrl=\"\"" """,
        """parameter_overrides = ['ReleaseSha="0000"', 'DownloadHosts="a.example,*.b.example"', 'PublicUrl=""']""",
    ],
    ids=["written by guided", "list"],
)
def test_release_sha_saved_in_samconfig_is_replaced(
    tmp_path: Path, source_digest: list[str], value: str
) -> None:
    line = overrides("prod", config=samconfig(tmp_path, value))

    assert line.count("ReleaseSha=") == 1
    parameters = parsed_by_sam(line)
    assert len(parameters.pop("ReleaseSha")) == 64
    assert parameters == {"DownloadHosts": "a.example,*.b.example", "PublicUrl": ""}


def test_unknown_environment_and_invalid_parameter_are_rejected(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["nowhere"]) == 1
    assert main(["prod", "PoyoSubmitsPer10s"]) == 1

    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        "samconfig.toml has no environment 'nowhere'",
        "not Name=value: PoyoSubmitsPer10s",
    ]


def test_every_documented_deployment_passes_a_release_sha() -> None:
    """Without an override a stack keeps its previous ReleaseSha, and no new version is published."""
    workflow = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
    documents = [ROOT / "docs" / "delivery.md", ROOT / "docs" / "operating.md"]
    commands = [
        command
        for text in (workflow, *(document.read_text() for document in documents))
        for command in re.findall(r"^.*sam deploy --config-env(?:.*\\\n)*.*$", text, re.MULTILINE)
    ]

    assert len(commands) == 3
    for command in commands:
        assert re.search(
            r'--parameter-overrides "\$(release|\(\S+ -m cli release prod\))"', command
        )
    assert 'release=$(.local/envs/dev/bin/python -m cli release "$ENVIRONMENT")\n' in workflow
