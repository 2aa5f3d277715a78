"""`python -m scripts.powershell_syntax FILE ...`: does a PowerShell grammar take these scripts?

For machines without PowerShell. Runs in the audit environment; 1 when a script does not parse.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import tree_sitter_powershell  # type: ignore[import-not-found]
from tree_sitter import Language, Node, Parser  # type: ignore[import-not-found]


def main(files: list[str]) -> int:
    """Print a line for each place that is not PowerShell."""
    parser = Parser(Language(tree_sitter_powershell.language()))
    broken = 0
    for file in files:
        for node in mistakes(parser.parse(Path(file).read_bytes()).root_node):
            line, column = node.start_point
            sys.stdout.write(f"{file}:{line + 1}:{column + 1}: not PowerShell\n")
            broken += 1
    return 1 if broken else 0


def mistakes(node: Node) -> Iterator[Node]:
    """The smallest pieces that the grammar could not take, and those it misses."""
    if node.is_error or node.is_missing:
        yield node
        return
    for child in node.children:
        if child.has_error:
            yield from mistakes(child)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
