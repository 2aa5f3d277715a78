"""A deployment publishes new function versions when it should, and shifts traffic as its parameters say."""

from __future__ import annotations

import pytest

from tests.support.translated_template import FUNCTIONS, properties, resolved, resources


def versions(variant: str) -> dict[str, str]:
    """The logical id of each function's version; a new id makes CloudFormation publish a version."""
    aliases = {name: properties(f"{name}Aliaslive", variant) for name in FUNCTIONS}
    return {name: each["FunctionVersion"]["Fn::GetAtt"][0] for name, each in aliases.items()}


def layers(variant: str) -> set[str]:
    """The logical ids of the layers of all functions, for both architectures; a changed one has a new id."""
    found: set[str] = set()
    for name in FUNCTIONS:
        [layer] = properties(name, variant)["Layers"]
        condition, *either = layer["Fn::If"]
        assert condition == "IsArm64"
        found |= {each["Ref"] for each in either}
    assert len(found) == 2
    assert found <= resources("AWS::Lambda::LayerVersion", variant).keys()
    return found


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_functions_have_the_layer_of_their_architecture_and_the_stack_has_no_other(
    architecture: str,
) -> None:
    versions = resources("AWS::Lambda::LayerVersion")
    chosen = resolved({"Fn::If": ["IsArm64", 0, 1]}, Architecture=architecture)

    for name in FUNCTIONS:
        [layer] = properties(name)["Layers"]
        either = [versions[each["Ref"]] for each in layer["Fn::If"][1:]]
        for number, each in enumerate(either):
            exists = {"Fn::If": [each["Condition"], True, False]}
            assert resolved(exists, Architecture=architecture) == (number == chosen)
        assert either[chosen]["Properties"]["CompatibleArchitectures"] == [architecture]


def test_layer_change_alone_publishes_no_version() -> None:
    """The functions get the new layer, but the alias `live` keeps pointing to the previous version."""
    assert layers("plain") != layers("other layer")
    assert versions("plain") == versions("other layer")


def test_new_release_publishes_every_function_even_if_only_the_layer_changed() -> None:
    before, after = versions("released"), versions("other layer, next release")

    assert layers("released") != layers("other layer, next release")
    assert all(before[name] != after[name] for name in FUNCTIONS)


def test_code_change_publishes_every_function_without_a_release() -> None:
    before, after = versions("plain"), versions("other code")

    assert all(before[name] != after[name] for name in FUNCTIONS)


@pytest.mark.parametrize("change", ["other layer, same release", "other code, same release"])
def test_unchanged_release_publishes_nothing(change: str) -> None:
    """A stack that was deployed with a release therefore needs a new one for every deployment."""
    assert versions("released") == versions(change)


def test_new_release_changes_the_function_description() -> None:
    """Lambda publishes no version of an unchanged function, and the deployment would fail."""
    for name in FUNCTIONS:
        before = properties(name, "released")["Description"]
        after = properties(name, "other layer, next release")["Description"]

        assert before != after
        assert len(before) <= 256


def test_published_versions_are_retained() -> None:
    found = resources("AWS::Lambda::Version")

    assert len(found) == len(FUNCTIONS)
    assert {each["DeletionPolicy"] for each in found.values()} == {"Retain"}


def test_stack_without_gradual_deploys_has_no_codedeploy_resources() -> None:
    kinds = {each["Type"] for each in resources().values()}
    aliases = resources("AWS::Lambda::Alias")

    assert not [kind for kind in kinds if "CodeDeploy" in kind]
    assert set(aliases) == {f"{name}Aliaslive" for name in FUNCTIONS}
    assert not [name for name, each in aliases.items() if "UpdatePolicy" in each]


def test_gradual_deploy_is_a_canary_of_each_function_that_alarms_roll_back() -> None:
    groups = resources("AWS::CodeDeploy::DeploymentGroup", "gradual")
    alarms = resources("AWS::CloudWatch::Alarm")

    assert set(groups) == {f"{name}DeploymentGroup" for name in FUNCTIONS}
    for name in FUNCTIONS:
        group = groups[f"{name}DeploymentGroup"]["Properties"]
        policy = resources(variant="gradual")[f"{name}Aliaslive"]["UpdatePolicy"]
        watched = [each["Name"]["Ref"] for each in group["AlarmConfiguration"]["Alarms"]]
        assert policy["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"] == {
            "Ref": f"{name}DeploymentGroup"
        }
        assert group["DeploymentConfigName"]["Fn::Sub"][1] == {
            "ConfigName": "Canary10Percent5Minutes"
        }
        assert group["AlarmConfiguration"]["Enabled"] is True
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert set(watched) <= set(alarms)


def test_deployment_role_exists_only_with_gradual_deploys_and_every_group_uses_it() -> None:
    groups = resources("AWS::CodeDeploy::DeploymentGroup", "gradual").values()
    roles = [each["Properties"]["ServiceRoleArn"] for each in groups]
    arn = {"Fn::GetAtt": ["DeploymentRole", "Arn"]}

    assert resources()["DeploymentRole"]["Condition"] == "HasGradualDeploys"
    assert roles == [{"Fn::If": ["HasGradualDeploys", arn, {"Ref": "AWS::NoValue"}]}] * len(
        FUNCTIONS
    )
