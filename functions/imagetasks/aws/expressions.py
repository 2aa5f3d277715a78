"""Conditions and updates in DynamoDB's expression language."""

from __future__ import annotations

from typing import Any

from imagetasks.tasks.conditional_write import AttributeTest, Condition, UpdateItem


class Expression:
    """A condition, and the update that it guards if there is one."""

    def __init__(self, condition: Condition, update: UpdateItem | None = None) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._update = self._update_expression(update) if update else ""
        self._condition = self._condition_expression(condition)

    def arguments(self, *, return_old: bool) -> dict[str, Any]:
        """Arguments of a write, with values as Python values. With `return_old`, a refused write
        returns the existing item."""
        arguments = {
            "ConditionExpression": self._condition,
            "UpdateExpression": self._update,
            "ExpressionAttributeNames": self._names,
            "ExpressionAttributeValues": self._values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD" if return_old else "",
        }
        return {name: value for name, value in arguments.items() if value}

    def _update_expression(self, update: UpdateItem) -> str:
        sets = [
            f"{self._name(name)} = {self._value(value)}" for name, value in update.values.items()
        ]
        if update.history_entry:
            history = self._name("history")
            entry = self._value([dict(update.history_entry)])
            sets.append(f"{history} = list_append({history}, {entry})")
        adds = [f"{self._name(name)} {self._value(more)}" for name, more in update.added.items()]
        removes = [self._name(name) for name in update.removed]
        parts = (("SET", sets), ("ADD", adds), ("REMOVE", removes))
        return " ".join(f"{verb} {', '.join(each)}" for verb, each in parts if each)

    def _condition_expression(self, condition: Condition) -> str:
        """AND binds closer than OR; DynamoDB refuses parentheses that change nothing."""
        all_of = [self._test(test) for test in condition.all_of]
        any_of = " OR ".join(" AND ".join(map(self._test, group)) for group in condition.any_of)
        if all_of and len(condition.any_of) > 1:
            any_of = f"({any_of})"
        return " AND ".join([*all_of, any_of] if any_of else all_of)

    def _test(self, test: AttributeTest) -> str:
        name = self._name(test.attribute)
        if test.test == "absent":
            return f"attribute_not_exists({name})"
        if test.test == "equals":
            return f"{name} = {self._value(test.value)}"
        if test.test == "at_most":
            return f"{name} <= {self._value(test.value)}"
        if test.test == "below":
            return f"{name} < {self._value(test.value)}"
        return f"{name} IN ({', '.join(map(self._value, test.value))})"

    def _name(self, attribute: str) -> str:
        self._names[f"#{attribute}"] = attribute
        return f"#{attribute}"

    def _value(self, value: Any) -> str:
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value
        return placeholder
