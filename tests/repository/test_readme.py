"""What the README says of the code is derived from the code."""

from __future__ import annotations

import re
from pathlib import Path

from imagetasks.tasks.failure_reasons import REASONS, RECOVERABLE
from imagetasks.tasks.task import PUBLIC_STATUS
from imagetasks.tasks.transitions import TRANSITIONS

README = (Path(__file__).parents[2] / "README.md").read_text()


def diagram() -> str:
    """The transition table as a Mermaid state diagram."""
    soft = "failed_softly"
    lines = ["[*] --> submitting: T0 submit"]
    for name, transition in TRANSITIONS.items():
        if transition.target is None or name == "fail":
            continue
        sources = [str(source) for source in transition.sources]
        sources += [soft] if transition.from_soft_failure else []
        lines += [f"{s} --> {transition.target}: {transition.number} {name}" for s in sources]
    for source in TRANSITIONS["fail"].sources:
        for target, softly in (("failed", False), (soft, True)):
            why = [n for n, r in REASONS.items() if source in r.sources and r.soft == softly]
            lines += [f"{source} --> {target}: T6 {' / '.join(why)}"] if why else []
    body = "\n".join(f"    {line}" for line in lines)
    return f"```mermaid\nstateDiagram-v2\n{body}\n```"


def test_the_diagram_is_the_transition_table() -> None:
    found = re.search(r"<!-- transitions -->\n(.*?)\n?<!-- /transitions -->", README, re.DOTALL)

    assert found
    assert found[1] == diagram(), f"put this between the marks:\n{diagram()}"


def test_every_state_and_what_is_shown_for_it_is_in_the_table() -> None:
    for state, shown in PUBLIC_STATUS.items():
        assert f"| `{state}` | `{shown}` |" in README


def test_the_soft_reasons_are_named() -> None:
    for reason in RECOVERABLE:
        assert f"`{reason}`" in README
        assert REASONS[reason].soft
