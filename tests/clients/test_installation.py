"""The command line as operators install it, and without their commands."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli.commands import COMMANDS
from imagetasks_client.cli import program as program_module

ROOT = Path(__file__).parents[2]
UV = subprocess.run(
    [ROOT / "scripts" / "environment.sh", "uv"], capture_output=True, text=True, check=True
).stdout.strip()


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it in an empty folder, without this environment's packages."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [program, *arguments],
        cwd=program.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`uv tool install` of this clone."""
    folder = tmp_path_factory.mktemp("installed")
    places = {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    source, operators = f"{ROOT}/clients/python[cli]", ("--with-editable", str(ROOT))
    command = [UV, "tool", "install", "--quiet", source, *operators]
    subprocess.run(command, env={**os.environ, **places}, check=True, timeout=300)
    return folder / "bin" / "imagetasks"


def test_installed_program_starts_and_completes(program: Path) -> None:
    assert run(program, "--version").stdout.strip() == "0.1.0"
    assert "_IMAGETASKS_COMPLETE" in run(program, "completion", "bash").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_operators_command_starts(program: Path, command: str) -> None:
    told = run(program, "stack", command, "--help")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("usage: imagetasks stack")


def test_operators_commands_say_how_they_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cli.commands", None)
    app = typer.Typer()
    program_module.add_operators_commands(app)
    app.command()(lambda: None)
    told = CliRunner().invoke(app, ["stack", "doctor", "--stack", "imagetasks-prod"])
    assert told.exit_code == 2
    assert "--with-editable ." in told.stderr


def test_client_is_written_in_the_oldest_python_that_it_promises() -> None:
    project = ROOT / "clients" / "python"
    settings = tomllib.loads((project / "pyproject.toml").read_text())
    oldest = settings["project"]["requires-python"].removeprefix(">=")
    major, minor = (int(part) for part in oldest.split("."))
    sources = list(project.rglob("*.py"))
    assert len(sources) > 20
    for source in sources:
        ast.parse(source.read_text(), str(source), feature_version=(major, minor))


def test_command_line_starts_without_the_modules_that_only_unix_has() -> None:
    without = "import sys; sys.modules.update(dict.fromkeys(['termios', 'tty', 'fcntl', 'pwd', 'resource']))"
    program = f"{without}; from imagetasks_client.cli.program import app; app(['--help'])"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "clients" / "python" / "src")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "generate" in done.stdout
