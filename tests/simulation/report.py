"""What the program prints: a trace, a violated invariant, and the coverage."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import timedelta

from tests.simulation.coverage import REQUIRED, not_reached, unlisted_effects
from tests.simulation.run import Result

HEADINGS = {
    "transition": "transitions",
    "reason": "failure reasons",
    "crash": "crashes before and after each effect",
    "fault": "faults",
    "event": "events",
}


def print_trace(result: Result) -> None:
    """Print every line of a seed's trace and its outcome."""
    for line in result.trace:
        time = _elapsed(line.at)
        _print(f"{time:>18}  {line.actor:<18} {line.what:<24} {line.outcome}".rstrip())
    if result.violation:
        print_violation(result)
    else:
        _print(f"seed {result.seed}: every invariant holds, {result.lifecycles} tasks")


def print_violation(result: Result) -> None:
    """Print the seed, the violated invariant and the command that repeats the run."""
    _print(f"seed {result.seed}: VIOLATED {result.violation}")
    _print(f"  replay: make simulate SEED={result.seed}")


def print_coverage(counts: Counter[tuple[str, str]]) -> list[str]:
    """Print how often each counter was reached; return those that were not."""
    for what, names in REQUIRED.items():
        _print(f"\n{HEADINGS[what]}")
        for name in names:
            _print(f"  {counts[what, name]:>8}  {name}")
    for name in sorted(name for what, name in counts if what == "denied_creation"):
        _print(f"  {counts['denied_creation', name]:>8}  denied creation: {name}")
    missing = not_reached(counts) + [f"not listed: {name}" for name in unlisted_effects(counts)]
    for each in missing:
        _print(f"NOT COVERED  {each}")
    return missing


def print_summary(seeds: int, lifecycles: int, seconds: float, violations: int) -> None:
    """Print the totals and the verdict in one line."""
    rate = lifecycles / seconds if seconds else 0.0
    verdict = f"{violations} VIOLATED" if violations else "every invariant holds"
    _print(
        f"\n{seeds} seeds, {lifecycles} lifecycles, {seconds:.1f} s, "
        f"{rate:.0f} lifecycles/s: {verdict}"
    )


def _elapsed(ms: int) -> str:
    """`1 day, 2:03:04.567`."""
    return f"{timedelta(seconds=ms // 1000)}.{ms % 1000:03}"


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
