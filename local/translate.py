"""`python -m local.translate [Name=value ...]`: what CloudFormation gets to see of template.yaml.

SAM's own translator turns `AWS::Serverless::*` into plain resources, as AWS does at each deployment,
so that tools which know CloudFormation alone can review roles, routes and event sources, too. Runs in
the cloud environment. Parameters named on the command line replace the template's defaults.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, cast

from samtranslator.public.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

TEMPLATE = Path(__file__).parent.parent / "template.yaml"

REGION = "eu-west-1"

Template = dict[str, Any]

# Code lies in a bucket by the time CloudFormation looks; which one says nothing about the template.
_PACKAGED = {
    "AWS::Serverless::Function": ("CodeUri", "s3://packaged/functions.zip"),
    "AWS::Serverless::LayerVersion": ("ContentUri", "s3://packaged/layer.zip"),
}


class _NoManagedPolicies:
    """The template writes each statement out; naming a managed policy would need an account."""

    def load(self) -> dict[str, str]:
        return {}


def main(arguments: list[str]) -> int:
    """Print the translated template; 1 and the reasons when SAM refuses it."""
    os.environ["AWS_DEFAULT_REGION"] = REGION  # the translator asks boto3 and calls nobody
    given = dict(argument.split("=", 1) for argument in arguments)
    try:
        print(json.dumps(translated(given), indent=1))
    except (InvalidDocumentException, KeyError) as error:
        print(f"translate: {error}", file=sys.stderr)
        return 1
    return 0


def translated(given: dict[str, str]) -> Template:
    """The plain CloudFormation of template.yaml with these parameters; KeyError for an unknown one."""
    template = packaged(yaml_parse(TEMPLATE.read_text()))
    for name, value in given.items():
        template["Parameters"][name]["Default"] = value
    notes = {name: each["Metadata"] for name, each in template["Resources"].items() if "Metadata" in each}
    return annotated(transform(template, {}, _NoManagedPolicies()), notes)


def annotated(template: Template, notes: dict[str, Any]) -> Template:
    """What SAM makes of a resource (its role, its stage) keeps the notes written beside that resource."""
    for name, resource in template["Resources"].items():
        origins = [origin for origin in notes if name.startswith(origin)]
        if origins:
            resource["Metadata"] = notes[max(origins, key=len)]
    return template


def packaged(template: Template) -> Template:
    """The template as `sam package` leaves it: code named by its place in a bucket."""
    shared = template["Globals"]["Function"]
    shared.pop("CodeUri")
    for resource in template["Resources"].values():
        if resource["Type"] in _PACKAGED:
            name, place = _PACKAGED[resource["Type"]]
            resource["Properties"][name] = place
    return cast("Template", template)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
