"""Prints what `sam deploy --parameter-overrides` wants: `python -m cli.release prod`.

The parameters that samconfig.toml has for that environment, which an override would otherwise
replace, and `ReleaseSha`, a SHA-256 over everything that is built: it is part of each version's name,
so that a release is published even when no function's own code has changed.
"""

from __future__ import annotations

import argparse
import sys
import tomllib

from local.build import digest
from local.processes import ROOT


def overrides(environment: str) -> str:
    """The parameters as one line. Raises KeyError for an environment that is not prepared."""
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())
    prepared = settings[environment]["deploy"]["parameters"].get("parameter_overrides", "")
    return f"{prepared} ReleaseSha={digest()}".strip()


def main() -> int:
    """0 when printed, 1 with the reason when not."""
    parser = argparse.ArgumentParser(prog="python -m cli.release", description=__doc__)
    parser.add_argument("environment", nargs="?", default="default", help="as in samconfig.toml")
    asked = parser.parse_args()
    try:
        print(overrides(asked.environment))
    except KeyError:
        print(f"samconfig.toml prepares no environment {asked.environment!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
