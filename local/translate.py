"""`python -m local.translate [Name=value ...]`: prints template.yaml as plain CloudFormation.

SAM's own translator turns `AWS::Serverless::*` into plain resources, as AWS does at each deployment, so
that tools without SAM support can review roles, routes and event sources too. Runs in the cloud
environment. Parameters on the command line replace the template's defaults.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from samtranslator.public.exceptions import InvalidDocumentException  # type: ignore[import-not-found]
from samtranslator.translator.transform import transform  # type: ignore[import-not-found]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-not-found]

TEMPLATE = Path(__file__).parent.parent / "template.yaml"
REGION = "eu-west-1"

Template = dict[str, Any]

# `sam package` replaces local code with its place in a bucket; which bucket does not matter here.
_PACKAGED = {
    "AWS::Serverless::Function": ("CodeUri", "s3://packaged/functions.zip"),
    "AWS::Serverless::LayerVersion": ("ContentUri", "s3://packaged/layer.zip"),
}


class UnknownParameter(Exception):
    """The template does not have the given parameter."""


class _NoManagedPolicies:
    """An empty list: the template uses no managed policies, and loading them needs an account."""

    def load(self) -> dict[str, str]:
        return {}


def main(arguments: list[str]) -> int:
    """Print the translated template; returns 1 and prints the reasons if SAM rejects it."""
    os.environ["AWS_DEFAULT_REGION"] = (
        REGION  # the translator reads it through boto3; it sends no request
    )
    try:
        given = dict(argument.split("=", 1) for argument in arguments)
        print(json.dumps(translated(TEMPLATE.read_text(), given), indent=1))
    except InvalidDocumentException as error:
        for cause in error.causes:
            print(f"translate: {cause.message}", file=sys.stderr)
        return 1
    except (UnknownParameter, ValueError) as error:
        print(f"translate: {error}", file=sys.stderr)
        return 1
    return 0


def translated(text: str, given: dict[str, str]) -> Template:
    """Return the plain CloudFormation of a SAM template with these parameter values."""
    template = packaged(yaml_parse(text))
    for name, value in given.items():
        if name not in template["Parameters"]:
            raise UnknownParameter(f"the template has no parameter {name}")
        template["Parameters"][name]["Default"] = value
    resources = template["Resources"].items()
    metadata = {
        name: resource["Metadata"] for name, resource in resources if "Metadata" in resource
    }
    return annotated(transform(template, {}, _NoManagedPolicies()), metadata)


def annotated(template: Template, metadata: dict[str, Any]) -> Template:
    """Copy each resource's Metadata to the resources that SAM derived from it (role, stage)."""
    for name, resource in template["Resources"].items():
        origins = [origin for origin in metadata if name.startswith(origin)]
        if origins:
            resource["Metadata"] = metadata[max(origins, key=len)]
    return template


def packaged(template: Template) -> Template:
    """Return the template as `sam package` writes it: with code as a place in a bucket."""
    template["Globals"]["Function"].pop("CodeUri", None)
    for resource in template["Resources"].values():
        if resource["Type"] in _PACKAGED:
            name, uri = _PACKAGED[resource["Type"]]
            resource["Properties"][name] = uri
    return template


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
