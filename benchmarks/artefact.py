"""What the build is worth: instructions of a cold start with the artefact as it is deployed against a
plain `sam build` of the same functions, and the size of the layer that Lambda unpacks.

Lambda's folders are read-only and zips date every file 1980, so a plain build compiles every module anew
at each cold start.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from benchmarks.baselines.plain_build import ensure_plain_build
from benchmarks.callgrind import count_all
from benchmarks.interpreter import HANDLERS, LAYER, Program, built_folders, ensure_built
from benchmarks.report import Row, main, show

MAX_RATIO, MAX_LAYER_MIB, MIB = 0.33, 6, 1024 * 1024


def zipped_bytes(folder: Path) -> int:
    """The size of the zip file that a deployment uploads."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            archive.write(file, file.relative_to(folder))
    return len(target.getvalue())


def measure() -> list[Row]:
    """Rows 2 and 16."""
    ensure_built()
    plain = ensure_plain_build()
    shipped = [Program(("-c", f"import {name}"), built_folders(name)) for name in HANDLERS]
    unbuilt = [Program(("-c", f"import {name}"), (plain,)) for name in HANDLERS]
    counts = count_all([*shipped, *unbuilt])
    ours, theirs = counts[: len(HANDLERS)], counts[len(HANDLERS) :]
    return [*map(_row, HANDLERS, ours, theirs), _layer()]


def _row(handler: str, ours: int, theirs: int) -> Row:
    return Row(
        number=2,
        measure=f"cold start of {handler} with the shipped artefact",
        value=ours / 1e6,
        unit="M instructions",
        baseline=f"plain sam build: {show(theirs / 1e6)}",
        ratio=ours / theirs,
        goal=f"ratio ≤ {MAX_RATIO}",
        met=ours / theirs <= MAX_RATIO,
    )


def _layer() -> Row:
    size = zipped_bytes(LAYER.parent) / MIB
    plain = (
        f"plain sam build, code and packages: {show(zipped_bytes(ensure_plain_build()) / MIB)} MiB"
    )
    return Row(
        number=16,
        measure="layer, zipped",
        value=size,
        unit="MiB",
        baseline=plain,
        goal=f"≤ {MAX_LAYER_MIB} MiB",
        met=size <= MAX_LAYER_MIB,
    )


if __name__ == "__main__":
    main(measure, __doc__)
