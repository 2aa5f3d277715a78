"""Starts measured processes (`benchmarks.child`) and alternates between them."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.interpreter import PACKAGES, Program, built_folders
from benchmarks.servers import Servers
from local.processes import ROOT


@dataclass(frozen=True)
class Calls:
    """What some calls of a handler took and returned."""

    cpu_ms: Sequence[float]
    results: Sequence[Any]
    peak_mb: float


Call = Callable[[int], Calls]


@contextmanager
def handler_process(
    module: str, events: Sequence[Mapping[str, Any]], servers: Servers, *, deployed: str = ""
) -> Iterator[Call]:
    """A process with the handler of `module`; the yielded function calls it so many times, with one
    event after another.

    It imports from the bundle of the handler `deployed` and the layer, or, for a baseline, from the
    packages as pip installs them.
    """
    folders = built_folders(deployed) if deployed else (PACKAGES,)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "events.json")
        file.write_text(json.dumps(events))
        program = Program(
            ("-W", "ignore", "-m", "benchmarks.child", module, str(file)),
            (servers.trust, *folders, ROOT),
            servers.variables,
        )
        with subprocess.Popen(  # noqa: S603
            program.command,
            env=program.environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            yield lambda number: _call(process, number)
            process.communicate(timeout=30)


def _call(process: subprocess.Popen[str], number: int) -> Calls:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    process.stdin.write(f"{number}\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError("the measured process failed: see its error above")
    return Calls(**json.loads(answer))


def interleaved(calls: Mapping[str, Call], *, rounds: int, each: int) -> dict[str, float]:
    """The median CPU milliseconds of a call of each process; they take turns, `each` calls at a time.
    The first round warms up and does not count."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            found = call(each).cpu_ms
            spent[name] += found if turn else ()
    return {name: statistics.median(found) for name, found in spent.items()}
