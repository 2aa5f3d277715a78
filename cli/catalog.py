"""Brings the bundled image models up to date with PoYo's catalogue.

imagetasks stack catalog refresh                    shows what changed at https://api.poyo.ai
imagetasks stack catalog refresh --from URL|FILE    the same for another server, or for a saved catalogue
imagetasks stack catalog refresh --write            also writes catalog/facts.json and models.json anew

A model that cannot be validated or priced stops it, with the reason, and nothing is written. Review what
it wrote, run `python -m scripts.make_models_page` and `make check`, and deploy it like any other change.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.catalog_changes import Change, changes, facts_of, facts_text, table
from imagetasks.poyo import model_catalog, transport
from imagetasks.poyo.live_catalog import CatalogUnreadable, checked_items, live_items
from imagetasks.poyo.model_facts import Item
from scripts.make_models import CATALOG, Unusable, make, read_overlay, unused

POYO = "https://api.poyo.ai"
INTERRUPTED = 130  # as a shell reports Ctrl-C


@dataclass(frozen=True, slots=True)
class Files:
    """Where the facts and the bundled models are, and what is our own about them."""

    facts: Path = CATALOG / "facts.json"
    models: Path = model_catalog.FILE
    overlay: Path = CATALOG / "overlay"


@dataclass(frozen=True, slots=True)
class Refresh:
    """What changed, what is described and not sold any more, and the files' new texts by path."""

    changes: list[Change]
    unused: list[str]
    texts: Mapping[Path, str]


def refresh(items: Sequence[Item], files: Files, source: str) -> Refresh:
    """The bundled models made anew from a catalogue's `items`. Raises Unusable."""
    overlay = read_overlay(files.overlay)
    models = make(items, overlay)
    bundled = json.loads(files.facts.read_text(encoding="utf-8"))
    facts = facts_of(items)
    found = changes(bundled["items"], facts)
    if not found:
        return Refresh([], [], {files.models: models})
    today = datetime.now(UTC).date()
    about = (
        f"Facts of PoYo's image models: fields, types, limits and prices. From {source}, {today}."
    )
    texts = {files.facts: facts_text(about, facts), files.models: models}
    return Refresh(found, [*unused(overlay, facts)], texts)


def read_items(source: str) -> list[Item]:
    """The models at a URL or in a file. Raises CatalogUnreadable."""
    if source.startswith(("http://", "https://")):
        return live_items(transport.send, source.rstrip("/"))
    try:
        content = json.loads(Path(source).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CatalogUnreadable(f"{source} is no JSON file that can be read") from error
    return [*checked_items(content.get("data", content) if isinstance(content, dict) else content)]


def replace_files(texts: Mapping[Path, str]) -> None:
    """Write all files or none of them, whatever interrupts it: each is written beside its place first.
    Ctrl-C does not come between the replacements."""
    new = {path: path.with_name(f".{path.name}.new") for path in texts}
    try:
        for path, beside in new.items():
            with beside.open("w", encoding="utf-8", newline="\n") as file:
                file.write(texts[path])
                file.flush()
                os.fsync(file.fileno())
        with _uninterrupted():
            for path, beside in new.items():
                beside.replace(path)
    finally:
        for beside in new.values():
            beside.unlink(missing_ok=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def report(found: Refresh, *, written: bool, as_json: bool) -> str:
    """What changed, for a person or as JSON."""
    if as_json:
        values: dict[str, Any] = {
            "changes": [asdict(each) for each in found.changes],
            "not_sold_any_more": found.unused,
            "written": written,
        }
        return json.dumps(values, indent=2)
    if not found.changes:
        return "nothing has changed: the bundled models are those of the catalogue"
    gone = [f"catalog/overlay describes {each}, which is gone" for each in found.unused]
    todo = (
        "written: see docs/operating.md for the rest"
        if written
        else "nothing is written; --write does"
    )
    return "\n".join([table(found.changes), *gone, todo])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="imagetasks stack catalog",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "refresh", help="compare with PoYo's catalogue, and write the bundled models anew"
    )
    command.add_argument(
        "--from", dest="source", default=POYO, help=f"PoYo's base URL, or a file (default: {POYO})"
    )
    command.add_argument("--write", action="store_true", help="write the two files")
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def main(arguments: Sequence[str] | None = None, files: Files | None = None) -> int:
    """Print what changed. Returns 0, 1 if the catalogue cannot be read or used, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        found = refresh(read_items(options.source), files or Files(), options.source)
        written = options.write and bool(found.changes)
        if written:
            replace_files(found.texts)
    except (CatalogUnreadable, Unusable) as error:
        reason = "".join(each if each.isprintable() else "?" for each in str(error))
        print(f"{options.source}: {reason}; nothing is written", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing is written", file=sys.stderr)
        return INTERRUPTED
    print(report(found, written=written, as_json=options.json))
    return 0
