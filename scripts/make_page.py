"""`python -m scripts.make_page [--check]`: put the page and the client that it uses into `functions/page.json`,
from which the API serves them. SAM bundles nothing outside `functions/`."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUNDLE = ROOT / "functions" / "page.json"
COMMAND = "python -m scripts.make_page"
SOURCES = {"": ROOT / "web", "client/": ROOT / "clients" / "js" / "src"}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
LEFT_OUT = {"react.js", "server.js"}  # parts of the client that no page imports


def bundle() -> str:
    """The bundle: for each path its type, its ETag and its text."""
    files = {}
    for prefix, folder in SOURCES.items():
        for path in sorted(folder.iterdir()):
            if path.suffix in TYPES and path.name not in LEFT_OUT:
                text = path.read_text("utf-8")
                tag = hashlib.sha256(text.encode()).hexdigest()[:32]
                files[prefix + path.name] = {
                    "type": TYPES[path.suffix],
                    "etag": f'"{tag}"',
                    "text": text,
                }
    return json.dumps(files, ensure_ascii=False, indent=0) + "\n"


def main() -> int:
    """Write the bundle, or with `--check` return 1 if it is out of date."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it differs")
    made = bundle()
    if not parser.parse_args().check:
        BUNDLE.write_text(made, "utf-8")
        return 0
    if BUNDLE.exists() and BUNDLE.read_text("utf-8") == made:
        return 0
    sys.stderr.write(f"functions/page.json is out of date: run `{COMMAND}`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
