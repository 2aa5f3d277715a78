"""The same functions as a plain `sam build` makes them: SAM's own builder for Python, no makefile.

It is what a template with a `CodeUri` and a `requirements.txt` gives, as `sam init` creates them: the
sources and the packages of our lock in one folder, without bytecode, with all of botocore's data.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from benchmarks.interpreter import STATE
from local import build
from local.processes import ROOT, Processes

FOLDER = STATE / "plain"
TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Plain:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: webhook.handler, CodeUri: functions, Architectures: [%s]}
"""


def ensure_plain_build() -> Path:
    """The folder of the built function, which holds every handler; built again if a source differs."""
    marker, digest = FOLDER / "digest", build.digest()
    if not marker.exists() or marker.read_text() != digest:
        shutil.rmtree(FOLDER, ignore_errors=True)
        ignored = shutil.ignore_patterns("__pycache__", "Makefile")
        shutil.copytree(ROOT / "functions", FOLDER / "functions", ignore=ignored)
        lock = (ROOT / "layers" / "dependencies" / "requirements.txt").read_text()
        pinned = re.findall(r"^[\w.-]+==[\w.]+", lock, re.MULTILINE)
        FOLDER.joinpath("functions", "requirements.txt").write_text("\n".join(pinned) + "\n")
        FOLDER.joinpath("template.yaml").write_text(TEMPLATE % build.architecture())
        command = ["sam", "build", "--template", str(FOLDER / "template.yaml")]
        command += ["--build-dir", str(FOLDER / "build")]
        environ = build.sam_environment(dict(os.environ) | {"AWS_DEFAULT_REGION": "eu-west-1"})
        Processes(STATE / "logs").run("plain-build", command, environ)
        marker.write_text(digest)
    return FOLDER / "build" / "Plain"
