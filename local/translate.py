"""`python -m local.translate [Name=value ...]`: what CloudFormation gets to see of template.yaml.

SAM's own translator turns `AWS::Serverless::*` into plain resources, as AWS does at each deployment,
so that tools which know CloudFormation alone can review roles, routes and event sources, too. Runs in
the cloud environment. Parameters named on the command line replace the template's defaults.
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

# Code lies in a bucket by the time CloudFormation looks; which one says nothing about the template.
_PACKAGED = {
    "AWS::Serverless::Function": ("CodeUri", "s3://packaged/functions.zip"),
    "AWS::Serverless::LayerVersion": ("ContentUri", "s3://packaged/layer.zip"),
}


class UnknownParameter(Exception):
    """A parameter was given that the template does not have."""


class _NoManagedPolicies:
    """The template writes each statement out; naming a managed policy would need an account."""

    def load(self) -> dict[str, str]:
        return {}


def main(arguments: list[str]) -> int:
    """Print the translated template; 1 and the reasons when SAM refuses it."""
    os.environ["AWS_DEFAULT_REGION"] = REGION  # the translator asks boto3 and calls nobody
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
    """The plain CloudFormation of a SAM template with these values for its parameters."""
    template = packaged(yaml_parse(text))
    for name, value in given.items():
        if name not in template["Parameters"]:
            raise UnknownParameter(f"the template has no parameter {name}")
        template["Parameters"][name]["Default"] = value
    resources = template["Resources"].items()
    notes = {name: resource["Metadata"] for name, resource in resources if "Metadata" in resource}
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
    template["Globals"]["Function"].pop("CodeUri", None)
    for resource in template["Resources"].values():
        if resource["Type"] in _PACKAGED:
            name, place = _PACKAGED[resource["Type"]]
            resource["Properties"][name] = place
    return template


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
