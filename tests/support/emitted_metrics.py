"""The metrics of ours, as their names stand in the code."""

from __future__ import annotations

import re

from imagetasks.tasks.failure_reasons import REASONS
from local.processes import ROOT


def emitted() -> set[str]:
    """Every metric that the code can emit: alarms, counts, values, and one for each result of a task."""
    code = "\n".join(path.read_text() for path in (ROOT / "functions").rglob("*.py"))
    named = re.findall(r'\b(?:alarm=|(?:alarm|put_metric|count_metric)\(\s*)"(\w+)"', code)
    named += ["finished", *(f"failed_{reason}" for reason in REASONS)]
    return {"".join(word.capitalize() for word in name.split("_")) for name in named}
