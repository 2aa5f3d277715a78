"""Writes the variables file for `sam local invoke -n`, which connects a function to this system only."""

import json
from pathlib import Path

from local.cloud import REGION
from local.system import System

FUNCTIONS = (
    "ApiFunction",
    "WebhookFunction",
    "WorkerFunction",
    "NotifyFunction",
    "SweepFunction",
    "DriftFunction",
)


def write_environment(system: System, path: Path) -> None:
    """Write the deployed functions' variables and the emulated AWS's settings to `path`.

    docs/sam-local.md describes how a container reaches 127.0.0.1.
    """
    functions = system.client("lambda")
    aws = {
        "AWS_ENDPOINT_URL": system.cloud_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }
    values = {}
    for logical_id in FUNCTIONS:
        name = system.outputs[f"{logical_id}Name"]
        deployed = functions.get_function_configuration(FunctionName=name)
        values[logical_id] = deployed["Environment"]["Variables"] | aws
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")
