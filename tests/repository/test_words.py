"""The words of the glossary are used everywhere: none of the words that they replaced is left."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = [
    line
    for line in (ROOT / "scripts" / "private_words.txt").read_text().splitlines()
    if not line.startswith("#")
]
PATTERN = re.compile(rf"\b({'|'.join(WORDS)})\b", re.IGNORECASE)
SEARCHED = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "template.yaml",
    "benchmarks", "cli", "clients", "docs", "events", "examples", "functions", "layers", "local", "openapi",
    "tests",
)  # fmt: skip
TEXT = {
    ".md",
    ".py",
    ".yaml",
    ".yml",
    ".json",
    ".toml",
    ".sh",
    ".js",
    ".mjs",
    ".html",
    ".ts",
    ".tsx",
    "",
}


GENERATED = {"__pycache__", "node_modules", ".next"}


def files() -> list[str]:
    """Text files below SEARCHED, except lock files, which name other people's packages."""
    found = [
        path
        for name in SEARCHED
        for path in ([ROOT / name] if (ROOT / name).is_file() else sorted((ROOT / name).rglob("*")))
        if path.is_file() and path.suffix in TEXT and not GENERATED & set(path.parts)
    ]
    return [
        str(path.relative_to(ROOT))
        for path in found
        if path.name not in ("package-lock.json", "requirements.txt", "env.json")
    ]


@pytest.mark.parametrize("name", files())
def test_no_replaced_word_is_left(name: str) -> None:
    text = ROOT.joinpath(name).read_text()

    found = [line for line in text.splitlines() if PATTERN.search(line)]

    assert not found


def test_the_search_finds_such_a_word_and_looks_into_every_folder() -> None:
    assert PATTERN.search(f"The {WORDS[0].title()} is one.")
    assert {Path(name).parts[0] for name in files()} == set(SEARCHED)
