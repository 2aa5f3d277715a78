"""Orders on disk, from before they are sent until their images are saved: `--resume` finds each of them,
after a power cut, too, and pays nothing, because it sends the same order under the same key."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from imagetasks_client.cli.settings import orders_path, write_private


@dataclass(frozen=True, slots=True)
class Entry:
    """An order: where it goes, what it is, and where its images are saved. `task_id` is None until the
    service has accepted it; `account` says with whose key it was sent, which is who pays for it."""

    key: str
    base_url: str
    owner: str | None
    model: str
    input: dict[str, Any]
    max_credits: float | None
    out: str
    task_id: str | None = None
    account: str | None = None

    @property
    def prompt(self) -> str:
        """The prompt, for file names and progress."""
        return str(self.input.get("prompt", ""))

    def write(self) -> Entry:
        """Put it on disk."""
        path = _path(self.key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, json.dumps(asdict(self)))
        return self

    def accepted(self, task_id: str) -> Entry:
        """The same with the id of its task, on disk."""
        return replace(self, task_id=task_id).write()

    def remove(self) -> None:
        """Its images are saved, or it has none. One that cannot be removed is found again, which costs nothing."""
        with contextlib.suppress(OSError):
            _path(self.key).unlink()


def write_all(orders: list[Entry]) -> None:
    """Put the orders on disk, all or, if the disk or the user stops it, none."""
    try:
        for each in orders:
            each.write()
    except BaseException:
        for each in orders:
            each.remove()
        raise


def entries(base_url: str, owner: str | None) -> Iterator[Entry]:
    """The orders of this service and owner, oldest first. A file that is no order is left alone."""
    folder = orders_path()
    files = sorted(folder.glob("*.json"), key=_written_at)
    for path in files:
        entry = _read(path)
        if entry and (entry.base_url, entry.owner) == (base_url, owner):
            yield entry


def _read(path: Path) -> Entry | None:
    try:
        return Entry(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError, OSError):
        return None


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process has saved its images and removed it
        return 0


def _path(key: str) -> Path:
    return orders_path() / f"{key}.json"
