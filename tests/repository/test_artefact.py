"""What ships: the bundle of the functions and the layer, as `sam build` leaves them for a deployment."""

from __future__ import annotations

import filecmp
import importlib.util
import io
import marshal
import os
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

from local import build
from local.processes import ROOT, Processes

MIB = 1024 * 1024
FUNCTIONS = ("ApiFunction", "WebhookFunction", "WorkerFunction", "SweepFunction")
SOURCES = ROOT / "functions"
LAYER = "DependenciesLayer"
# Where Lambda puts them, which is what a traceback has to say.
PLACES = {**dict.fromkeys(FUNCTIONS, "/var/task/"), LAYER: "/opt/"}
LARGEST = {**dict.fromkeys(FUNCTIONS, 1 * MIB), LAYER: 12 * MIB}
HASHED_UNCHECKED = 0b01
MACHINES = {"x86_64": 62, "aarch64": 183}  # e_machine, as ELF numbers them
# What a package leaves beside its code: looked up at runtime, or owed to its authors.
PAPERS = re.compile(r"METADATA|licenses/.+|(LICENSE|NOTICE|LICENCE|COPYING)(\.\w+)?")


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`.aws-sam/build`, as new as the sources, and nobody's to rebuild meanwhile."""
    build.ensure(Processes(tmp_path_factory.mktemp("build")), dict(os.environ))
    with build.held():
        yield build.ARTEFACT


def files(folder: Path) -> set[str]:
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}


@pytest.mark.parametrize("part", PLACES)
def test_beside_every_source_lies_bytecode_that_is_taken_unchecked(
    artefact: Path, part: str
) -> None:
    sources = sorted(artefact.joinpath(part).rglob("*.py"))

    assert len(sources) > 40
    for source in sources:
        name = importlib.util.cache_from_source(str(source))
        magic, flags, hashed = struct.unpack("<4sI8s", Path(name).read_bytes()[:16])
        assert magic == importlib.util.MAGIC_NUMBER, source
        assert flags == HASHED_UNCHECKED, source
        assert hashed == importlib.util.source_hash(source.read_bytes()), source


@pytest.mark.parametrize("part", PLACES)
def test_bytecode_speaks_of_the_place_it_runs_in_and_of_a_source_that_is_there(
    artefact: Path, part: str
) -> None:
    folder = artefact / part
    compiled = sorted(folder.rglob("*.pyc"))

    for each in compiled:
        code = marshal.loads(each.read_bytes()[16:])  # noqa: S302  # we made it
        assert isinstance(code, CodeType)
        assert code.co_filename.startswith(PLACES[part])
        assert folder.joinpath(code.co_filename.removeprefix(PLACES[part])).is_file()
    assert len(compiled) == len(sorted(folder.rglob("*.py")))


@pytest.mark.parametrize("part", FUNCTIONS)
def test_a_bundle_is_our_code_and_nothing_else(artefact: Path, part: str) -> None:
    folder = artefact / part
    ours = {name for name in files(SOURCES) if "__pycache__" not in name and name != "Makefile"}
    bundled = {name for name in files(folder) if "__pycache__" not in name}

    assert bundled == ours
    assert {
        "api.py",
        "openapi.json",
        "imagetasks/api/routes/tasks.py",
        "imagetasks/tasks/task.py",
    } <= bundled
    assert filecmp.cmpfiles(folder, SOURCES, sorted(ours), shallow=False)[0] == sorted(ours)


def test_extension_modules_are_there_for_both_processors(artefact: Path) -> None:
    modules: dict[str, set[str]] = {}
    for each in artefact.joinpath(LAYER).rglob("*.so*"):
        named = re.fullmatch(r"(\w+)\.cpython-313-(\w+)-linux-gnu\.so", each.name)
        assert named, each
        head = each.read_bytes()[:20]
        assert head[:6] == b"\x7fELF\x02\x01", each  # 64 bits, little end first
        assert struct.unpack_from("<H", head, 18)[0] == MACHINES[named[2]], each
        modules.setdefault(str(each.with_name(named[1])), set()).add(named[2])

    assert len(modules) >= 3
    assert all(machines == set(MACHINES) for machines in modules.values())


def test_the_layer_is_what_the_lock_names(artefact: Path) -> None:
    lock = (ROOT / "layers" / "dependencies" / "requirements.txt").read_text()
    locked = set(re.findall(r"^([\w.-]+==[\w.]+)", lock, re.MULTILINE))
    papers = artefact.joinpath(LAYER, "python").glob("*.dist-info")
    installed = {each.name.removesuffix(".dist-info").replace("-", "==") for each in papers}

    assert len(locked) > 10
    assert {name.replace("-", "_") for name in locked} == installed
    assert {each.name for each in artefact.joinpath(LAYER).iterdir()} == {"python"}


def test_nothing_ships_that_nobody_needs(artefact: Path) -> None:
    site = artefact / LAYER / "python"
    shipped = sorted(files(site))
    papers = [name.split(".dist-info/", 1)[1] for name in shipped if ".dist-info/" in name]
    idle = re.compile(
        r"(^|/)(tests?|testing|examples|bin|scripts|pip|setuptools|conftest\.py)(/|$)"
    )

    assert papers
    assert [name for name in papers if not PAPERS.fullmatch(name)] == []
    assert [name for name in shipped if idle.search(name)] == []


def zipped(folder: Path) -> int:
    """How many bytes a deployment uploads of it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files(folder)):
            archive.write(folder / name, name)
    return len(target.getvalue())


@pytest.mark.parametrize("part", PLACES)
def test_what_is_uploaded_is_small(
    artefact: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every cold start unpacks it."""
    size = zipped(artefact / part)

    with capsys.disabled():
        os.write(1, f"\n{part}: {size / MIB:.2f} MiB zipped\n".encode())
    assert size < LARGEST[part]
