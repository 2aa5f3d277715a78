"""What the terminal shows: one story, a broken promise, and what was reached how often."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import timedelta

from tests.simulation.coverage import WANTED, uncovered, unexpected
from tests.simulation.run import Result

HEADINGS = {
    "transition": "transitions",
    "reason": "reasons of failure",
    "crash": "deaths, before and after each effect",
    "fault": "faults",
    "event": "events",
}


def story(result: Result) -> None:
    """Every line of a seed's story, and how it ended."""
    for line in result.story:
        clock = str(timedelta(milliseconds=line.at))[:-3] if line.at % 1000 else _whole(line.at)
        _say(f"{clock:>18}  {line.actor:<18} {line.what:<24} {line.outcome}".rstrip())
    if result.broken:
        broken(result)
    else:
        _say(f"seed {result.seed}: every promise held, {result.lifecycles} tasks")


def broken(result: Result) -> None:
    """The seed, the promise, and how to see it again."""
    _say(f"seed {result.seed}: BROKEN {result.broken}")
    _say(f"  replay: make simulate SEED={result.seed}")


def coverage(counts: Counter[tuple[str, str]]) -> list[str]:
    """Print how often what was reached, and say what never was."""
    for what, names in WANTED.items():
        _say(f"\n{HEADINGS[what]}")
        for name in names:
            _say(f"  {counts[what, name]:>8}  {name}")
    lies = sorted(name for what, name in counts if what == "lie")
    for name in lies:
        _say(f"  {counts['lie', name]:>8}  lie: {name}")
    missing = uncovered(counts) + [f"not in the list: {name}" for name in unexpected(counts)]
    for each in missing:
        _say(f"NOT COVERED  {each}")
    return missing


def summary(seeds: int, lifecycles: int, seconds: float, failures: int) -> None:
    """One line that says it all."""
    rate = lifecycles / seconds if seconds else 0.0
    verdict = f"{failures} BROKEN" if failures else "every promise held"
    _say(
        f"\n{seeds} seeds, {lifecycles} lifecycles, {seconds:.1f} s, "
        f"{rate:.0f} lifecycles/s: {verdict}"
    )


def _whole(at: int) -> str:
    return f"{timedelta(milliseconds=at)}.000"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
