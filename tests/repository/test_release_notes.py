"""scripts/release_notes.py: the notes of a release are the changelog's section for its version."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.release_notes import InvalidRelease, notes

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


def test_notes_are_the_changelogs_section_for_the_version(tmp_path: Path) -> None:
    assert notes("v1.2.3", project(tmp_path, "1.2.3")) == "### Added\n- This.\n"
    assert notes("v1.2.2", project(tmp_path, "1.2.2")) == "- That.\n"


@pytest.mark.parametrize(
    ("tag", "version", "reason"),
    [
        ("v1.2.3", "1.2.4", "the version in pyproject.toml is 1.2.4"),
        ("1.2.3", "1.2.3", "the tag is 1.2.3"),
        ("v1.3.0", "1.3.0", "nothing under '## 1.3.0"),
    ],
)
def test_tag_that_does_not_match_the_version_or_the_changelog_is_rejected(
    tmp_path: Path, tag: str, version: str, reason: str
) -> None:
    with pytest.raises(InvalidRelease, match=re.escape(reason)):
        notes(tag, project(tmp_path, version))


def test_dots_of_a_version_match_only_dots_in_the_heading(tmp_path: Path) -> None:
    folder = project(tmp_path, "1.2.3")
    folder.joinpath("CHANGELOG.md").write_text(CHANGELOG.replace("## 1.2.3", "## 1x2x3"))

    with pytest.raises(InvalidRelease, match="nothing under"):
        notes("v1.2.3", folder)
