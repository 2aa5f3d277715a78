"""Patterns of URLs that every parser reads alike, and of names that may be on the internet. An order's
references and our own connections are checked against the same ones."""

from __future__ import annotations

import re

PRINTABLE = re.compile(r"[!-~]{1,4096}")  # and no backslash
HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")
# Address parsers take `127.1` and `0x7f.0.0.1` for numbers, whatever precedes the last dot.
NUMBER = re.compile(r".*\.(?:[0-9]+|0x[0-9a-f]*)")
# Names that exist in private networks only: RFC 6761, 6762, 7686 and 8375, ICANN's list of
# collisions, and what cloud providers use for their metadata.
PRIVATE = re.compile(
    r".*\.(?:localhost|localdomain|local|internal|intranet|private|corp|home|lan|home\.arpa|onion|invalid)"
)
