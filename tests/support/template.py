"""template.yaml as plain values."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags; each tag is dropped and its value is kept."""


def _untagged(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(cast(yaml.MappingNode, node), deep=True)


_Loader.add_multi_constructor("!", _untagged)


@cache
def template() -> dict[str, Any]:
    """template.yaml, its intrinsic functions as plain values."""
    return cast(dict[str, Any], yaml.load(TEMPLATE.read_text(), Loader=_Loader))  # noqa: S506


def properties(logical_id: str) -> dict[str, Any]:
    """Properties of one resource of the template."""
    return cast(dict[str, Any], template()["Resources"][logical_id]["Properties"])


def table_arguments() -> dict[str, Any]:
    """The template's table as arguments of CreateTable."""
    declared = properties("TasksTable")
    names = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    return {name: declared[name] for name in names}
