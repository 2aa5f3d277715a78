"""Image files on this machine: recognised by their bytes, saved only when they are complete."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from imagetasks_client.errors import ImageTasksError
from imagetasks_client.task import File, Task

MOST_BYTES = 10 * 1024 * 1024  # of an upload


@dataclass(frozen=True, slots=True)
class Image:
    """A file to upload."""

    name: str
    content: bytes
    content_type: str


class DamagedFile(ImageTasksError):
    """The bytes that arrived are not those of the file; download it again."""


def image_at(path: Path) -> Image:
    """The image at `path`. Raises OSError if it cannot be read, ValueError if it is no PNG, JPEG or
    WebP of at most 10 MiB."""
    content = path.read_bytes()
    kind = _content_type(content)
    if kind is None:
        raise ValueError(f"{path} is not a PNG, JPEG or WebP image")
    if len(content) > MOST_BYTES:
        raise ValueError(
            f"{path} has {len(content):,} bytes; a reference has at most {MOST_BYTES:,}"
        )
    return Image(path.name, content, kind)


def paths(task: Task, folder: Path, name: str | None) -> list[tuple[File, Path]]:
    """A path in `folder` for each image of the task: `name` or its id, numbered if there are several."""
    several = len(task.files) > 1
    return [
        (file, folder / f"{name or task.task_id}{f'-{n}' if several else ''}{file.suffix}")
        for n, file in enumerate(task.files)
    ]


def save(file: File, content: bytes, path: Path) -> Path:
    """Write the file at `path` in one step: a stopped program leaves no part of it under that name.
    Raises DamagedFile if `content` is not the file's."""
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise DamagedFile(f"{file.file_url} arrived damaged")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _content_type(content: bytes) -> str | None:
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None
