"""Rules across the fields of a model's input: a closed set, chosen and parametrised by its entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagetasks.poyo.custom_size import Values, custom_size_error
from imagetasks.poyo.input_words import one_of, pointer_below

Rule = Mapping[str, Any]


def broken(
    rules: Sequence[Rule], values: Values, pointer: str, invalid: frozenset[str]
) -> Iterator[Mapping[str, str]]:
    """The problems that `rules` find in `values`, which are at `pointer`. A rule that reads one of the
    fields that are `invalid` by themselves says nothing."""
    for rule in rules:
        kind = RULES[rule["rule"]]
        if invalid.isdisjoint(kind.fields(rule)) and (detail := kind.error(rule, values)):
            yield {"pointer": pointer_below(pointer, kind.fields(rule)[0]), "detail": detail}


def _value_needs(rule: Rule, values: Values) -> str | None:
    """Some values of a field are allowed only with some values of another: `auto` at 1K."""
    value = values.get(rule["field"])
    if value not in rule["values"] or values.get(rule["needs"]) in rule["allowed"]:
        return None
    return f"{value} needs {rule['needs']} {one_of(rule['allowed'])}"


def _only_with(rule: Rule, values: Values) -> str | None:
    """A field, or some values of it, needs another field: `mask_url` needs `image_urls`."""
    value = values.get(rule["field"])
    chosen = value is not None and ("values" not in rule or value in rule["values"])
    if not chosen or rule["with"] in values:
        return None
    return f"{value if 'values' in rule else rule['field']} needs {rule['with']}"


def _needed_without(rule: Rule, values: Values) -> str | None:
    """A field is required where another is absent: `size` without `image_urls`."""
    if rule["field"] in values or rule["without"] in values:
        return None
    return f"`{rule['field']}` is missing; it is needed where there are no {rule['without']}"


def _total_at_most(rule: Rule, values: Values) -> str | None:
    """Two fields together have a limit: images given and images ordered."""
    given = [values.get(each, 0) for each in rule["fields"]]
    total = sum(len(each) if isinstance(each, list) else each for each in given)
    if total <= rule["most"]:
        return None
    return f"{' and '.join(rule['fields'])} together may be at most {rule['most']}, not {total}"


@dataclass(frozen=True, slots=True)
class Kind:
    """One named rule: what is wrong with an input, which fields of it the rule reads (the first is told
    the error), and the parameters that a rule of this kind has and may have."""

    error: Callable[[Rule, Values], str | None]
    fields: Callable[[Rule], Sequence[str]]
    required: frozenset[str]
    optional: frozenset[str] = frozenset()


RULES: Mapping[str, Kind] = {
    "custom_size": Kind(
        custom_size_error,
        lambda _: ("size", "resolution"),
        frozenset(("resolutions", "multiple_of", "longest_edge", "ratio", "pixels")),
        frozenset(("edge_resolutions",)),
    ),
    "value_needs": Kind(
        _value_needs,
        lambda rule: (rule["field"], rule["needs"]),
        frozenset(("field", "values", "needs", "allowed")),
    ),
    "only_with": Kind(
        _only_with,
        lambda rule: (rule["field"], rule["with"]),
        frozenset(("field", "with")),
        frozenset(("values",)),
    ),
    "needed_without": Kind(
        _needed_without,
        lambda rule: (rule["field"], rule["without"]),
        frozenset(("field", "without")),
    ),
    "total_at_most": Kind(
        _total_at_most, lambda rule: rule["fields"], frozenset(("fields", "most"))
    ),
}
