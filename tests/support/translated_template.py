"""The template as CloudFormation receives it: translated by SAM, once for each variant of code and parameters."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from typing import Any

from local.cfn_intrinsics import Template, resolve
from local.processes import ROOT

JsonObject = dict[str, Any]

PYTHON = ROOT / ".local" / "envs" / "cloud" / "bin" / "python"
FUNCTIONS = (
    "ApiFunction",
    "WebhookFunction",
    "WorkerFunction",
    "NotifyFunction",
    "SweepFunction",
    "DriftFunction",
)

CODE, LAYER = "s3://packaged/functions.zip", "s3://packaged/layer.zip"
OTHER_CODE, OTHER_LAYER = "s3://packaged/functions-2.zip", "s3://packaged/layer-2.zip"
RELEASE, NEXT_RELEASE = {"ReleaseSha": "a" * 64}, {"ReleaseSha": "b" * 64}
GRADUAL = {"GradualDeploys": "true"}
VARIANTS: dict[str, tuple[str, str, dict[str, str]]] = {
    "plain": (CODE, LAYER, {}),
    "other layer": (CODE, OTHER_LAYER, {}),
    "other code": (OTHER_CODE, LAYER, {}),
    "released": (CODE, LAYER, RELEASE),
    "other layer, same release": (CODE, OTHER_LAYER, RELEASE),
    "other code, same release": (OTHER_CODE, LAYER, RELEASE),
    "other layer, next release": (CODE, OTHER_LAYER, NEXT_RELEASE),
    "gradual": (CODE, LAYER, GRADUAL),
}
# Runs SAM's own translator once for all variants, because starting it takes longer than translating.
TRANSLATE = """
import json, os, sys
os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"
from local import translate
def one(code, layer, parameters):
    translate._PACKAGED["AWS::Serverless::Function"] = ("CodeUri", code)
    translate._PACKAGED["AWS::Serverless::LayerVersion"] = ("ContentUri", layer)
    return translate.translated(translate.TEMPLATE.read_text(), parameters)
print(json.dumps({name: one(*variant) for name, variant in json.load(sys.stdin).items()}))
"""


@cache
def translated_templates() -> dict[str, JsonObject]:
    """The CloudFormation template of each variant, by its name."""
    done = subprocess.run(
        [PYTHON, "-c", TRANSLATE],
        input=json.dumps(VARIANTS),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    templates: dict[str, JsonObject] = json.loads(done.stdout)
    return templates


def resources(kind: str = "", variant: str = "plain") -> dict[str, JsonObject]:
    """Resources of type `kind`, or all of them, by logical id."""
    found = translated_templates()[variant]["Resources"]
    return {name: each for name, each in found.items() if kind in ("", each["Type"])}


def properties(name: str, variant: str = "plain") -> JsonObject:
    """Properties of the resource with this logical id."""
    found: JsonObject = resources(variant=variant)[name]["Properties"]
    return found


def resolved(value: Any, **parameters: str) -> Any:
    """`value` with its intrinsic functions evaluated; parameters not given have their defaults."""
    document = translated_templates()["plain"]
    defaults = {name: str(each["Default"]) for name, each in document["Parameters"].items()}
    return resolve(Template(document, defaults | parameters), value)


def trusted_services(role: JsonObject) -> list[str]:
    """The services that may assume the role."""
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    found: list[str] = statement["Principal"]["Service"]
    return found


def managed_policies(role: JsonObject) -> list[str]:
    """Names of the managed policies of the role."""
    return [arn.rpartition("/")[2] for arn in role.get("ManagedPolicyArns", [])]


def statements(role: JsonObject) -> list[JsonObject]:
    """All statements of the role's inline policies."""
    return [each for policy in role["Policies"] for each in policy["PolicyDocument"]["Statement"]]
