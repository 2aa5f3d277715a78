"""`make bench`: every benchmark, one after another, and the table in docs/performance.md.

`python -m benchmarks NAME…` runs some of them and writes no document.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.interpreter import machine
from benchmarks.report import Row, markdown_table, read_json, text_table
from local.processes import ROOT

# Those that count come first: other programs do not disturb them.
NAMES = (
    "cold_start",
    "artefact",
    "callback",
    "submit",
    "reconcile",
    "copy",
    "memory",
    "cost",
    "simulation",
    "listing",
    "polls",
    "sweep",
    "burst",
)
DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- written by make bench -->\n", "<!-- end -->\n"


def run(name: str) -> list[Row]:
    """The rows of one benchmark in a process of its own. Raises CalledProcessError if it fails."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.json")
        subprocess.run(  # noqa: S603
            [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": "functions"},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        rows = read_json(file)
    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    return rows


def written(document: str, rows: Sequence[Row], *, on: dt.date) -> str:
    """The document with the table, the machine and the date between its two marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    facts = f"Measured on {on.isoformat()}: {machine()}."
    return f"{before}{BEGIN}\n{facts}\n\n{markdown_table(rows)}\n\n{END}{after}"


def main(names: Sequence[str]) -> None:
    """Run, print, and write unless only some were asked for."""
    rows = [row for name in names or NAMES for row in run(name)]
    rows.sort(key=lambda row: row.number)
    print(text_table(rows))
    missed = [row for row in rows if row.met is False]
    print(f"{len(missed)} goals missed" if missed else "every goal is met")
    if not names:
        today = dt.datetime.now(dt.UTC).date()
        DOCUMENT.write_text(written(DOCUMENT.read_text(), rows, on=today))


if __name__ == "__main__":
    main(sys.argv[1:])
