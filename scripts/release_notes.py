"""Prints the section of CHANGELOG.md for a version: `python3 -m scripts.release_notes v0.2.0`.

Uses the standard library only, so that it runs before anything is installed.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


class InvalidRelease(Exception):
    """The tag, pyproject.toml and CHANGELOG.md do not agree on a version."""


def main(arguments: list[str]) -> int:
    """Print the notes. Returns 1 with the reason on stderr if the tag is not a valid release."""
    try:
        sys.stdout.write(notes(arguments[0], ROOT))
    except InvalidRelease as error:
        sys.stderr.write(f"release: {error}\n")
        return 1
    return 0


def notes(tag: str, root: Path) -> str:
    """The changelog's section for the version of the tag, which must be that of pyproject.toml."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if tag != f"v{version}":
        raise InvalidRelease(f"the tag is {tag}, the version in pyproject.toml is {version}")
    heading = rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)"
    changelog = (root / "CHANGELOG.md").read_text()
    section = re.search(heading, changelog, re.DOTALL | re.MULTILINE)
    if section is None or not section[1].strip():
        raise InvalidRelease(f"CHANGELOG.md has nothing under '## {version} - YYYY-MM-DD'")
    return section[1].strip() + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
