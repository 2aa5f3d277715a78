"""The gate of cold starts: no function may need more than 3 % more instructions than recorded.

What is compared is not a number of instructions, which differs between processors and C libraries, but
its ratio to that of a fixed list of imports, counted in the same run with the same interpreter. A change
that is worth more instructions records new figures: `make cold-starts`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.callgrind import count_all
from benchmarks.interpreter import HANDLERS, PACKAGES, Program, built_folders, ensure_built
from local import build

FIGURES = Path(__file__).with_name("cold_starts.json")
TOLERANCE = 0.03
REFERENCE = (
    "import asyncio, dataclasses, decimal, email.message, http.client, json, logging, ssl, unittest.mock;"
    "import botocore.session, urllib3"
)


def ratios() -> dict[str, float]:
    """Instructions of each function's cold start, divided by those of the reference."""
    ensure_built()
    ours = [Program(("-c", f"import {name}"), built_folders(name)) for name in HANDLERS]
    with build.read_lock():
        reference, *counts = count_all([Program(("-c", REFERENCE), (PACKAGES,)), *ours])
    return {name: count / reference for name, count in zip(HANDLERS, counts, strict=True)}


def recorded() -> dict[str, float]:
    """The figures of `FIGURES`."""
    return {name: float(ratio) for name, ratio in json.loads(FIGURES.read_text()).items()}


def regressions(now: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    """A sentence for each function that has become more than 3 % slower, or has no figure."""
    return [
        f"{name}: {now[name]:.3f} of the reference, recorded {before.get(name, 0):.3f}"
        for name in now
        if now[name] > before.get(name, 0) * (1 + TOLERANCE)
    ]


def record() -> None:
    """Write the figures of now."""
    found = {name: round(ratio, 4) for name, ratio in ratios().items()}
    FIGURES.write_text(json.dumps(found, indent=2) + "\n")
    print(f"wrote {FIGURES.name}: {found}")
