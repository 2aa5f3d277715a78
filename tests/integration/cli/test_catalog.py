"""`cli.catalog`: it shows how PoYo's catalogue differs, and writes the bundled models anew only if asked."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cli import catalog
from cli.catalog import Files, replace_files
from imagetasks.poyo import model_catalog
from imagetasks.poyo.model_catalog import models, read
from local.poyo_simulator.background_server import in_background
from local.processes import ROOT
from scripts.make_models import CATALOG

PAINTER: dict[str, Any] = {
    "category": "text2img",
    "input_schema": {
        "type": "object",
        "required": ["prompt"],
        "properties": {"prompt": {"type": "string"}, "size": {"enum": ["1:1", "3:2"]}},
    },
    "billing": {"type": "fixed", "credits": 7},
}


@pytest.fixture
def poyo() -> Iterator[str]:
    with in_background() as origin:
        yield origin


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Copies of the two files."""
    shutil.copy(CATALOG / "facts.json", tmp_path / "facts.json")
    shutil.copy(model_catalog.FILE, tmp_path / "models.json")
    return Files(tmp_path / "facts.json", tmp_path / "models.json")


def change(poyo: str, patches: dict[str, Any]) -> None:
    response = requests.put(f"{poyo}/control/catalog", json=patches, timeout=10)
    assert response.status_code == 200, response.text


def contents(files: Files) -> list[bytes]:
    return [each.read_bytes() for each in (files.facts, files.models)]


def test_unchanged_catalogue_changes_no_byte(
    poyo: str, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(files)

    assert catalog.main(["refresh", "--from", poyo, "--write"], files) == 0

    assert "nothing has changed" in capsys.readouterr().out
    assert contents(files) == before


def test_changes_are_shown_by_model_and_place_and_not_written(
    poyo: str, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(files)
    change(
        poyo,
        {
            "gpt-4o-image": None,
            "gpt-image-2.5-flare": {"billing": {"price_table": {"1K": {"low": 1.5}}}},
            "painter-1": PAINTER,
            "z-image": {"input_schema": {"properties": {"prompt": {"maxLength": 900}}}},
        },
    )

    assert catalog.main(["refresh", "--from", f"{poyo}/"], files) == 0

    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()[:3]] == [
        ["model", "change", "where", "bundled", "live"],
        ["gpt-4o-image", "gone", '{"type":', '"fixed",', '"unit":', '"request",', '"credits":', "4}", "-"],
        ["gpt-image-2.5-flare", "billing", "price_table/1K/low", "1.31", "1.5"],
    ]  # fmt: skip
    assert "painter-1            new" in out
    assert re.search(r"z-image +input +properties/prompt/maxLength +1000 +900\n", out)
    assert "catalog/overlay describes gpt-4o-image, which is gone" in out
    assert out.endswith("nothing is written; --write does\n")
    assert contents(files) == before


def test_written_files_have_the_changes_and_can_be_made_again(
    poyo: str, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    change(poyo, {"painter-1": PAINTER, "z-image": {"billing": {"credits": 3}}})

    assert catalog.main(["refresh", "--from", poyo, "--write", "--json"], files) == 0

    shown = json.loads(capsys.readouterr().out)
    assert shown["written"] is True
    assert shown["changes"] == [
        {
            "model": "painter-1",
            "change": "new",
            "where": "",
            "bundled": None,
            "live": PAINTER["billing"],
        },
        {"model": "z-image", "change": "billing", "where": "credits", "bundled": 2, "live": 3},
    ]
    made = read(files.models.read_text())
    assert made.keys() - models().keys() == {"painter-1"}
    assert made["z-image"].price({"prompt": "A snail", "size": "1:1"}).credits == 3
    assert made["painter-1"].errors({"prompt": "A boat", "size": "16:9"})
    assert catalog.main(["refresh", "--from", str(files.facts)], files) == 0
    assert "nothing has changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        (
            {"z-image": {"input_schema": {"properties": {"size": {"multipleOf": 2}}}}},
            "z-image: /size has the unknown keyword multipleOf",
        ),
        (
            {"z-image": {"billing": {"formula": "credits * 2 ** n"}}},
            "z-image: unknown formula: credits * 2 ** n",
        ),
        (
            {"z-image": {"input_schema": {"properties": {"size": "any"}}}},
            "z-image: it has an unexpected form",
        ),
        ({"z-image": {"billing": None}}, "z-image has no billing"),
    ],
)
def test_model_that_cannot_be_used_stops_it_with_the_reason_and_writes_nothing(
    poyo: str,
    files: Files,
    patch: dict[str, Any],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = contents(files)
    change(poyo, {**patch, "painter-1": PAINTER})

    assert catalog.main(["refresh", "--from", poyo, "--write"], files) == 1

    captured = capsys.readouterr()
    assert reason in captured.err
    assert captured.err.endswith("; nothing is written\n")
    assert captured.out == ""
    assert contents(files) == before


def test_two_models_with_one_id_stop_it(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = json.loads(files.facts.read_text())
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps({"data": {"items": [*facts["items"], facts["items"][0]]}}))
    before = contents(files)

    assert catalog.main(["refresh", "--from", str(saved), "--write"], files) == 1

    name = facts["items"][0]["model_id"]
    assert f"{name}: there are two models with this id" in capsys.readouterr().err
    assert contents(files) == before


@pytest.mark.parametrize("content", [None, b"<html>", b'{"items": 7}', b"[" * 200_000])
def test_source_that_is_no_catalogue_is_told(
    files: Files, tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "saved.json"
    if content is not None:
        source.write_bytes(content)

    assert catalog.main(["refresh", "--from", str(source), "--write"], files) == 1

    assert "nothing is written" in capsys.readouterr().err


def test_server_that_does_not_answer_is_told(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    assert catalog.main(["refresh", "--from", "http://127.0.0.1:9", "--write"], files) == 1

    assert "no response" in capsys.readouterr().err


def test_interrupted_refresh_leaves_the_files_whole(files: Files) -> None:
    before, folder = contents(files), set(files.facts.parent.iterdir())
    program = (
        "import sys; from pathlib import Path; from cli.catalog import Files, main;"
        " sys.exit(main(sys.argv[3:], Files(Path(sys.argv[1]), Path(sys.argv[2]))))"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        arguments = ["refresh", "--from", url, "--write"]
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(files.facts), str(files.models), *arguments],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process, silent.accept()[0] as connection:
            assert connection.recv(1) == b"G"  # it asks, and waits for the answer
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=10)

    assert process.returncode == 130
    assert error == "interrupted; nothing is written\n"
    assert contents(files) == before
    assert set(files.facts.parent.iterdir()) == folder


def test_file_that_cannot_be_written_leaves_the_other_as_it_was(tmp_path: Path) -> None:
    first, second = tmp_path / "facts.json", tmp_path / "missing" / "models.json"
    first.write_text("before")

    with pytest.raises(FileNotFoundError):
        replace_files({first: "after", second: "after"})

    assert first.read_text() == "before"
    assert list(tmp_path.iterdir()) == [first]


def test_replaced_files_leave_nothing_beside_them(tmp_path: Path) -> None:
    paths = [tmp_path / "facts.json", tmp_path / "models.json"]

    replace_files(dict.fromkeys(paths, "after\n"))

    assert [each.read_bytes() for each in paths] == [b"after\n"] * 2
    assert sorted(tmp_path.iterdir()) == paths
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
