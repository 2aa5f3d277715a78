"""The JavaScript client's own tests in Node, against a scripted API, and its types."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "js"
FILES = sorted((CLIENT / "test").glob("*.test.js"))
TYPES = CLIENT / "test" / "types.ts"
TIMEOUT_S = 300


@pytest.fixture(scope="module")
def node() -> None:
    subprocess.run([ROOT / "scripts" / "require.sh", "node", "nodejs"], check=True)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, text=True, capture_output=True, timeout=TIMEOUT_S, check=False
    )


@pytest.mark.usefixtures("node")
def test_client_passes_its_tests_in_node() -> None:
    done = run("node", "--test", "--test-reporter", "tap", *FILES)

    assert done.returncode == 0, done.stdout
    counts = dict(re.findall(r"^# (\w+) (\d+)$", done.stdout, re.MULTILINE))
    assert (counts["skipped"], counts["todo"]) == ("0", "0")
    assert int(counts["pass"]) == int(counts["tests"]) >= 100


def compile_types(file: Path) -> subprocess.CompletedProcess[str]:
    return run(ROOT / "scripts" / "typescript.sh", "-p", file)


def test_types_accept_what_the_client_takes_and_nothing_else() -> None:
    done = compile_types(CLIENT / "test" / "tsconfig.json")

    assert done.returncode == 0, done.stdout


def test_every_type_that_is_exported_is_a_value_or_a_type_of_the_client() -> None:
    """What index.d.ts declares as a function or a class, index.js exports, and nothing else."""
    declared = {
        line.split()[2].split("(")[0]
        for line in (CLIENT / "src" / "index.d.ts").read_text().splitlines()
        if line.startswith(("export function", "export class"))
    }
    script = (
        'import("./clients/js/src/index.js").then((m) => console.log(Object.keys(m).join(" ")))'
    )
    exported = run("node", "-e", script)

    assert set(exported.stdout.split()) == declared


def test_client_has_no_dependency_and_fits_into_a_page() -> None:
    modules = [
        path for path in (CLIENT / "src").glob("*.js") if path.name not in ("react.js", "server.js")
    ]
    lines = {path.name: path.read_text().count("\n") for path in modules}

    assert '"dependencies"' not in (CLIENT / "package.json").read_text()
    assert sum(path.stat().st_size for path in modules) < 30_000
    assert all(count <= 250 for count in lines.values()), lines
