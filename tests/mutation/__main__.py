"""`python -m tests.mutation [--only WORD]`: break a copy of the tree, see who notices."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.mutants import MUTANTS, SIMULATION, Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("functions", "tests", "local", "cli", "pyproject.toml", "template.yaml", "README.md")
SEEDS = 3000  # a mutant that lives so long has survived
SLOWEST_S = 900


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who caught a mutant (None: nobody), and after how many seconds."""

    by: str | None
    seconds: float


def main() -> int:
    """Judge every mutant; 1 when one survives or is no longer there to be made."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--only", default="", help="mutants with this in their name")
    chosen = [each for each in MUTANTS if parser.parse_args().only in each.name]
    began, survivors = time.monotonic(), 0
    for mutant in chosen:
        verdict = judge(mutant)
        survivors += verdict.by is None
        caught = verdict.by or "NOBODY"
        sys.stdout.write(f"{mutant.name:<62} {caught:<58} {verdict.seconds:>6.1f} s\n")
        sys.stdout.flush()
    minutes = (time.monotonic() - began) / 60
    sys.stdout.write(f"\n{len(chosen)} mutants, {survivors} survived, {minutes:.1f} min\n")
    return int(survivors > 0)


def judge(mutant: Mutant) -> Verdict:
    """Make the mutant in a copy of the tree and wait for its catcher."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        tree = Path(name)
        for each in COPIED:
            _copy(ROOT / each, tree / each)
        (tree / ".local").symlink_to(ROOT / ".local")
        file = tree / "functions" / "imagetasks" / mutant.file
        if not file.exists():  # a door, or a hall behind it
            file = tree / "functions" / mutant.file
        text = file.read_text()
        if text.count(mutant.old) != 1:
            found = f"its line occurs {text.count(mutant.old)} times in {mutant.file}"
            sys.stdout.write(f"{mutant.name}: {found}\n")
            return Verdict(None, 0)
        file.write_text(text.replace(mutant.old, mutant.new))
        by = _simulated(tree) if mutant.catcher == SIMULATION else _tested(tree, mutant.catcher)
    return Verdict(by, time.monotonic() - began)


def _simulated(tree: Path) -> str | None:
    """The seed that broke and the promise that did not hold."""
    wanted = ["--seeds", str(SEEDS), "--jobs", "2", "--most", "1"]
    try:
        said = _run(tree, [sys.executable, "-m", "tests.simulation", *wanted])
    except subprocess.TimeoutExpired:
        return None
    found = re.search(r"^seed (\d+): VIOLATED ([^:({]*)", said.stdout, re.MULTILINE)
    return f"seed {found[1]}: {found[2].strip()}" if found else None


def _tested(tree: Path, name: str) -> str | None:
    """The first test in `name` that failed."""
    arguments = ["-q", "-x", "-p", "no:cacheprovider", f"tests/{name}"]
    said = _run(tree, [sys.executable, "-m", "pytest", *arguments])
    found = re.search(r"^FAILED tests/(\S+)", said.stdout, re.MULTILINE)
    return found[1] if found else None


def _run(tree: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    path = f"{tree / 'functions'}:{tree}"
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command,
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SLOWEST_S,
        check=False,
    )


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


if __name__ == "__main__":
    sys.exit(main())
