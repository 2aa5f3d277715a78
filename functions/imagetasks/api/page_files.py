"""The files of the page at `/`, as scripts/make_page.py bundled them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BUNDLE = Path(__file__).parents[2] / "page.json"


@dataclass(frozen=True, slots=True)
class PageFiles:
    """The page's files by path, such as `client/index.js`; its routes exist if it is `served`."""

    served: bool

    @classmethod
    def from_env(cls) -> PageFiles:
        """PLAYGROUND: `true` serves the page."""
        return cls(os.environ["PLAYGROUND"] == "true")

    def get(self, path: str) -> Mapping[str, str] | None:
        """The file's `type`, `etag` and `text`; None if there is no such file. The bundle is read by the
        first request for it."""
        return _bundle().get(path)


@cache
def _bundle() -> Mapping[str, Mapping[str, str]]:
    files: Mapping[str, Mapping[str, str]] = json.loads(BUNDLE.read_text("utf-8"))
    return files
