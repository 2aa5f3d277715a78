"""Reference images as an order names them: a public https URL, one of the owner's uploads, a file of one
of the owner's tasks, or an image of this service by its `file_url`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from imagetasks.tasks.host_names import HOST, NUMBER, PRIVATE
from imagetasks.tasks.signed_urls import PART
from imagetasks.tasks.task import TASK_ID

ID_LENGTH = 26  # base32 characters: 130 bits
ID = re.compile(rf"[a-z2-7]{{{ID_LENGTH}}}")
SCHEME = "upload://"
TASK_SCHEME = "task:"
TASK_FILE = re.compile(rf"{TASK_SCHEME}{TASK_ID.pattern}/(?:0|[1-9][0-9]?)")
HTTPS = re.compile(r"https://[!-~]+")  # as a URI is written: everything else is percent-encoded
FILE_PATH = re.compile(
    rf"/files/({TASK_ID.pattern})/(0|[1-9][0-9]?)/({PART.pattern})(?:\?download=[01])?"
)


def is_upload(url: str) -> bool:
    """Whether `url` names an upload: `upload://{id}`."""
    return url.startswith(SCHEME) and ID.fullmatch(url.removeprefix(SCHEME)) is not None


def upload_id(url: str) -> str:
    """The id in `upload://{id}`. Raises ValueError when `url` does not name an upload."""
    if not is_upload(url):
        raise ValueError("not the address of an upload")
    return url.removeprefix(SCHEME)


@dataclass(frozen=True, slots=True)
class TaskFile:
    """The `n`th file of a task, from 0. It proves nothing: the task must be the owner's."""

    task_id: str
    n: str


def task_file(url: str) -> TaskFile | None:
    """What `task:{task_id}/{n}` names; None for any other URL."""
    if not TASK_FILE.fullmatch(url):
        return None
    task_id, _, n = url.removeprefix(TASK_SCHEME).partition("/")
    return TaskFile(task_id, n)


@dataclass(frozen=True, slots=True)
class FileReference:
    """What a `file_url` names: the `n`th file of a task, and the token that proves it."""

    task_id: str
    n: str
    token: str


def file_reference(url: str, public_base_url: str) -> FileReference | None:
    """What `url` names if it is the `file_url` of an image of this service, whose URLs begin with
    `public_base_url`. The token is not verified."""
    origin, slash, path = url.partition("/files/")
    match = FILE_PATH.fullmatch(slash + path) if origin and origin == public_base_url else None
    return FileReference(match[1], match[2], match[3]) if match else None


def is_fetchable_url(url: str) -> bool:
    """Whether PoYo could fetch `url`: https, port 443, a public name. Nothing is resolved, because
    PoYo fetches it and not we."""
    if not HTTPS.fullmatch(url) or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if port not in (None, 443) or set(parts.netloc) & set("@["):
        return False
    named = HOST.fullmatch(host) and not NUMBER.fullmatch(host)
    return bool(named and not PRIVATE.fullmatch(host))
