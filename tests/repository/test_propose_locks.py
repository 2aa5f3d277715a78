"""scripts/propose_locks.sh: a patch of the locks becomes a pull request, and nothing else gets into it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from local.processes import ROOT


def git(directory: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(
        ["git", *identity, *words], cwd=directory, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository with an origin, a lock, the script, and a `gh` that records its arguments."""
    work = tmp_path / "work"
    for folder in ("requirements", "scripts", "bin"):
        work.joinpath(folder).mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "propose_locks.sh", work / "scripts")
    work.joinpath("requirements", "dev.txt").write_text("a==1\n")
    work.joinpath("Makefile").write_text("check:\n")
    gh = work / "bin" / "gh"
    gh.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/gh-calls\n[ "$1 $2" != "pr view" ]\n')
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


def test_changed_locks_become_a_pull_request_and_start_the_gate(checkout: Path) -> None:
    checkout.joinpath("requirements", "dev.txt").write_text("a==2\n")
    patch = git(checkout, "diff")
    git(checkout, "checkout", "--quiet", ".")

    done = propose(checkout, patch)

    assert done.returncode == 0, done.stderr
    assert git(checkout.parent / "origin", "show", "locks:requirements/dev.txt") == "a==2\n"
    calls = checkout.parent.joinpath("gh-calls").read_text()
    assert "pr create --head locks" in calls
    assert "workflow run check.yml --ref locks" in calls


def test_changes_to_other_files_than_locks_are_not_proposed(checkout: Path) -> None:
    checkout.joinpath("requirements", "dev.txt").write_text("a==2\n")
    checkout.joinpath("Makefile").write_text("check:\n\ttrue\n")
    patch = git(checkout, "diff")
    git(checkout, "checkout", "--quiet", ".")

    done = propose(checkout, patch)

    assert done.returncode == 0, done.stderr
    changed = git(checkout.parent / "origin", "diff", "--name-only", "locks~1", "locks")
    assert changed.split() == ["requirements/dev.txt"]


def test_empty_patch_creates_no_branch_and_no_pull_request(checkout: Path) -> None:
    done = propose(checkout, "")

    assert done.returncode == 0
    assert not checkout.parent.joinpath("gh-calls").exists()
    assert git(checkout, "branch", "--list", "locks") == ""
