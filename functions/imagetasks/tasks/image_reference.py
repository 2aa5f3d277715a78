"""Reference images as an order names them: a public https URL, or one of the owner's uploads."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

ID_LENGTH = 26  # base32 characters: 130 bits
ID = re.compile(rf"[a-z2-7]{{{ID_LENGTH}}}")
SCHEME = "upload://"
HTTPS = re.compile(r"https://[!-~]+")  # as a URI is written: everything else is percent-encoded


def is_upload(url: str) -> bool:
    """Whether `url` names an upload: `upload://{id}`."""
    return url.startswith(SCHEME) and ID.fullmatch(url.removeprefix(SCHEME)) is not None


def upload_id(url: str) -> str:
    """The id in `upload://{id}`. Raises ValueError when `url` does not name an upload."""
    if not is_upload(url):
        raise ValueError("not the address of an upload")
    return url.removeprefix(SCHEME)


def is_fetchable_url(url: str) -> bool:
    """Whether PoYo could fetch `url`. Nothing is resolved, because PoYo fetches it and not we."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    named = "." in host and not host.replace(".", "").isdigit() and not host.endswith(".local")
    return HTTPS.fullmatch(url) is not None and "@" not in parts.netloc and named
