"""The interpreter of every measurement: as on Lambda it sees the function, its layer and the template's
variables, and nothing of the development environment."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local import build
from local.processes import ROOT, Processes

HANDLERS = ("webhook", "sweep", "notify", "worker", "api")
LAYER = build.layer()
# Packages as pip installs them, with their bytecode and all of botocore's data: what the baselines use.
PACKAGES = Path(sysconfig.get_paths()["purelib"])
STATE = ROOT / ".local" / "benchmarks"
REGION = "eu-west-1"
# Every name that a version of the template has used, so that any two checkouts can be compared.
VARIABLES = {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_SERVICE_NAME": "imagetasks",
    "POWERTOOLS_METRICS_NAMESPACE": "imagetasks",
    "TABLE_NAME": "tasks",
    "BUCKET_NAME": "images",
    "QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/tasks",
    "NOTIFICATION_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/notifications",
    "WAITING_CONCURRENCY": "5",
    "STACK_DAILY_CREDITS": "0",
    "OWNER_DAILY_CREDITS": "0",
    "ORDERS_PAUSED": "false",
    "PLAYGROUND": "false",
    "MODELS": "gpt-image-*",
    "API_SECRET_ARN": "arn:api",
    "CALLBACK_SECRET_ARN": "arn:callback",
    "TOKEN_SECRET_ARN": "arn:token",
    "POYO_BASE_URL": "https://api.poyo.ai",
    "PUBLIC_URL": "https://img.example",
    "DOWNLOAD_HOSTS": "cdn.doculator.org",
    "NOTIFICATION_HOSTS": "*",
    "FIRST_POLL_SECONDS": "90",
    "POYO_SUBMITS_PER_10S": "20",
    "IMAGE_RETENTION_DAYS": "0",
    "FILE_HOSTS": "cdn.doculator.org",
    "CALLBACK_HOSTS": "*",
    "FIRST_LOOK_SECONDS": "90",
    "SUBMITS_PER_10S": "20",
}


@dataclass(frozen=True)
class Program:
    """A program in a new interpreter: its arguments, the folders that it imports from, and variables
    that differ from the template's."""

    arguments: tuple[str, ...]
    folders: tuple[Path, ...]
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        """The command; -S keeps the packages of this environment out of `sys.path`."""
        return [sys.executable, "-S", *self.arguments]

    @property
    def environment(self) -> dict[str, str]:
        """All variables. No bytecode is written, because the folders are read-only on Lambda."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, self.folders)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            **VARIABLES,
            **self.variables,
        }


def built_folders(handler: str) -> tuple[Path, ...]:
    """Where the deployed `handler` imports from: its bundle and the layer."""
    return (build.ARTEFACT / f"{handler.title()}Function", LAYER)


def ensure_built() -> None:
    """Run `sam build` unless the artefact matches the sources."""
    build.ensure(Processes(STATE / "logs"), dict(os.environ))


def machine() -> str:
    """The processor and the versions that the figures depend on, without a name of this machine."""
    model = platform.machine()
    if (listed := Path("/proc/cpuinfo")).exists():
        lines = listed.read_text().splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = f"{named[0]} ({model})" if named else model
    libc = " ".join(platform.libc_ver())
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {libc}"
