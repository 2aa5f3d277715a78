"""Prints what `sam deploy --parameter-overrides` wants: `python -m cli.release prod [Name=value ...]`.

That is the parameters that samconfig.toml has for the environment, which an override would otherwise
replace, those named here, and `ReleaseSha`, a SHA-256 over all of them and over everything that is
built: it is part of each version's name, so that a release is published even when no function's
own code has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tomllib
from pathlib import Path

from local.build import digest
from local.processes import ROOT

CONFIG = ROOT / "samconfig.toml"

# `sam deploy --guided` writes down what it was told, and with it the release it was.
_EARLIER = re.compile(r"""(?<!\S)ReleaseSha=("[^"]*"|'[^']*'|\S*)""")
_GIVEN = re.compile(r"[A-Za-z][A-Za-z0-9]*=.*")


def overrides(environment: str, given: tuple[str, ...] = (), config: Path = CONFIG) -> str:
    """The parameters as one line. Raises KeyError for an environment that is not prepared."""
    settings = tomllib.loads(config.read_text())
    prepared = settings[environment]["deploy"]["parameters"].get("parameter_overrides", "")
    said = prepared if isinstance(prepared, str) else " ".join(prepared)
    line = " ".join([*_EARLIER.sub("", said).split(), *given])
    released = hashlib.sha256(f"{digest()} {line}".encode()).hexdigest()
    return f"{line} ReleaseSha={released}".strip()


def main(arguments: list[str] | None = None) -> int:
    """0 when printed, 1 with the reason when not."""
    parser = argparse.ArgumentParser(prog="python -m cli.release", description=__doc__)
    parser.add_argument("environment", nargs="?", default="default", help="as in samconfig.toml")
    parser.add_argument("given", nargs="*", metavar="Name=value", help="a further parameter")
    asked = parser.parse_args(arguments)
    if odd := [each for each in asked.given if not _GIVEN.fullmatch(each)]:
        print(f"not Name=value: {odd[0]}", file=sys.stderr)
        return 1
    try:
        print(overrides(asked.environment, tuple(asked.given)))
    except KeyError:
        print(f"samconfig.toml prepares no environment {asked.environment!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
