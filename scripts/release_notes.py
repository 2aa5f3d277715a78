"""`python3 -m scripts.release_notes v0.2.0`: what CHANGELOG.md says of a version.

Standard library only, so that it runs before anything is installed.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


class NotARelease(Exception):
    """The tag, pyproject.toml and CHANGELOG.md do not agree on a version."""


def main(arguments: list[str]) -> int:
    """Print the notes; 1 and the reason when the tag is not a release."""
    try:
        sys.stdout.write(notes(arguments[0], ROOT))
    except NotARelease as error:
        sys.stderr.write(f"release: {error}\n")
        return 1
    return 0


def notes(tag: str, root: Path) -> str:
    """The changelog's section for the version that both tag and pyproject.toml name."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if tag != f"v{version}":
        raise NotARelease(f"the tag is {tag}, pyproject.toml says {version}")
    heading = rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)"
    changelog = (root / "CHANGELOG.md").read_text()
    section = re.search(heading, changelog, re.DOTALL | re.MULTILINE)
    if section is None or not section[1].strip():
        raise NotARelease(f"CHANGELOG.md has nothing under '## {version} - YYYY-MM-DD'")
    return section[1].strip() + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
