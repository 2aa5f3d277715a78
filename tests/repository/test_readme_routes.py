"""The README's tables of the API name every route, and no other."""

import re
from pathlib import Path

from imagetasks.api.routes import GET_AND_OTHERS

README = (Path(__file__).parents[2] / "README.md").read_text()
WEBHOOK = ("POST", "/callbacks/poyo/{kid}/{task_id}/{mac}")  # has a function of its own


def documented_routes() -> set[tuple[str, str]]:
    tables = README.split("## The API")[1].split("## Configuration")[0]
    cells = re.findall(r"^\| (`.+?`) \|", tables, re.MULTILINE)
    return {route for cell in cells for route in routes_of(cell)}


def routes_of(cell: str) -> set[tuple[str, str]]:
    """`GET`, `DELETE /a` are two methods of one path; `GET /a`, `GET /b` are two routes."""
    found: set[tuple[str, str]] = set()
    waiting: list[str] = []
    for quoted in re.findall(r"`([^`]+)`", cell):
        method, _, path = quoted.partition(" ")
        waiting.append(method)
        if path:
            found |= {(each, path) for each in waiting}
            waiting = []
    assert not waiting, cell
    return found


def test_readme_lists_every_route() -> None:
    served = {(method, re.sub(r"<(\w+)>", r"{\1}", rule)) for method, rule, _ in GET_AND_OTHERS}

    assert documented_routes() == served | {WEBHOOK}
