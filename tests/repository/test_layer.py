"""The layer of third-party packages: it contains what the code uses, pinned by hash."""

import re
import shutil
import subprocess
from pathlib import Path

from local.processes import ROOT

LAYER = ROOT / "layers" / "dependencies"


def test_layer_keeps_only_the_aws_services_that_the_functions_use() -> None:
    [kept] = re.findall(r"^SERVICES := (.*)$", (LAYER / "Makefile").read_text(), re.MULTILINE)
    code = "\n".join(file.read_text() for file in ROOT.joinpath("functions").rglob("*.py"))
    used = re.findall(r"""shared_client(?:\(|,)\s*["'](\w+)""", code)

    assert set(kept.split()) == set(used)


def test_layer_build_fails_if_a_package_is_not_pinned_by_hash(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "layer"
    source.mkdir()
    shutil.copy(LAYER / "Makefile", source)
    source.joinpath("requirements.txt").write_text("idna==3.10\n")

    built = subprocess.run(
        ["make", f"ARTIFACTS_DIR={target}", "build-DependenciesLayer"],
        cwd=source,
        env={"PATH": f"{ROOT}/.local/envs/sam/bin:/usr/bin:/bin", "PYTHON": "python3.13"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert built.returncode != 0
    assert "hashes" in built.stderr.lower()
    assert not target.joinpath("python", "idna").exists()
