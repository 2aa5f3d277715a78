"""Rules of the code's structure that import-linter cannot express, read from the syntax trees."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "functions"
PACKAGE = FUNCTIONS / "imagetasks"

# What Lambda itself sets, for every function.
LAMBDAS_VARIABLES = {
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
}
HANDLERS = {"api", "drift", "notify", "sweep", "webhook", "worker"}
FILES = sorted(FUNCTIONS.rglob("*.py"))
OWN_CODE = [
    path
    for folder in ("functions", "openapi", "local", "cli", "scripts", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]

MAX_FUNCTION_LINES = 40
MAX_MODULE_LINES = 250
MAX_MEDIAN_LINES = 120
MAX_HANDLER_LINES = 90


def name(path: Path) -> str:
    return str(path.relative_to(FUNCTIONS))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Every node except those that exist for type checkers only."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not is_for_types_only(child):
            yield from runtime_nodes(child)


def imports(path: Path) -> set[str]:
    """Dotted names of everything that a file imports at run time; `from a import b` is `a.b`."""
    found: set[str] = set()
    for node in runtime_nodes(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imported_packages(path: Path) -> set[str]:
    return {each.split(".")[0] for each in imports(path)}


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def strings(path: Path) -> Iterator[str]:
    for node in runtime_nodes(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


# Which package may know what


@pytest.mark.parametrize("path", FILES, ids=name)
def test_botocore_is_imported_in_the_aws_package_alone_and_boto3_nowhere(path: Path) -> None:
    assert "boto3" not in imported_packages(path)  # the layer does not contain it
    if path.parent != PACKAGE / "aws":
        assert "botocore" not in imported_packages(path)


def test_http_is_spoken_in_the_outbound_package_and_by_the_transport_to_poyo_alone() -> None:
    users = {path for path in FILES if imported_packages(path) & {"urllib3", "requests"}}

    assert {path for path in users if path.parent != PACKAGE / "outbound"} == {
        PACKAGE / "poyo" / "transport.py"
    }


def test_pydantic_is_imported_in_the_validation_of_orders_alone() -> None:
    users = [name(path) for path in FILES if "pydantic" in imported_packages(path)]

    assert users == ["imagetasks/api/order_request.py"]


@pytest.mark.parametrize("path", sorted((PACKAGE / "tasks").glob("*.py")), ids=name)
def test_the_rules_of_a_task_need_the_standard_library_alone(path: Path) -> None:
    assert imported_packages(path) <= set(sys.stdlib_module_names) | {"imagetasks"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "workflows").glob("*.py")), ids=name)
def test_workflows_get_their_clients_as_arguments(path: Path) -> None:
    clients = ("imagetasks.aws", "imagetasks.poyo.client", "imagetasks.poyo.transport")

    assert not [
        each for each in imports(path) if each.startswith((*clients, "imagetasks.outbound"))
    ]


def test_a_workflow_names_only_the_clients_that_it_needs() -> None:
    """A workflow's arguments are its permissions: one that gets no bucket can store nothing."""
    users: dict[str, set[str]] = {}
    for path in (PACKAGE / "workflows").glob("*.py"):
        for client in re.findall(r"import (?:.*, )?(\w+)$", path.read_text(), re.MULTILINE):
            users.setdefault(client, set()).add(path.stem)

    assert users["ImageBucket"] == {"copy_images", "erase_images", "reconcile"}
    assert users["ImageDownloader"] == {"copy_images", "reconcile"}
    assert users["PoyoClient"] == {"confirm_poyo_id", "poll_status", "reconcile", "submit"}
    assert users["NotificationQueue"] == {"reconcile"}
    assert users["NotificationSender"] == {"notify_caller", "place_order"}
    assert "receive_callback" not in users["TaskRepository"]


def test_poyos_json_keys_and_paths_occur_in_the_poyo_package_alone() -> None:
    words = {"credits_amount", "error_message", "created_time"}
    for path in FILES:
        if path.parent in (PACKAGE / "poyo", PACKAGE / "api" / "routes"):
            continue
        found = [text for text in strings(path) if text in words or text.startswith("/api/gen")]
        assert not found, name(path)


def test_clients_paths_of_poyo_are_in_the_client_and_the_routes_alone() -> None:
    users = {name(path) for path in FILES if any("/api/generate" in s for s in strings(path))}

    assert users == {
        "imagetasks/poyo/client.py",
        "imagetasks/api/routes/__init__.py",
        "imagetasks/workflows/place_order.py",  # a docstring says which routes call it
    }


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_that_ships_imports_the_generator_of_the_openapi_document(path: Path) -> None:
    assert "openapi" not in imported_packages(path)


# The environment

READERS = {"base_url_from_env", "from_env", "public_base_url"}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_the_environment_is_read_only_by_functions_that_are_named_for_it(path: Path) -> None:
    readers = {
        function.name for function in functions_of(path) if "os.environ" in ast.unparse(function)
    }

    assert readers <= READERS
    if not readers and path.name != "telemetry.py":  # the metrics' namespace, a constant
        assert "os.environ" not in path.read_text()
    assert "getenv" not in path.read_text()


def test_each_variable_is_named_in_one_file_and_handed_out_by_the_template() -> None:
    named: dict[str, set[str]] = {}
    pattern = re.compile(r"environ(?:\[|\.get\()\"(\w+)\"|from_env\((?:\w+, )?\"(\w+)\"\)")
    for path in FILES:
        for first, second in pattern.findall(path.read_text()):
            named.setdefault(first or second, set()).add(name(path))
    template = (ROOT / "template.yaml").read_text()

    assert {"TABLE_NAME", "QUEUE_URL", "API_SECRET_ARN", "PUBLIC_URL"} <= set(named)
    assert {variable: files for variable, files in named.items() if len(files) > 1} == {}
    ours = set(named) - LAMBDAS_VARIABLES
    assert all(re.search(rf"^ +{variable}: ", template, re.MULTILINE) for variable in ours)


# Cold starts


@pytest.mark.parametrize("handler", ["webhook", "sweep"])
def test_the_small_functions_import_neither_validation_nor_the_client_of_poyo(handler: str) -> None:
    heavy = ("bootstrap", "imagetasks.api.order_request", "imagetasks.poyo.transport", "pydantic")
    program = f"import sys, {handler}; print(*[each for each in {heavy!r} if each in sys.modules])"
    variables = {
        "TABLE_NAME": "tasks",
        "QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/tasks",
        "CALLBACK_SECRET_ARN": "arn:callback",
        "FIRST_POLL_SECONDS": "90",
        "POYO_SUBMITS_PER_10S": "20",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=variables | {"PYTHONPATH": str(FUNCTIONS)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout.strip() == ""


# Form


@pytest.mark.parametrize("path", OWN_CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_are_short(path: Path) -> None:
    assert lines_of(path) <= MAX_MODULE_LINES
    for function in functions_of(path):
        length = int(function.end_lineno or 0) - function.lineno + 1
        assert length <= MAX_FUNCTION_LINES, function.name


def test_half_of_the_modules_are_at_most_120_lines_long() -> None:
    sizes = [lines_of(path) for path in FILES if path.name != "__init__.py"]

    assert statistics.median(sizes) <= MAX_MEDIAN_LINES


@pytest.mark.parametrize("handler", sorted(HANDLERS))
def test_a_handler_module_is_short_and_ends_with_its_handler(handler: str) -> None:
    path = FUNCTIONS / f"{handler}.py"
    last = tree(path).body[-1]

    assert lines_of(path) <= MAX_HANDLER_LINES
    assert isinstance(last, ast.FunctionDef)
    assert last.name == "handler"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(tree(path))

    assert docstring
    assert docstring.split("\n\n")[0].endswith(".")


@pytest.mark.parametrize("path", sorted((PACKAGE / "workflows").glob("[!_]*.py")), ids=name)
def test_every_public_function_of_a_workflow_has_a_docstring(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_handlers_of_requests_and_messages_and_the_transport_catch_every_exception(
    path: Path,
) -> None:
    blind = [
        node
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]

    assert not blind or path.name in (
        "api.py",
        "webhook.py",
        "task_queue.py",
        "transport.py",
    )
