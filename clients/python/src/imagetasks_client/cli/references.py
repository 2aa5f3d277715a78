"""What `--ref` takes: an image file, a public address, or an image of an earlier task."""

from __future__ import annotations

import re
from pathlib import Path

TASK_IMAGE = re.compile(r"(?:task:)?([a-z2-7]{26})(?:/(\d{1,3}))?")
ADDRESSES = ("https://", "http://", "upload://")


def reference(text: str) -> str | Path:
    """The address of a reference, or the path of a file to upload. Raises ValueError for anything else."""
    if text.startswith(ADDRESSES):
        return text
    path = Path(text).expanduser()
    if path.is_file():
        return path
    if found := TASK_IMAGE.fullmatch(text):
        return f"task:{found[1]}/{found[2] or 0}"
    raise ValueError(
        f"--ref {text}: neither a file, nor an https:// address, nor TASK_ID or TASK_ID/N"
    )
