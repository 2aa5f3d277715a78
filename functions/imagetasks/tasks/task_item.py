"""A task as a DynamoDB item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

from imagetasks.tasks.task import StoredImage, Task, task_pk
from imagetasks.tasks.usage import usage_pk

# In a stored `spend_pks`: the item of the owner's usage, which follows from the task.
USAGE = "usage"
_DEFAULTS = {f.name: f.default for f in fields(Task)}
_IMAGE_NAMES = frozenset(f.name for f in fields(StoredImage))


def to_item(task: Task) -> dict[str, Any]:
    """The item of `task`. Absent attributes are left out, so that indexes over them are sparse, and so are
    defaults: each write costs by the KB."""
    told = ((name, getattr(task, name)) for name in _DEFAULTS)
    values = to_attributes({name: value for name, value in told if value != _DEFAULTS[name]})
    if task.spend_pks:
        own = usage_pk(task)
        values["spend_pks"] = [USAGE if pk == own else pk for pk in task.spend_pks]
    return {"pk": task_pk(task.task_id)} | values


def from_item(item: Mapping[str, Any]) -> Task:
    """The task of an item. Unknown attributes, which a newer version wrote, are ignored."""
    values = {name: _from_attribute(item[name], name) for name in _DEFAULTS if name in item}
    task = Task(**values)
    if USAGE not in task.spend_pks:
        return task
    own = usage_pk(task)
    return replace(task, spend_pks=tuple(own if pk == USAGE else pk for pk in task.spend_pks))


def to_attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a task as DynamoDB stores them; no candidate ids are an absent attribute (None)."""
    return {name: _to_attribute(value, name) for name, value in values.items()}


_DECIMALS = frozenset({"estimated_credits", "charged_credits", "progress"})


def _to_attribute(value: Any, name: str) -> Any:
    if name == "files":
        return [{f.name: getattr(image, f.name) for f in fields(image)} for image in value]
    if name == "candidate_poyo_ids":
        return list(value or ()) or None
    if name == "history":
        return [dict(entry) for entry in value]
    if name in ("spend_pks", "address_pointers"):
        return list(value)
    if name in ("input", "defaults"):
        return _storable(value)
    return dict(value) if isinstance(value, Mapping) else value


def _storable(value: Any) -> Any:
    """A value of JSON as DynamoDB takes it: it has no floats, but decimals."""
    if isinstance(value, Mapping):
        return {name: _storable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(each) for each in value]
    return Decimal(str(value)) if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    """A stored value as JSON has it: DynamoDB returns every number as Decimal."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _from_attribute(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return value
    if name == "files":
        return tuple(
            StoredImage(**{k: _from_attribute(v, k) for k, v in each.items() if k in _IMAGE_NAMES})
            for each in value
        )
    if name == "history":
        return tuple({k: _from_attribute(v, k) for k, v in entry.items()} for entry in value)
    if name in ("candidate_poyo_ids", "spend_pks", "address_pointers"):
        return tuple(value)
    if name in ("input", "defaults"):
        return _plain(value)
    if isinstance(value, Decimal) and name not in _DECIMALS:
        return int(value)  # DynamoDB returns every number as Decimal
    return value
