"""Evaluates the CloudFormation functions that the body of an HTTP API uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NO_VALUE = object()


@dataclass(frozen=True)
class Template:
    """A processed template with the values of its parameters."""

    document: Mapping[str, Any]
    parameters: Mapping[str, str]


def resolve(template: Template, value: Any) -> Any:
    """Return `value` with Ref, Fn::If, Fn::Join and Fn::Split evaluated.

    An AWS::NoValue is removed. Raises KeyError for a reference to anything except a parameter.
    """
    match value:
        case {"Ref": name}:
            return _reference(template, name)
        case {"Fn::If": [condition, yes, no]}:
            return resolve(template, yes if holds(template, {"Condition": condition}) else no)
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(resolve(template, parts))
        case {"Fn::Split": [separator, joined]}:
            return resolve(template, joined).split(separator)
        case dict():
            resolved = {key: resolve(template, item) for key, item in value.items()}
            return {key: item for key, item in resolved.items() if item is not NO_VALUE}
        case list():
            resolved_items = [resolve(template, item) for item in value]
            return [item for item in resolved_items if item is not NO_VALUE]
    return value


def holds(template: Template, condition: Mapping[str, Any]) -> bool:
    """Return whether a condition is true; raises ValueError for an unsupported function."""
    match condition:
        case {"Condition": name}:
            return holds(template, template.document["Conditions"][name])
        case {"Fn::Not": [part]}:
            return not holds(template, part)
        case {"Fn::And": parts}:
            return all(holds(template, part) for part in parts)
        case {"Fn::Or": parts}:
            return any(holds(template, part) for part in parts)
        case {"Fn::Equals": [one, other]}:
            return bool(resolve(template, one) == resolve(template, other))
    raise ValueError(f"not a condition: {condition}")


def _reference(template: Template, name: str) -> Any:
    if name == "AWS::NoValue":
        return NO_VALUE
    text = template.parameters[name]
    is_list = "List" in template.document["Parameters"][name]["Type"]
    return text.split(",") if is_list else text
