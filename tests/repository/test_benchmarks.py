"""The benchmarks' report, and docs/performance.md, which `make bench` writes."""

from __future__ import annotations

import datetime as dt
import importlib
from pathlib import Path

import pytest

from benchmarks.__main__ import BEGIN, DOCUMENT, END, NAMES, written
from benchmarks.report import (
    HEADINGS,
    Row,
    markdown_table,
    read_json,
    show,
    text_table,
    write_json,
)

ROWS = [
    Row(number=3, measure="a call", value=1.9, unit="ms", goal="≤ 2 ms", met=True),
    Row(number=4, measure="another", value=25, unit="µs", baseline="theirs: 50", ratio=0.5),
    Row(number=5, measure="a third", value=12, unit="ms", goal="≤ 11 ms", met=False),
]


def test_table_says_in_words_whether_a_goal_is_met() -> None:
    heading, *lines = text_table(ROWS).splitlines()

    assert heading.split() == list(HEADINGS)
    assert [line.split()[-1] for line in lines] == ["met", "0.500", "missed"]


def test_rows_survive_json(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"

    write_json(ROWS, file)

    assert read_json(file) == ROWS


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (1366.4, "1,366"),
        (99.96, "100.0"),
        (5.114, "5.11"),
        (0.3712, "0.371"),
        (0.0671, "0.0671"),
    ],
)
def test_numbers_have_three_significant_digits(value: float, shown: str) -> None:
    assert show(value) == shown


def test_only_the_part_between_the_marks_is_written() -> None:
    document = f"before\n{BEGIN}old\n{END}after\n"

    new = written(document, ROWS, on=dt.date(2026, 11, 28))

    assert new.startswith(f"before\n{BEGIN}")
    assert new.endswith(f"{END}after\n")
    assert markdown_table(ROWS) in new
    assert "2026-11-28" in new
    assert "old" not in new


def test_document_has_the_marks_and_no_path_of_a_machine() -> None:
    text = DOCUMENT.read_text()

    assert text.index(BEGIN) < text.index(END)
    assert str(Path.home()) not in text
    assert str(DOCUMENT.parents[1]) not in text


@pytest.mark.parametrize("name", NAMES)
def test_document_describes_every_benchmark_that_runs(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")

    assert module.__doc__
    assert f"`benchmarks.{name}`" in DOCUMENT.read_text()
