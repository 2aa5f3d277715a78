"""The layers of third-party packages: they contain what the code uses, pinned by hash."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from local import build
from local.processes import ROOT

LAYER = ROOT / "layers" / "dependencies"


@pytest.fixture(scope="module")
def trim() -> Any:
    """The script of the build."""
    spec = importlib.util.spec_from_file_location("trim", LAYER / "trim.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def called_methods() -> set[str]:
    """Names of the methods of AWS clients that our code calls or presigns."""
    found: set[str] = set()
    for file in ROOT.joinpath("functions", "imagetasks", "aws").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("client"):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and node.value in ("get_object", "head_object"):
                found.add(node.value)
    return found


def test_layer_keeps_only_the_operations_that_the_functions_call(trim: Any) -> None:
    session = botocore.session.get_session()
    services = {name: session.get_service_model(name) for name in trim.OPERATIONS}
    methods = called_methods()
    called = {
        service: {name for name in model.operation_names if xform_name(name) in methods}
        for service, model in services.items()
    }
    if "generate_presigned_post" in methods:
        called["s3"].add("CreateBucket")

    assert {service: set(names) for service, names in trim.OPERATIONS.items()} == called


def test_trimmed_model_keeps_what_an_operation_reaches_and_nothing_else(trim: Any) -> None:
    model = {
        "version": "2.0",
        "clientContextParams": {"Way": {"type": "string", "documentation": "botocore reads it"}},
        "operations": {
            "Get": {
                "input": {"shape": "GetInput"},
                "errors": [{"shape": "Missing"}],
                "documentation": "x",
            },
            "Put": {"input": {"shape": "PutInput"}},
        },
        "shapes": {
            "GetInput": {
                "type": "structure",
                "members": {"documentation": {"shape": "Text", "documentation": "x"}},
            },
            "Missing": {"type": "structure", "members": {"of": {"shape": "Pairs"}}},
            "Pairs": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Pairs"}},
            "Text": {"type": "string"},
            "PutInput": {"type": "structure", "members": {}},
        },
    }

    trimmed = trim.trimmed_model(model, ("Get",))

    assert trimmed == {
        "version": "2.0",
        "clientContextParams": model["clientContextParams"],
        "operations": {"Get": {"input": {"shape": "GetInput"}, "errors": [{"shape": "Missing"}]}},
        "shapes": {
            "GetInput": {"type": "structure", "members": {"documentation": {"shape": "Text"}}},
            "Missing": {"type": "structure", "members": {"of": {"shape": "Pairs"}}},
            "Pairs": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Pairs"}},
            "Text": {"type": "string"},
        },
    }


@pytest.mark.parametrize("layer", build.LAYERS.values())
def test_layer_build_fails_if_a_package_is_not_pinned_by_hash(layer: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "layer"
    source.mkdir()
    shutil.copy(LAYER / "Makefile", source)
    source.joinpath("requirements.txt").write_text("idna==3.10\n")

    built = subprocess.run(
        ["make", f"ARTIFACTS_DIR={target}", f"build-{layer}"],
        cwd=source,
        env={"PATH": f"{ROOT}/.local/envs/sam/bin:/usr/bin:/bin", "PYTHON": "python3.13"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert built.returncode != 0
    assert "hashes" in built.stderr.lower()
    assert not target.joinpath("python", "idna").exists()
