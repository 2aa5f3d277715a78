"""Counts the instructions of a program with callgrind. A count repeats exactly, whatever else the
machine does; seconds do not."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.interpreter import Program
from local.processes import ROOT

COUNTED = re.compile(r"Collected : (\d+)")


def count(program: Program) -> int:
    """Instructions of `program` from its start to its end. Raises RuntimeError if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        run = subprocess.run(  # noqa: S603
            [*valgrind, *program.command],
            env=program.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    found = COUNTED.search(run.stderr)
    if found is None or run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    return int(found[1])


def count_all(programs: Iterable[Program]) -> list[int]:
    """The count of each, two at a time. Installs valgrind if it is missing."""
    subprocess.run([str(ROOT / "scripts" / "valgrind.sh")], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(count, programs))
