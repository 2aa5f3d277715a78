"""The artefact of `sam build`: the code bundle of each function and the layer, as they are deployed."""

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
FUNCTIONS = (
    "ApiFunction",
    "WebhookFunction",
    "WorkerFunction",
    "NotifyFunction",
    "SweepFunction",
    "DriftFunction",
)
SOURCES = ROOT / "functions"
LAYERS = tuple(build.LAYERS.values())
# Where Lambda mounts them; tracebacks must show these paths.
MOUNTS = {**dict.fromkeys(FUNCTIONS, "/var/task/"), **dict.fromkeys(LAYERS, "/opt/")}
MAX_ZIP_BYTES = {**dict.fromkeys(FUNCTIONS, 1 * MIB), **dict.fromkeys(LAYERS, 6 * MIB)}
HASHED_UNCHECKED = 0b01
# The architecture in the names of extension modules, and e_machine of their ELF headers.
MACHINES = {"arm64": ("aarch64", 183), "x86_64": ("x86_64", 62)}
# Metadata of a package that is read at runtime or required by its licence.
METADATA = re.compile(r"METADATA|licenses/.+|(LICENSE|NOTICE|LICENCE|COPYING)(\.\w+)?")


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`.aws-sam/build`, up to date with the sources, and locked against a rebuild meanwhile."""
    build.ensure(Processes(tmp_path_factory.mktemp("build")), dict(os.environ))
    with build.read_lock():
        yield build.ARTEFACT


def files(folder: Path) -> set[str]:
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}


@pytest.mark.parametrize("part", MOUNTS)
def test_every_source_has_unchecked_hash_based_bytecode(artefact: Path, part: str) -> None:
    sources = sorted(artefact.joinpath(part).rglob("*.py"))

    assert len(sources) > 40
    for source in sources:
        name = importlib.util.cache_from_source(str(source))
        magic, flags, hashed = struct.unpack("<4sI8s", Path(name).read_bytes()[:16])
        assert magic == importlib.util.MAGIC_NUMBER, source
        assert flags == HASHED_UNCHECKED, source
        assert hashed == importlib.util.source_hash(source.read_bytes()), source


@pytest.mark.parametrize("part", MOUNTS)
def test_bytecode_contains_the_deployed_path_of_an_existing_source(
    artefact: Path, part: str
) -> None:
    folder = artefact / part
    compiled = sorted(folder.rglob("*.pyc"))

    for each in compiled:
        code = marshal.loads(each.read_bytes()[16:])  # noqa: S302  # compiled by our own build
        assert isinstance(code, CodeType)
        assert code.co_filename.startswith(MOUNTS[part])
        assert folder.joinpath(code.co_filename.removeprefix(MOUNTS[part])).is_file()
    assert len(compiled) == len(sorted(folder.rglob("*.py")))


@pytest.mark.parametrize("part", FUNCTIONS)
def test_bundle_contains_exactly_our_code(artefact: Path, part: str) -> None:
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


@pytest.mark.parametrize("architecture", build.LAYERS)
def test_layer_has_the_extension_modules_of_its_architecture_alone(
    artefact: Path, architecture: str
) -> None:
    machine, e_machine = MACHINES[architecture]
    modules = sorted(artefact.joinpath(build.LAYERS[architecture]).rglob("*.so*"))

    assert modules  # pydantic's
    for each in modules:
        assert each.name.endswith(f".cpython-313-{machine}-linux-gnu.so"), each
        header = each.read_bytes()[:20]
        assert header[:6] == b"\x7fELF\x02\x01", each  # 64-bit, little-endian
        assert struct.unpack_from("<H", header, 18)[0] == e_machine, each


def test_layers_differ_in_their_extension_modules_alone(artefact: Path) -> None:
    one, other = (artefact / name for name in LAYERS)
    names = sorted(name for name in files(one) if not name.endswith((".so", ".pyc")))

    assert len(names) > 300
    assert files(one) ^ files(other) == {
        name for folder in (one, other) for name in files(folder) if name.endswith(".so")
    }
    assert filecmp.cmpfiles(one, other, names, shallow=False)[0] == names


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_contains_exactly_the_packages_of_the_lock(artefact: Path, layer: str) -> None:
    lock = (ROOT / "layers" / "dependencies" / "requirements.txt").read_text()
    locked = set(re.findall(r"^([\w.-]+==[\w.]+)", lock, re.MULTILINE))
    dist_infos = artefact.joinpath(layer, "python").glob("*.dist-info")
    installed = {each.name.removesuffix(".dist-info").replace("-", "==") for each in dist_infos}

    assert len(locked) > 10
    assert {name.replace("-", "_") for name in locked} == installed
    assert {each.name for each in artefact.joinpath(layer).iterdir()} == {"python"}


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_contains_no_tests_tools_or_unneeded_metadata(artefact: Path, layer: str) -> None:
    site = artefact / layer / "python"
    deployed = sorted(files(site))
    metadata = [name.split(".dist-info/", 1)[1] for name in deployed if ".dist-info/" in name]
    unneeded = re.compile(
        r"(^|/)(tests?|testing|examples|bin|scripts|pip|setuptools|conftest\.py)(/|$)"
    )

    assert metadata
    assert [name for name in metadata if not METADATA.fullmatch(name)] == []
    assert [name for name in deployed if unneeded.search(name)] == []


def zip_bytes(folder: Path) -> int:
    """The size of the zip file that a deployment uploads."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files(folder)):
            archive.write(folder / name, name)
    return len(target.getvalue())


@pytest.mark.parametrize("part", MOUNTS)
def test_uploaded_zip_is_small(
    artefact: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lambda unpacks it at every cold start."""
    size = zip_bytes(artefact / part)

    with capsys.disabled():
        os.write(1, f"\n{part}: {size / MIB:.2f} MiB zipped\n".encode())
    assert size < MAX_ZIP_BYTES[part]
