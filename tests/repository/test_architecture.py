"""The house rules, read from the syntax trees: what imports what, who reads the environment, sizes."""

from __future__ import annotations

import ast
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).parents[2] / "functions"
HOUSE = "imagetasks"

# Row by row; a module imports only from the rows below its own.
DOORS = {"api", "sweep", "webhook", "worker"}
# What stands behind the API's door, one file a noun of it.
ROUTES = {"dropin", "files", "tasks", "uploads"}
# What doors share, and what is said of them.
HALLS = {"answering", "asking", "house", "problems", "refusal", "wiring"}
VERBS = {"notifier", "hear", "look", "read", "steps", "submit", "sweep"}
EDGES = {
    "deliver",
    "queue",
    "download",
    "images",
    "poyo",
    "secrets",
    "store",
    "table",
    "telemetry",
    "uploads",
    "wire",
}
# Opens connections, so it is not core; two edges stand on it, so it is no edge: one guarded way out.
WAYS_OUT = {"egress"}
CORE = {
    "address",
    "capability",
    "catalogue",
    "clauses",
    "cursor",
    "dialect",
    "errors",
    "limits",
    "order",
    "pace",
    "picture",
    "pricing",
    "quota",
    "reasons",
    "reference",
    "reply",
    "ring",
    "shape",
    "signature",
    "task",
    "timely",
    "transitions",
    "view",
}
AWS = {"boto3", "botocore"}
# Core stands on the standard library, but for the validation of orders.
CORE_MAY = {"order": {"pydantic"}}
# The environment is read where an edge is made from it, and by what tells the outside's address.
READS_ENVIRONMENT = EDGES | {"limits"}

LONGEST_FUNCTION = 40
LONGEST_MODULE = 250  # lines of code: prose and blank lines are not counted
LONGEST_DOOR = 120

HOUSE_FILES = {path.stem: path for path in (FUNCTIONS / HOUSE).glob("*.py")}
DOOR_FILES = {path.stem: path for path in FUNCTIONS.glob("*.py")}
ROUTE_FILES = {path.stem: path for path in (FUNCTIONS / "routes").glob("[!_]*.py")}
FILES = [*HOUSE_FILES.values(), *DOOR_FILES.values(), *ROUTE_FILES.values()]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def at_runtime(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those that exist for type checkers only."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not for_types_only(child):
            yield from at_runtime(child)


def imported(path: Path) -> set[str]:
    """Dotted names of all that a file imports at runtime; `from a import b` is `a.b`."""
    found: set[str] = set()
    for node in at_runtime(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms(path: Path) -> set[str]:
    """Modules of the house that a file imports at runtime."""
    parts = [name.split(".") for name in imported(path)]
    return {each[1] for each in parts if each[0] == HOUSE and len(each) > 1}


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.AST) -> int:
    return int(getattr(node, "end_lineno", 0)) - int(getattr(node, "lineno", 0)) + 1


def lines_of_code(path: Path) -> set[int]:
    """Numbers of the lines that something stands on which is neither comment nor docstring."""
    prose = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    found: set[int] = set()
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            docstring = token.type == tokenize.STRING and token.line.lstrip().startswith('"""')
            if token.type not in prose and token.string and not docstring:
                found |= set(range(token.start[0], token.end[0] + 1))
    return found


def test_every_module_has_its_row() -> None:
    assert set(HOUSE_FILES) - {"__init__"} == VERBS | EDGES | WAYS_OUT | CORE
    assert set(DOOR_FILES) == DOORS | HALLS
    assert set(ROUTE_FILES) == ROUTES
    assert not VERBS & EDGES
    assert not EDGES & CORE


@pytest.mark.parametrize("name", sorted(CORE))
def test_core_imports_core_alone(name: str) -> None:
    assert rooms(HOUSE_FILES[name]) <= CORE
    others = roots(HOUSE_FILES[name]) - set(sys.stdlib_module_names) - {HOUSE}
    assert others <= CORE_MAY.get(name, set())


@pytest.mark.parametrize("name", sorted(EDGES | WAYS_OUT))
def test_edges_do_not_know_one_another(name: str) -> None:
    assert rooms(HOUSE_FILES[name]) <= CORE | (WAYS_OUT if name in EDGES else set())


@pytest.mark.parametrize("name", sorted(VERBS))
def test_verbs_stand_on_core_and_get_their_edges_handed_in(name: str) -> None:
    # What a verb may call of an edge's module is pure: telemetry's words, poyo's reading.
    assert rooms(HOUSE_FILES[name]) <= CORE | {"telemetry", "poyo"}


@pytest.mark.parametrize("name", sorted(DOORS | HALLS))
def test_doors_import_halls_and_no_doors(name: str) -> None:
    own = roots(DOOR_FILES[name]) & set(DOOR_FILES)

    assert own <= HALLS - {name}
    assert "routes" not in roots(DOOR_FILES[name]) or name == "api"


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_routes_stand_on_halls_and_do_not_know_one_another(name: str) -> None:
    assert roots(ROUTE_FILES[name]) & (set(DOOR_FILES) | {"routes"}) <= HALLS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_that_runs_imports_the_contract(path: Path) -> None:
    assert "contract" not in roots(path)


def test_only_verbs_that_need_an_edge_name_it() -> None:
    """The signature is the permission: who takes no images can put none."""
    verbs = {name: HOUSE_FILES[name].read_text() for name in VERBS}

    assert {name for name, text in verbs.items() if "import Images" in text} == {
        "notifier",
        "look",
    }
    assert {name for name, text in verbs.items() if "import Downloads" in text} == {"look"}
    assert {name for name, text in verbs.items() if "import Poyo\n" in text} <= {"look", "submit"}
    assert "import Store" not in verbs["hear"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_aws_is_known_to_edges_alone(path: Path) -> None:
    if path.stem not in EDGES or path.parent == FUNCTIONS:
        assert not roots(path) & AWS


def test_requests_is_known_to_the_wire_alone() -> None:
    assert [path.stem for path in FILES if "requests" in roots(path)] == ["wire"]


@pytest.mark.parametrize("name", sorted(HOUSE_FILES))
def test_the_environment_is_read_by_those_who_say_so(name: str) -> None:
    readers = {
        function.name
        for function in functions_of(HOUSE_FILES[name])
        if "os.environ" in ast.unparse(function)
    }

    assert all(reader.endswith("from_env") for reader in readers)
    assert not readers or name in READS_ENVIRONMENT
    if name not in READS_ENVIRONMENT:
        assert "environ" not in HOUSE_FILES[name].read_text()
    assert "getenv" not in HOUSE_FILES[name].read_text()


def test_each_variable_is_named_in_one_file() -> None:
    named: dict[str, set[str]] = {}
    pattern = re.compile(r"environ(?:\[|\.get\()\"(\w+)\"|from_env\(\"(\w+)\"\)")
    for path in FILES:
        for found in pattern.findall(path.read_text()):
            named.setdefault(found[0] or found[1], set()).add(str(path))

    assert {"TABLE_NAME", "QUEUE_URL", "API_SECRET_ARN", "PUBLIC_URL"} <= set(named)
    assert {name: files for name, files in named.items() if len(files) > 1} == {}


def test_poyos_words_are_known_to_its_two_files_alone() -> None:
    words = ("credits_amount", "error_message", "/api/generate")
    for path in FILES:
        if path.stem in (
            "poyo",
            "dialect",
            "api",
        ):  # who reads them, who speaks them, their address
            continue
        literals = [
            node.value
            for node in at_runtime(tree(path))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        assert not [text for text in literals if text in words or text.startswith("/api/gen")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_functions_and_modules_are_short(path: Path) -> None:
    longest = LONGEST_DOOR if path.parent == FUNCTIONS else LONGEST_MODULE

    assert len(lines_of_code(path)) <= longest
    for function in functions_of(path):
        assert length(function) <= LONGEST_FUNCTION, function.name


@pytest.mark.parametrize("name", sorted(DOORS))
def test_the_handler_is_the_last_thing_in_a_door(name: str) -> None:
    last = tree(DOOR_FILES[name]).body[-1]

    assert isinstance(last, ast.FunctionDef)
    assert last.name == "handler"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_module_says_what_it_is(path: Path) -> None:
    said = ast.get_docstring(tree(path))

    assert said
    assert said.splitlines()[0].endswith((".", "!", "?"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_is_caught_blindly_but_by_the_worker_and_the_wire(path: Path) -> None:
    blind = [
        node
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]

    assert not blind or path.stem in ("worker", "wire")


def test_the_template_hands_out_exactly_the_variables_that_are_read() -> None:
    text = (FUNCTIONS.parent / "template.yaml").read_text()
    pattern = re.compile(r"environ\[\"(\w+)\"\]|from_env\(\"(\w+)\"\)")
    read = {a or b for path in FILES for a, b in pattern.findall(path.read_text())}

    assert all(re.search(rf"^ +{name}: ", text, re.MULTILINE) for name in read)
