"""Two stacks fit into one account: no resource has a name that a second stack would need, too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.translated_template import resources

# Properties that name a resource within an account. Those of a resource inside another one of the same stack
# (an alias in its function, a stage in its API, a policy in its role) may be literal.
WITHIN_PARENT = {"AWS::Lambda::Alias", "AWS::ApiGatewayV2::Stage"}
NOT_A_NAME = {"MetricName", "FunctionName", "DeploymentConfigName", "ApplicationName", "PolicyName"}


def names(properties: dict[str, Any]) -> dict[str, Any]:
    """The properties that give a resource its name."""
    return {
        key: value
        for key, value in properties.items()
        if key.endswith("Name") and key not in NOT_A_NAME
    }


@pytest.mark.parametrize("variant", ["plain", "gradual"])
def test_every_name_contains_the_name_of_the_stack(variant: str) -> None:
    """SAM gives a schedule its logical id as its name unless the template forbids it."""
    named = {
        f"{logical_id}.{key}": value
        for logical_id, each in resources(variant=variant).items()
        if each["Type"] not in WITHIN_PARENT
        for key, value in names(each.get("Properties", {})).items()
    }

    assert named
    for where, value in named.items():
        assert "${AWS::StackName}" in json.dumps(value), f"{where}: {value}"


def test_schedules_have_no_name_of_their_own() -> None:
    schedules = resources("AWS::Scheduler::Schedule").values()

    assert len(schedules) == 2
    assert not any("Name" in each["Properties"] for each in schedules)
