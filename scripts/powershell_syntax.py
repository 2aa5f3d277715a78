"""Checks the syntax of PowerShell scripts: `python -m scripts.powershell_syntax FILE ...`.

For machines without PowerShell. Runs in the audit environment; exits with 1 if a script does not parse.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import tree_sitter_powershell  # type: ignore[import-not-found]
from tree_sitter import Language, Node, Parser  # type: ignore[import-not-found]


def main(files: list[str]) -> int:
    """Print one line for each syntax error. Returns 1 if there is any."""
    parser = Parser(Language(tree_sitter_powershell.language()))
    count = 0
    for file in files:
        for node in syntax_errors(parser.parse(Path(file).read_bytes()).root_node):
            line, column = node.start_point
            sys.stdout.write(f"{file}:{line + 1}:{column + 1}: syntax error\n")
            count += 1
    return 1 if count else 0


def syntax_errors(node: Node) -> Iterator[Node]:
    """The smallest nodes that do not match the grammar, and the nodes that are missing."""
    if node.is_error or node.is_missing:
        yield node
        return
    for child in node.children:
        if child.has_error:
            yield from syntax_errors(child)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
