"""Reads a `.env` file."""

from pathlib import Path

from local.setting_parsers import BadSetting


def read_env_file(path: Path) -> dict[str, str]:
    """Read the NAME=value lines of a `.env`, without quotes; {} if there is no file. Raises BadSetting."""
    values: dict[str, str] = {}
    if not path.exists():
        return values
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise BadSetting(f"{path.name} line {number}", "not understood", "NAME=value")
        value = value.strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        values[name.strip()] = value[1:-1] if quoted else value
    return values
