"""How PoYo's catalogue differs from the facts that the bundled models were made from. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from imagetasks.poyo.model_facts import Item, billing_facts, input_facts, is_image_model

ABSENT = "-"
MAX_VALUE_CHARS = 60
HEAD = ("model", "change", "where", "bundled", "live")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `change` is new, gone, input or billing; `where` is a path in the model's facts."""

    model: str
    change: str
    where: str = ""
    bundled: Any = None
    live: Any = None


def facts_of(items: Iterable[Item]) -> list[dict[str, Any]]:
    """The facts of the image models among `items`, by id, without PoYo's texts. A model that is there
    twice stays so."""
    facts = [
        {
            "model_id": each["model_id"],
            "category": each["category"],
            "input_schema": input_facts(each),
            "billing": billing_facts(each),
        }
        for each in items
        if is_image_model(each)
    ]
    return sorted(facts, key=lambda each: str(each["model_id"]))


def facts_text(about: str, facts: Iterable[Mapping[str, Any]]) -> str:
    """The text of `facts.json`: a line for each model."""
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in facts)
    return f'{{"about": {json.dumps(about, ensure_ascii=False)},\n"items": [\n{lines}\n]}}\n'


def changes(bundled: Iterable[Item], live: Iterable[Item]) -> list[Change]:
    """What differs between two lists of facts, by model."""
    before = {str(each["model_id"]): each for each in bundled}
    now = {str(each["model_id"]): each for each in live}
    found: list[Change] = []
    for name in sorted(before.keys() | now.keys()):
        if name not in before:
            found.append(Change(name, "new", live=now[name]["billing"]))
        elif name not in now:
            found.append(Change(name, "gone", bundled=before[name]["billing"]))
        else:
            for kind, part in (("input", "input_schema"), ("billing", "billing")):
                parts = _differences(before[name][part], now[name][part], "")
                found += [Change(name, kind, *each) for each in parts]
    return found


def _differences(one: Any, other: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    """The paths of what differs, and both values; None for what is not there."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(one.keys() | other.keys()):
            shown = json.dumps(name)[1:-1]  # without control characters
            path = f"{where}/{shown}" if where else shown
            yield from _differences(one.get(name), other.get(name), path)
    elif one != other:
        yield where, one, other


def table(found: Iterable[Change]) -> str:
    """The changes as a table of plain text, without a line at the end."""
    rows = [
        HEAD,
        *(
            (each.model, each.change, each.where, _cell(each.bundled), _cell(each.live))
            for each in found
        ),
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _cell(value: Any) -> str:
    """The value in one line of printable characters: it comes from another server."""
    text = ABSENT if value is None else json.dumps(value)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[: MAX_VALUE_CHARS - 1]}…"
