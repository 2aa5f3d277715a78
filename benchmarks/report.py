"""The result of a benchmark: rows with value, baseline, ratio and goal, as a table or as JSON.

A benchmark is a module with `measure() -> list[Row]` that ends with `main(measure, __doc__)`, so that
`python -m benchmarks.NAME` prints its table and `--json FILE` also writes it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

HEADINGS = ("row", "measure", "value", "baseline", "ratio", "goal", "result")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured figure.

    `number` is the row of docs/performance.md. `baseline` says what was measured in the same run and
    its value, `ratio` is our value divided by it. `goal` is text, and `met` says whether the figure
    meets it; both are empty for a figure that only informs.
    """

    number: int
    measure: str
    value: float
    unit: str
    baseline: str = ""
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None


def show(value: float) -> str:
    """A number with three significant digits, or all those before the point."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3 if abs(value) >= 0.1 else 4
    return f"{value:.{digits}f}"


def cells(row: Row) -> tuple[str, ...]:
    """The row as the table shows it, in the order of HEADINGS."""
    result = "" if row.met is None else "met" if row.met else "missed"
    ratio = "" if row.ratio is None else show(row.ratio)
    value = f"{show(row.value)} {row.unit}".strip()
    return (str(row.number), row.measure, value, row.baseline, ratio, row.goal, result)


def text_table(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    lines = [HEADINGS, *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown_table(rows: Sequence[Row]) -> str:
    """The table for docs/performance.md."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *map(cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_json(rows: Sequence[Row], file: Path) -> None:
    """Write the rows as a JSON array of objects."""
    file.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def read_json(file: Path) -> list[Row]:
    """The rows that `write_json` wrote."""
    names = {field.name for field in fields(Row)}
    return [Row(**{name: each[name] for name in names}) for each in json.loads(file.read_text())]


def parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that every benchmark takes."""
    arguments = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    arguments.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    return arguments


def deliver(rows: Sequence[Row], file: Path | None) -> None:
    """Print the table; with `file` also write it there."""
    print(text_table(rows))
    if file:
        write_json(rows, file)


def main(measure: Callable[[], Sequence[Row]], description: str | None) -> None:
    """Run a benchmark that takes no arguments of its own."""
    file = parser(description).parse_args().json
    deliver(measure(), file)
