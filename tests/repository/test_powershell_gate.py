"""scripts/check.ps1, the gate for PowerShell: it has the same steps and folders as `make check`."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from local.processes import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
POWERSHELL = (ROOT / "scripts" / "check.ps1").read_text()


def makefile_steps() -> list[tuple[str, list[str]]]:
    """The steps of `make check`: names, and commands with the variables expanded."""
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe
    variables = {
        "$(MAKE)": "make",
        "$(DEV)": ".local/envs/dev/bin",
        "$(AUDIT)": ".local/envs/audit/bin",
        "$(SAM)": ".local/envs/sam/bin/sam",
        "$(CODE)": "$Code",
        "$(TYPED)": "$Typed",
        "$(or $(TESTS),tests)": "tests",
    }
    found = []
    for name, command in re.findall(r"\$\(call step,([^,]+),(.*)\)$", recipe[1], re.MULTILINE):
        for variable, value in variables.items():
            command = command.replace(variable, value)  # noqa: PLW2901  # one after the other
        found.append((name, command.split()))
    return found


def powershell_steps() -> list[tuple[str, list[str]]]:
    """The steps of check.ps1 in the same form."""
    found = []
    rows = re.findall(r"^    @\('([^']+)', +'(unix|native)', +(.*)\),?$", POWERSHELL, re.MULTILINE)
    for name, where, row in rows:
        words = [word.strip().strip("'") for word in row.split(",")]
        if where == "native":
            words = [f".local/envs/{words[0]}/bin/{words[1]}", *words[2:]]
        found.append((name, words))
    return found


def test_check_ps1_has_the_steps_of_make_check_in_the_same_order() -> None:
    assert len(makefile_steps()) >= 7
    assert powershell_steps() == makefile_steps()


@pytest.mark.parametrize("name", ["Code", "Typed"])
def test_check_ps1_checks_the_same_folders_as_make(name: str) -> None:
    [wildcard] = re.findall(rf"^{name.upper()} +:= \$\(wildcard (.*)\)$", MAKEFILE, re.MULTILINE)
    [listed] = re.findall(rf"^\${name} = @\((.*?) \|", POWERSHELL, re.MULTILINE)

    assert re.findall(r"'([\w/]+)'", listed) == wildcard.split()


def test_check_ps1_explains_why_each_unix_step_needs_unix() -> None:
    unix_steps = re.findall(r"^    @\('([^']+)', +'unix'", POWERSHELL, re.MULTILINE)
    explained = re.findall(
        r"^        ([\w -]+?)  +\w", POWERSHELL.split(".PARAMETER")[0], re.MULTILINE
    )

    assert unix_steps == explained


def test_powershell_parses_check_ps1() -> None:
    pwsh = shutil.which("pwsh") or shutil.which("powershell")
    if not pwsh:
        pytest.skip("no PowerShell on this machine; `make audit` parses check.ps1 instead")
    parse = (
        "$found = $null; [void][System.Management.Automation.Language.Parser]::ParseFile("
        f"'{ROOT}/scripts/check.ps1', [ref]$null, [ref]$found); $found; exit $found.Count"
    )

    done = subprocess.run(
        [pwsh, "-NoProfile", "-Command", parse], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout
