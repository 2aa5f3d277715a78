"""What the terminal shows: one story, a broken promise, and what was reached how often."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import timedelta

from tests.simulation.coverage import REQUIRED, not_reached, unlisted_effects
from tests.simulation.run import Result

HEADINGS = {
    "transition": "transitions",
    "reason": "reasons of failure",
    "crash": "deaths, before and after each effect",
    "fault": "faults",
    "event": "events",
}


def print_trace(result: Result) -> None:
    """Every line of a seed's story, and how it ended."""
    for line in result.trace:
        clock = str(timedelta(milliseconds=line.at))[:-3] if line.at % 1000 else _whole(line.at)
        _print(f"{clock:>18}  {line.actor:<18} {line.what:<24} {line.outcome}".rstrip())
    if result.violation:
        print_violation(result)
    else:
        _print(f"seed {result.seed}: every invariant holds, {result.lifecycles} tasks")


def print_violation(result: Result) -> None:
    """The seed, the promise, and how to see it again."""
    _print(f"seed {result.seed}: VIOLATED {result.violation}")
    _print(f"  replay: make simulate SEED={result.seed}")


def print_coverage(counts: Counter[tuple[str, str]]) -> list[str]:
    """Print how often what was reached, and say what never was."""
    for what, names in REQUIRED.items():
        _print(f"\n{HEADINGS[what]}")
        for name in names:
            _print(f"  {counts[what, name]:>8}  {name}")
    denied = sorted(name for what, name in counts if what == "denied_creation")
    for name in denied:
        _print(f"  {counts['denied_creation', name]:>8}  lie: {name}")
    missing = not_reached(counts) + [
        f"not in the list: {name}" for name in unlisted_effects(counts)
    ]
    for each in missing:
        _print(f"NOT COVERED  {each}")
    return missing


def print_summary(seeds: int, lifecycles: int, seconds: float, failures: int) -> None:
    """One line that says it all."""
    rate = lifecycles / seconds if seconds else 0.0
    verdict = f"{failures} VIOLATED" if failures else "every invariant holds"
    _print(
        f"\n{seeds} seeds, {lifecycles} lifecycles, {seconds:.1f} s, "
        f"{rate:.0f} lifecycles/s: {verdict}"
    )


def _whole(at: int) -> str:
    return f"{timedelta(milliseconds=at)}.000"


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
