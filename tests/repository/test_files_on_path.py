"""How many of our own files a reader opens on each path, as docs/architecture.md states it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import files_on_path

PAGE = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()


@pytest.mark.parametrize(
    ("row", "files", "limit"),
    [
        ("order", files_on_path.order_path, 47),
        ("callback", files_on_path.callback_path, 41),
        ("sweep", files_on_path.sweep_path, 12),
        (
            "modules that `webhook` imports",
            lambda: files_on_path.imported_modules("webhook"),
            17,
        ),
    ],
)
def test_a_path_has_as_many_files_as_the_page_says_and_no_more_than_allowed(
    row: str, files: Callable[[], set[str]], limit: int
) -> None:
    found = re.search(rf"^\| {re.escape(row)} \| (\d+) \|", PAGE, re.MULTILINE)
    counted = files()

    assert found
    assert len(counted) == int(found[1]), sorted(counted)
    assert len(counted) <= limit
