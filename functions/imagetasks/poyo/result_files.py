"""Which entries of a finished task's `files` are images, in whatever form they come."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any
from urllib.parse import urlsplit

from imagetasks.poyo.answer import parse_json, text
from imagetasks.tasks.task import MAX_FILES

MAX_DEPTH = 6  # of lists and objects inside one another
URL_KEYS = ("file_url", "url", "image_url", "download_url")
ADDRESS = re.compile(r"\s*(?:https?:/)?/", re.IGNORECASE)
JSON = re.compile(r"\s*[\[{]")
IMAGE_EXTENSION = re.compile(
    r"png|jpe|jpe?g|jfif|webp|gif|bmp|avif|hei[cf]|tiff?|image", re.IGNORECASE
)
OTHER_TYPES = frozenset({"video", "audio", "3d", "other", "json", "text", "document", "model"})
MAX_EXTENSION_CHARS = 5


class Kind(IntEnum):
    """How likely an entry is an image."""

    IMAGE = 0
    UNKNOWN = 1
    OTHER = 2


def image_urls(task: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    """The URLs of the images of a task object, and how many other files it names.

    Without an image the unknown files stay, and without those all of them: they were paid.
    """
    kinds: dict[str, Kind] = {}
    for url, kind in _entries(task.get("files") or {"file_url": task.get("file_url")}):
        kinds[url] = min(kind, kinds.get(url, kind))
    best = min(kinds.values(), default=Kind.OTHER)
    urls = [url for url, kind in kinds.items() if kind == best]
    return tuple(urls[:MAX_FILES]), len(kinds) - len(urls[:MAX_FILES])


def _entries(
    files: Any, entry: Mapping[str, Any] | None = None, *, depth: int = 0
) -> Iterator[tuple[str, Kind]]:
    """URL and kind of each file in any nesting of lists, objects and JSON in a text. `entry` is the
    object that names `files` as its address."""
    if depth > MAX_DEPTH:
        return
    if isinstance(files, str):
        nested = parse_json(files.encode(errors="replace")) if JSON.match(files) else None
        if nested is not None:
            yield from _entries(nested, entry, depth=depth + 1)
        elif ADDRESS.match(files) or (entry and files.strip()):
            url = text(files).strip()
            yield url, _kind(entry or {}, url)
    elif isinstance(files, list):
        for each in files:
            yield from _entries(each, entry, depth=depth + 1)
    elif isinstance(files, dict):
        named = [files[key] for key in URL_KEYS if files.get(key)][:1]
        for each in named or files.values():
            yield from _entries(each, files if named else None, depth=depth + 1)


def _kind(entry: Mapping[str, Any], url: str) -> Kind:
    """By PoYo's `file_type`, else by what the entry or its URL says of its format."""
    declared = text(entry.get("file_type")).strip().lower()
    if declared.startswith("image") or IMAGE_EXTENSION.fullmatch(declared):
        return Kind.IMAGE
    if declared.split("/")[0] in OTHER_TYPES:
        return Kind.OTHER
    content_type = text(entry.get("content_type")).strip().lower()
    if content_type.startswith("image/"):
        return Kind.IMAGE
    if content_type.startswith(("video/", "audio/", "text/", "application/json")):
        return Kind.UNKNOWN
    name = text(entry.get("format")) or text(entry.get("file_name"))
    return _kind_of_name(f".{name}" if name else url)


def _kind_of_name(name: str) -> Kind:
    """By the extension; a name without one is as good as an image's."""
    try:
        path = urlsplit(name.strip()).path
    except ValueError:
        path = name
    _, dot, extension = path.rpartition("/")[2].rpartition(".")
    if not dot or not extension or len(extension) > MAX_EXTENSION_CHARS or not extension.isalnum():
        return Kind.IMAGE
    return Kind.IMAGE if IMAGE_EXTENSION.fullmatch(extension) else Kind.UNKNOWN
