"""Prints the value for `sam deploy --parameter-overrides`: `imagetasks stack release prod [Name=value ...]`.

The value consists of the parameters that samconfig.toml has for the environment, the parameters given
as arguments, and `ReleaseSha`. The parameters of samconfig.toml are repeated because an override on the
command line replaces all of them. `ReleaseSha` is a SHA-256 over all parameters and over everything that
is built. It is part of the name of each Lambda version, so a release is published even when the code of no
function has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from local.build import digest
from local.processes import ROOT

CONFIG = ROOT / "samconfig.toml"

# `sam deploy --guided` saves its parameters in samconfig.toml, the ReleaseSha of that time included.
_SAVED_RELEASE = re.compile(r"""(?<!\S)ReleaseSha=("[^"]*"|'[^']*'|\S*)""")
_OVERRIDE = re.compile(r"[A-Za-z][A-Za-z0-9]*=.*")


def overrides(environment: str, given: tuple[str, ...] = (), config: Path = CONFIG) -> str:
    """All parameters in one line. Raises KeyError if samconfig.toml lacks the environment."""
    settings = tomllib.loads(config.read_text())
    saved = settings[environment]["deploy"]["parameters"].get("parameter_overrides", "")
    text = saved if isinstance(saved, str) else " ".join(saved)
    line = " ".join([*_SAVED_RELEASE.sub("", text).split(), *given])
    release = hashlib.sha256(f"{digest()} {line}".encode()).hexdigest()
    return f"{line} ReleaseSha={release}".strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the overrides. Returns 0 on success, 1 with the reason on stderr otherwise."""
    parser = argparse.ArgumentParser(prog="imagetasks stack release", description=__doc__)
    parser.add_argument(
        "environment", nargs="?", default="default", help="environment of samconfig.toml"
    )
    parser.add_argument("given", nargs="*", metavar="Name=value", help="a further parameter")
    options = parser.parse_args(arguments)
    if invalid := [each for each in options.given if not _OVERRIDE.fullmatch(each)]:
        print(f"not Name=value: {invalid[0]}", file=sys.stderr)
        return 1
    try:
        print(overrides(options.environment, tuple(options.given)))
    except KeyError:
        print(f"samconfig.toml has no environment {options.environment!r}", file=sys.stderr)
        return 1
    return 0
