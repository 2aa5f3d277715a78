"""`python -m tests.mutation [--only WORD]`: insert each defect into a copy and see what finds it."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.mutant import SIMULATION, Mutant
from tests.mutation.mutants import MUTANTS

ROOT = Path(__file__).parents[2]
COPIED = (
    "functions", "tests", "local", "cli", "scripts", "pyproject.toml", "template.yaml", "README.md",
    "SECURITY.md", "docs", "catalog", "clients",
)  # fmt: skip
SEEDS = 3000  # a mutant that no seed finds has survived
TIMEOUT_S = 900  # of one simulation or test run


@dataclass(frozen=True, slots=True)
class Verdict:
    """What found the defect (None: it survived), and after how many seconds."""

    found_by: str | None
    seconds: float


def main() -> int:
    """Check every mutant; 1 if one survives or its code is not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--only", default="", help="mutants with this text in their name or file")
    only = parser.parse_args().only
    chosen = [each for each in MUTANTS if only in f"{each.name} {each.file}"]
    started, survivors = time.monotonic(), 0
    for mutant in chosen:
        verdict = check(mutant)
        survivors += verdict.found_by is None
        found_by = verdict.found_by or "SURVIVED"
        sys.stdout.write(f"{mutant.name:<72} {found_by:<70} {verdict.seconds:>6.1f} s\n")
        sys.stdout.flush()
    minutes = (time.monotonic() - started) / 60
    sys.stdout.write(f"\n{len(chosen)} mutants, {survivors} survived, {minutes:.1f} min\n")
    return int(survivors > 0)


def check(mutant: Mutant) -> Verdict:
    """Insert the defect into a copy of the repository and run its catcher there."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        tree = Path(name)
        for each in COPIED:
            _copy(ROOT / each, tree / each)
        (tree / ".local").symlink_to(ROOT / ".local")
        file = tree / mutant.path
        try:
            file.write_text(mutant.applied(file.read_text()))
        except ValueError as error:
            sys.stdout.write(f"{mutant.name}: {error}\n")
            return Verdict(None, 0)
        run = _simulate if mutant.catcher == SIMULATION else _test
        found_by = run(tree, mutant)
    return Verdict(found_by, time.monotonic() - started)


def _simulate(tree: Path, _: Mutant) -> str | None:
    """The first seed that violates an invariant, and which."""
    arguments = ["--seeds", str(SEEDS), "--jobs", "2", "--most", "1"]
    try:
        done = _run(tree, [sys.executable, "-m", "tests.simulation", *arguments])
    except subprocess.TimeoutExpired:
        return None
    found = re.search(r"^seed (\d+): VIOLATED ([^:({]*)", done.stdout, re.MULTILINE)
    return f"seed {found[1]}: {found[2].strip()}" if found else None


def _test(tree: Path, mutant: Mutant) -> str | None:
    """The first test of the catcher that fails."""
    arguments = ["-q", "-x", "-p", "no:cacheprovider", f"tests/{mutant.catcher}"]
    done = _run(tree, [sys.executable, "-m", "pytest", *arguments])
    found = re.search(r"^FAILED tests/(.+?)(?: - |$)", done.stdout, re.MULTILINE)
    return found[1] if found else None


def _run(tree: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    path = f"{tree / 'functions'}:{tree}"
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that the simulation's own processes end with it
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=TIMEOUT_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


if __name__ == "__main__":
    sys.exit(main())
