"""The command line when disk, terminal, input or network fail in the middle: nothing is paid twice, none is lost."""

from __future__ import annotations

import errno
import io
import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagetasks_client.cli import following, journal, output, settings
from tests.clients.command_line import Run, Service, pending
from tests.clients.scripted_service import KEY, ScriptedService, answer, problem, token


def test_refusal_after_a_lost_answer_keeps_the_order(
    run: Run, server: Service, service: ScriptedService
) -> None:
    """The first attempt was accepted: the refusal of the second, which comes before the key is looked up, does
    not say that nothing was ordered."""

    def lose(request: httpx.Request) -> httpx.Response:
        server.refusal = problem(401, "unauthorized", "never")
        raise httpx.ReadError("the answer was lost")

    service.answers = [lose, server.respond]
    result = run("generate", "A boat")
    assert result.exit_code == 3
    assert "--resume" in result.stderr
    assert len(pending()) == 1


def test_answer_without_a_task_is_not_taken_for_one(
    run: Run, server: Service, service: ScriptedService
) -> None:
    service.answers = [answer({"welcome": "to this hotel"}), server.respond]
    assert run("generate", "A boat").exit_code == 0
    assert len(server.orders) == 1


def test_order_that_cannot_be_sent_does_not_hold_up_the_others(run: Run, server: Service) -> None:
    run("generate", "A boat", "--no-wait")
    [order] = pending()
    replace(order, key="damaged", input={"prompt": "\udcff"}, task_id=None).write()
    result = run("generate", "--resume")
    assert result.exit_code == 2
    assert result.stdout.endswith("a-paper-boat-aaaaaaaa.png\n")
    assert [each.key for each in pending()] == ["damaged"]


@pytest.mark.parametrize("name", ["prompt", "file", "field"])
def test_text_that_is_not_utf_8_is_refused_before_it_is_stored(
    run: Run, server: Service, name: str
) -> None:
    Path("prompts").write_bytes(b"caf\xe9")
    given = {
        "prompt": ["caf\udce9"],
        "file": ["--prompts", "prompts"],
        "field": ["A boat", "--size", "\udce9"],
    }
    result = run("generate", *given[name])
    assert result.exit_code == 2
    assert "UTF-8" in result.stderr
    assert (server.orders, pending()) == ({}, [])


def test_mark_at_the_beginning_of_a_file_is_no_part_of_its_first_prompt(
    run: Run, server: Service
) -> None:
    Path("prompts").write_bytes(b"\xef\xbb\xbfA boat\r\n")
    run("generate", "--prompts", "prompts")
    assert [each["body"]["input"]["prompt"] for each in server.orders.values()] == ["A boat"]


def test_orders_that_cannot_all_be_stored_are_not_sent_later_either(
    run: Run, server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("prompts").write_text("one\ntwo\n")
    written: list[Path] = []

    def write(path: Path, text: str) -> None:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written.append(path)
        settings.write_private(path, text)

    monkeypatch.setattr(journal, "write_private", write)
    result = run("generate", "--prompts", "prompts")
    assert result.exit_code == 1
    assert "nothing was ordered" in result.stderr
    assert "XDG_STATE_HOME" in result.stderr
    assert (server.orders, pending()) == ({}, [])


def test_disk_that_is_full_after_the_order_does_not_end_the_command(
    run: Run, server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(entry: journal.Entry, task_id: str) -> journal.Entry:
        raise OSError(errno.ENOSPC, "No space left on device", entry.key + task_id)

    monkeypatch.setattr(journal.Entry, "accepted", full)
    result = run("generate", "A boat")
    assert (result.exit_code, result.stdout) == (0, "a-paper-boat-aaaaaaaa.png\n")
    assert pending() == []


def test_write_that_fails_leaves_no_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        settings.write_private(tmp_path / "order.json", "{}")
    assert list(tmp_path.iterdir()) == []


def test_order_is_resumed_with_the_key_that_sent_it_and_no_other(
    run: Run, server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service would not find it for another user, and order it once more."""
    run("generate", "A boat", "--no-wait")
    monkeypatch.setenv("IMAGETASKS_KEY", "it_sk_another")
    result = run("generate", "--resume")
    assert "use that key again" in result.stderr
    assert (result.stdout, len(pending())) == ("", 1)
    monkeypatch.setenv("IMAGETASKS_KEY", KEY)
    assert run("generate", "--resume").exit_code == 0
    assert pending() == []


def test_order_of_a_token_is_resumed_with_the_next_token_of_the_same_user(
    run: Run, server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGETASKS_KEY", token(1))
    run("generate", "A boat", "--no-wait")
    monkeypatch.setenv("IMAGETASKS_KEY", token(2, "bob"))
    run("generate", "--resume")
    assert len(pending()) == 1
    monkeypatch.setenv("IMAGETASKS_KEY", token(2))
    run("generate", "--resume")
    assert pending() == []


def test_order_that_another_process_removes_meanwhile_is_passed_over(
    run: Run, server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("generate", "A boat", "--no-wait")
    found = list(settings.orders_path().glob("*"))
    gone = settings.orders_path() / "gone.json"
    monkeypatch.setattr(Path, "glob", lambda *_: [gone, *found])
    assert len(pending()) == 1


def test_closed_stdout_ends_the_command_with_the_tasks_that_are_left(
    run: Run, server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("prompts").write_text("one\ntwo\n")

    def closed(_: str) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(following, "line", closed)
    result = run("generate", "--prompts", "prompts")
    first, second = server.orders
    assert result.exit_code == 1
    assert f"imagetasks task wait {second}\n" in result.stderr
    assert [each.task_id for each in pending()] == [second]
    assert Path(f"a-paper-boat-{first[:8]}.png").exists()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_is_valid_whatever_the_encoding_and_the_names(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", stdout)
    value = {"prompt": "Ümlaut 日本", "paths": ["o\udcff"]}
    output.json_line(value)
    assert json.loads(stdout.buffer.getvalue().decode(encoding)) == value


@pytest.mark.parametrize("closed", ["", ">&-"])
def test_path_is_printed_or_left_out_by_a_stdout_that_cannot_take_it(closed: str) -> None:
    program = "from imagetasks_client.cli import output, program; program._prepare_output(); output.line('日本')"
    command = f"{shlex.join([sys.executable, '-c', program])} {closed}"
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=environment, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (b"" if closed else b"\\u65e5\\u672c\n")


def test_key_with_a_line_break_is_refused_and_not_shown(
    run: Run, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGETASKS_KEY", "secret\nkey")
    result = run("task", "list")
    assert result.exit_code == 2
    assert "line break" in result.stderr
    assert "secret" not in result.output
    assert service.requests == []


def test_settings_that_cannot_be_forgotten_are_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "config.toml")

    monkeypatch.setattr(Path, "unlink", refuse)
    result = run("auth", "logout")
    assert result.exit_code == 1
    assert "config.toml" in result.stderr
