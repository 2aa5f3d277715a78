"""`python -m cli.release`: a name for what is released, beside the parameters that were prepared."""

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
READ = (
    "import json, sys; from samcli.cli.types import CfnParameterOverridesType as T;"
    "print(json.dumps(T().convert(tuple(sys.argv[1:]), None, None)))"
)

SETTINGS = tomllib.loads((ROOT / "samconfig.toml").read_text())
PREPARED = {
    name: dict(
        each.split("=")
        for each in settings["deploy"]["parameters"].get("parameter_overrides", "").split()
    )
    for name, settings in SETTINGS.items()
    if name != "version"
}


def understood(line: str) -> dict[str, str]:
    """What SAM CLI itself makes of one `--parameter-overrides`."""
    done = subprocess.run([SAM, "-c", READ, line], check=True, capture_output=True, text=True)
    read: dict[str, str] = json.loads(done.stdout)
    return read


def prepared(folder: Path, value: str) -> Path:
    """A samconfig.toml whose `prod` has this for its parameters."""
    file = folder / "samconfig.toml"
    file.write_text(f"[prod.deploy.parameters]\n{value}\n")
    return file


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the sources hash to; a test may say something else."""
    now = ["a" * 64]
    monkeypatch.setattr(release, "digest", lambda: now[0])
    return now


@pytest.mark.parametrize("environment", PREPARED)
def test_sam_reads_the_prepared_parameters_and_a_release_the_template_takes(
    environment: str,
) -> None:
    read = understood(overrides(environment))
    template = (ROOT / "template.yaml").read_text()
    [pattern] = re.findall(r"ReleaseSha:\n(?: {4}.*\n)*? {4}AllowedPattern: (.*)\n", template)

    assert re.fullmatch(pattern, read.pop("ReleaseSha"))
    assert read == PREPARED[environment]


def test_the_same_sources_and_parameters_are_the_same_release(built: list[str]) -> None:
    assert overrides("prod") == overrides("prod")
    assert overrides("prod") != overrides("dev")


def test_other_sources_are_another_release(built: list[str]) -> None:
    before = overrides("prod")
    built[0] = "b" * 64

    assert overrides("prod") != before


def test_a_parameter_of_the_moment_is_passed_on_and_makes_another_release(
    built: list[str],
) -> None:
    before, after = (
        understood(overrides("dev")),
        understood(overrides("dev", ("PoyoSubmitsPer10s=40",))),
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
    ids=["as guided writes it", "as a list"],
)
def test_an_earlier_release_that_was_written_down_is_left_out(
    tmp_path: Path, built: list[str], value: str
) -> None:
    line = overrides("prod", config=prepared(tmp_path, value))

    assert line.count("ReleaseSha=") == 1
    read = understood(line)
    assert len(read.pop("ReleaseSha")) == 64
    assert read == {"DownloadHosts": "a.example,*.b.example", "PublicUrl": ""}


def test_what_is_not_prepared_or_not_a_parameter_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["nowhere"]) == 1
    assert main(["prod", "PoyoSubmitsPer10s"]) == 1

    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "samconfig.toml prepares no environment 'nowhere'",
        "not Name=value: PoyoSubmitsPer10s",
    ]


def test_every_deployment_that_is_written_down_names_its_release() -> None:
    """A stack that once had a ReleaseSha keeps it until it is told another, and publishes nothing."""
    workflow = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
    papers = [ROOT / "docs" / "delivery.md", ROOT / "docs" / "operating.md"]
    commands = [
        command
        for text in (workflow, *(paper.read_text() for paper in papers))
        for command in re.findall(r"^.*sam deploy --config-env(?:.*\\\n)*.*$", text, re.MULTILINE)
    ]

    assert len(commands) == 3
    for command in commands:
        assert re.search(
            r'--parameter-overrides "\$(release|\(\S+ -m cli\.release prod\))"', command
        )
    assert 'release=$(.local/envs/dev/bin/python -m cli.release "$ENVIRONMENT")\n' in workflow
