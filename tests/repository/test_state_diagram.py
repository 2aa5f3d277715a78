"""The state diagram and the state table of docs/architecture.md match the transition table in the code."""

from __future__ import annotations

import re
from pathlib import Path

from imagetasks.tasks.failure_reasons import REASONS, RECOVERABLE
from imagetasks.tasks.task import PUBLIC_STATUS
from imagetasks.tasks.transitions import TRANSITIONS

PAGE = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
RECOVERABLE_STATE = "failed_recoverable"  # in the diagram: `failed` with a recoverable reason


def diagram() -> str:
    """The transition table as a Mermaid state diagram."""
    lines = ["[*] --> submitting: submit", "[*] --> pending: submit, waits for its slot"]
    for name, transition in TRANSITIONS.items():
        if transition.target is None or name == "fail":
            continue
        sources = [str(source) for source in transition.from_states]
        sources += [RECOVERABLE_STATE] if transition.from_recoverable else []
        lines += [f"{source} --> {transition.target}: {name}" for source in sources]
    for source in TRANSITIONS["fail"].from_states:
        for target, recoverable in (("failed", False), (RECOVERABLE_STATE, True)):
            reasons = [
                name
                for name, reason in REASONS.items()
                if source in reason.from_states and reason.recoverable == recoverable
            ]
            lines += [f"{source} --> {target}: fail, {' / '.join(reasons)}"] if reasons else []
    body = "\n".join(f"    {line}" for line in lines)
    return f"```mermaid\nstateDiagram-v2\n{body}\n```"


def test_state_diagram_matches_the_transition_table() -> None:
    found = re.search(r"<!-- transitions -->\n(.*?)\n?<!-- /transitions -->", PAGE, re.DOTALL)

    assert found
    assert found[1] == diagram(), f"put this between the marks:\n{diagram()}"


def test_state_table_lists_every_state_with_its_public_status() -> None:
    for state, status in PUBLIC_STATUS.items():
        assert f"| `{state}` | `{status}` |" in PAGE


def test_page_names_every_recoverable_reason() -> None:
    for reason in RECOVERABLE:
        assert f"`{reason}`" in PAGE
        assert REASONS[reason].recoverable
