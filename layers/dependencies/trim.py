"""Reduces the installed packages to what `functions/` needs: `python trim.py SITE` in the build.

Lambda unpacks the layer at every cold start, and a function parses botocore's descriptions of its
services, so that each operation that nobody calls costs time. Tests keep `OPERATIONS` and the calls in
the code alike, and compare what the built layer sends for each of them with what botocore sends as it is.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

OPERATIONS = {
    "dynamodb": (
        "BatchGetItem",
        "GetItem",
        "PutItem",
        "Query",
        "TransactWriteItems",
        "UpdateItem",
    ),
    "s3": (
        "CreateBucket",  # botocore makes the address of a presigned form by it
        "DeleteObjects",
        "GetObject",
        "HeadObject",
        "PutObject",
    ),
    "secretsmanager": ("GetSecretValue",),
    "sqs": ("SendMessage", "SendMessageBatch"),
}
MODEL, RULES = "service-2", "endpoint-rule-set-1"
# What no function imports. An entry that is gone from a new version of its package stops the build.
UNUSED = (
    "aws_lambda_powertools/event_handler",
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in (
            "auth_alpha",
            "batch",
            "circuit_breaker",
            "data_classes",
            "data_masking",
            "feature_flags",
            "idempotency",
            "kafka",
            "parameters",
            "parser",
            "streaming",
            "validation",
        )
    ),
    "botocore/cacert.pem",  # certifi's is used if certifi is there
    "dateutil/zoneinfo/dateutil-zoneinfo.tar.gz",
    "pydantic/v1",
    "urllib3/contrib/emscripten",
)


def main(site: Path) -> None:
    """Remove what nothing imports, and rewrite botocore's data."""
    for name in UNUSED:
        unused = site / name
        shutil.rmtree(unused) if unused.is_dir() else unused.unlink()
    sys.path.insert(0, str(site))
    from botocore.loaders import Loader  # noqa: PLC0415  # the one that reads the result later

    data = site / "botocore" / "data"
    loader = Loader([str(data)], include_default_search_paths=False)
    for folder in [each for each in data.iterdir() if each.is_dir()]:
        if folder.name not in OPERATIONS:
            shutil.rmtree(folder)
            continue
        version = loader.determine_latest_version(folder.name, MODEL)
        model = loader.load_service_model(folder.name, MODEL, version)
        rules = loader.load_service_model(folder.name, RULES, version)
        shutil.rmtree(folder)
        write(folder / version / f"{MODEL}.json", trimmed_model(model, OPERATIONS[folder.name]))
        write(folder / version / f"{RULES}.json", rules)
    write(data / "endpoints.json", trimmed_endpoints(loader.load_data("endpoints")))


def trimmed_model(model: Mapping[str, Any], operations: tuple[str, ...]) -> dict[str, Any]:
    """The model with these operations and the shapes that they reach, both without documentation."""
    kept = {name: model["operations"][name] for name in operations}
    shapes: dict[str, Any] = {}
    found = [*referenced(list(kept.values()))]
    while found:
        name = found.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            found += referenced(shapes[name])
    return {**model, **without_documentation({"operations": kept, "shapes": shapes})}


def trimmed_endpoints(endpoints: Mapping[str, Any]) -> dict[str, Any]:
    """The regions and endpoints of the services alone."""
    partitions = [
        {**each, "services": {name: each["services"][name] for name in OPERATIONS}}
        for each in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}


def referenced(part: Any) -> Iterator[str]:
    """Names of the shapes that a part of a model refers to."""
    if isinstance(part, Mapping):
        if isinstance(part.get("shape"), str):
            yield part["shape"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from referenced(each)


def without_documentation(part: Any) -> Any:
    """The part of a model without its texts for people. A member may have this name, too."""
    if isinstance(part, Mapping):
        return {
            name: without_documentation(value)
            for name, value in part.items()
            if name != "documentation" or not isinstance(value, str)
        }
    return [without_documentation(each) for each in part] if isinstance(part, list) else part


def write(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
