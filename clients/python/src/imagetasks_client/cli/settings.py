"""Where the service is and the key: options first, then the environment, then the file of `auth login`."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from imagetasks_client.connection import SETTINGS


class SettingsInvalid(Exception):
    """The settings file cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The address of a service, a key, and the user that it acts for; None where nothing is known."""

    base_url: str | None = None
    key: str | None = None
    owner: str | None = None


def config_path() -> Path:
    """`imagetasks/config.toml` in $XDG_CONFIG_HOME or ~/.config."""
    return _home("XDG_CONFIG_HOME", ".config") / "config.toml"


def orders_path() -> Path:
    """The folder of the orders that are not saved yet, in $XDG_STATE_HOME or ~/.local/state."""
    return _home("XDG_STATE_HOME", ".local/state") / "orders"


def stored() -> Settings:
    """What `auth login` stored. Raises SettingsInvalid if the file is none of ours."""
    path = config_path()
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"{path}: {error}; run `imagetasks auth login` again") from error
    return Settings(**{name: str(values[name]) for name in SETTINGS if values.get(name)})


def in_effect() -> Settings:
    """The environment's settings, and what it leaves open from the file."""
    found = asdict(stored())
    given = {name: os.environ.get(variable) for name, variable in SETTINGS.items()}
    return Settings(**{name: given[name] or found[name] for name in SETTINGS})


def store(settings: Settings) -> Path:
    """Write the file; only its owner can read it. Returns its path."""
    path = config_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A JSON string is a TOML string, too.
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in asdict(settings).items() if value]
    write_private(path, "".join(lines))
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step: it is there, on disk, when this returns."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _home(variable: str, default: str) -> Path:
    chosen = os.environ.get(variable, "")
    return (Path(chosen) if chosen.startswith("/") else Path.home() / default) / "imagetasks"
