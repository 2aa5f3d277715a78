"""The command line: what it prints, what it saves, how it ends, and what it keeps on disk."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagetasks_client.cli import journal, progress, settings
from imagetasks_client.task import Task, task_from
from tests.clients.command_line import PNG, URL, Run, Service, pending
from tests.clients.scripted_service import (
    KEY,
    TASK_ID,
    ScriptedService,
    answer,
    problem,
    task,
)


def test_generate_saves_the_image_and_prints_only_its_path(run: Run, server: Service) -> None:
    result = run("generate", "A paper boat", "--size", "3:2", "--quality", "low", "--set", "n=2")
    assert result.exit_code == 0
    assert result.stdout == "a-paper-boat-aaaaaaaa.png\n"
    assert Path("a-paper-boat-aaaaaaaa.png").read_bytes() == PNG
    [order] = server.orders.values()
    assert order["body"] == {
        "model": "gpt-image-2",
        "input": {"prompt": "A paper boat", "size": "3:2", "quality": "low", "n": 2},
    }
    assert pending() == []
    assert "finished" in result.stderr


def test_prompts_of_a_file_are_ordered_together_and_each_is_saved(
    run: Run, server: Service
) -> None:
    Path("prompts.txt").write_text("A boat\n\nA plane\nA kite\n")
    result = run("generate", "--prompts", "prompts.txt", "--out", "out", "--json")
    assert result.exit_code == 0
    lines = [json.loads(each) for each in result.stdout.splitlines()]
    assert len(lines) == len(server.orders) == 3
    assert all(Path(path).read_bytes() == PNG for each in lines for path in each["paths"])
    assert result.stderr == ""
    prompts = {each["body"]["input"]["prompt"] for each in server.orders.values()}
    assert prompts == {"A boat", "A plane", "A kite"}


def test_order_is_on_disk_before_it_is_sent(
    run: Run, server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[journal.Entry] = []

    def order(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            seen.extend(pending())
        return server.respond(request)

    server.scripted.answers = [order]
    run("generate", "A boat")
    [entry] = seen
    assert (entry.prompt, entry.task_id) == ("A boat", None)
    assert [each["key"] for each in server.orders.values()] == [entry.key]


def test_order_does_not_wait_for_the_list_of_earlier_tasks(run: Run, server: Service) -> None:
    ordered = threading.Event()

    def respond(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            ordered.set()
        elif request.url.params.get("status") == "finished":
            assert ordered.wait(10)
        return server.respond(request)

    server.scripted.answers = [respond]
    assert run("generate", "A boat").exit_code == 0


def test_order_on_disk_is_readable_for_its_owner_only(run: Run, server: Service) -> None:
    run("generate", "A boat", "--no-wait")
    [path] = settings.orders_path().glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert KEY not in path.read_text()


def test_interrupted_order_is_resumed_under_its_key_and_paid_once(
    run: Run, server: Service
) -> None:
    server.lost_orders = 1000  # accepted, but no answer arrives
    result = run("generate", "A boat")
    assert result.exit_code == 1
    assert "--resume" in result.stderr
    assert len(server.orders) == 1
    server.lost_orders = 0
    result = run("generate", "--resume")
    assert result.exit_code == 0
    assert result.stdout.strip().endswith("a-paper-boat-aaaaaaaa.png")
    assert len(server.orders) == 1
    assert pending() == []
    assert "no order was interrupted" in run("generate", "--resume").stderr


@pytest.mark.parametrize(
    ("refusal", "kept"),
    [
        (problem(401, "unauthorized", "never"), 1),
        (problem(403, "insufficient_scope", "never"), 1),
        (problem(503, "orders_paused", "same_key"), 1),
        (problem(410, "task_deleted", "never", charged=None), 0),
        (problem(402, "insufficient_credits", "new_key"), 0),
    ],
)
def test_order_that_was_sent_before_is_kept_unless_it_has_no_image_for_good(
    run: Run, server: Service, refusal: httpx.Response, kept: int
) -> None:
    run("generate", "A boat", "--no-wait")
    server.refusal = refusal
    result = run("generate", "--resume")
    assert result.exit_code != 0
    assert result.stderr.count("are kept") == len(pending()) == kept


def test_folder_that_cannot_be_made_is_told_before_anything_is_ordered(
    run: Run, server: Service
) -> None:
    Path("file").write_text("")
    result = run("generate", "A boat", "--out", "file/boats")
    assert result.exit_code == 1
    assert "file/boats" in result.stderr
    assert server.orders == {}
    assert pending() == []


def test_image_of_a_folder_that_is_gone_is_saved_elsewhere(run: Run, server: Service) -> None:
    run("generate", "A boat", "--no-wait", "--out", "boats")
    Path("boats").rmdir()
    Path("boats").write_text("")
    result = run("generate", "--resume")
    assert result.exit_code == 1
    [task_id] = server.orders
    assert f"imagetasks task wait {task_id} --out DIR" in result.stderr
    assert run("task", "wait", task_id, "--out", "others").exit_code == 0
    assert pending() == []


def test_resume_leaves_the_orders_of_another_service_alone(
    run: Run, server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("generate", "A boat", "--no-wait")
    monkeypatch.setenv("IMAGETASKS_URL", "https://other.example")
    assert "no order was interrupted" in run("generate", "--resume").stderr
    assert len(server.orders) == 1


def test_image_that_could_not_be_saved_is_saved_by_the_next_attempt(
    run: Run, server: Service
) -> None:
    server.bucket = httpx.Response(200, content=PNG[:-1])
    result = run("generate", "A boat")
    assert result.exit_code == 1
    assert "damaged" in result.stderr
    assert "imagetasks task wait aaaaaaaaaa" in result.stderr
    server.bucket = httpx.Response(200, content=PNG)
    assert run("generate", "--resume").exit_code == 0
    assert Path("a-paper-boat-aaaaaaaa.png").read_bytes() == PNG


@pytest.mark.parametrize(
    ("refusal", "code", "words"),
    [
        (problem(401, "unauthorized", "never"), 3, "auth login"),
        (problem(403, "model_not_allowed", "never"), 3, "model_not_allowed"),
        (problem(402, "budget_exhausted", "never", left=3, resets_at="x"), 4, "3 credits left"),
        (problem(402, "insufficient_credits", "new_key"), 4, "insufficient_credits"),
        (problem(422, "moderated", "never"), 5, "moderated"),
        (problem(429, "too_many_orders", "same_key", retry_after=900), 7, "too_many_orders"),
        (problem(503, "orders_paused", "same_key"), 1, "orders_paused"),
        (
            problem(
                422,
                "invalid_order",
                "never",
                errors=[{"pointer": "/input/size", "detail": "wrong"}],
            ),
            2,
            "/input/size: wrong",
        ),
    ],
)
def test_refusal_has_its_exit_code_and_leaves_nothing_to_resume(
    run: Run, server: Service, refusal: httpx.Response, code: int, words: str
) -> None:
    server.refusal = refusal
    result = run("generate", "A boat")
    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""
    assert pending() == []


def test_failed_task_ends_with_five_and_says_what_it_cost(run: Run, server: Service) -> None:
    error = {"code": "moderated", "message": "refused", "retry": "never", "charged": False}
    server.state = {"status": "failed", "error": error}
    result = run("generate", "A boat")
    assert result.exit_code == 5
    assert "refused (moderated)" in result.stderr
    assert "not charged" in result.stderr
    assert pending() == []


def test_timeout_ends_with_six_and_keeps_the_order(run: Run, server: Service) -> None:
    server.state = {"status": "running", "progress": 40}
    result = run("generate", "A boat", "--timeout", "12")
    assert result.exit_code == 6
    assert "imagetasks task wait aaaaaaaaaa" in result.stderr
    assert [each.task_id for each in pending()] == list(server.orders)


def test_timeout_counts_while_there_is_no_answer(
    run: Run, server: Service, service: ScriptedService
) -> None:
    server.lost_orders = 1000
    began = service.now
    result = run("generate", "A boat", "--timeout", "12")
    assert result.exit_code == 6
    assert service.now - began <= 12
    assert "--resume" in result.stderr
    assert len(pending()) == 1


def test_ctrl_c_names_the_tasks_and_how_to_find_their_images(
    run: Run, server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.state = {"status": "running"}
    ended: list[int] = []

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    def leave(code: int) -> None:
        ended.append(code)
        raise SystemExit(code)

    monkeypatch.setattr(progress.Board, "update", interrupt)
    monkeypatch.setattr(os, "_exit", leave)
    result = run("generate", "A boat")
    [task_id] = server.orders
    assert ended == [130]
    assert f"{task_id} goes on" in result.stderr
    assert f"imagetasks task wait {task_id}" in result.stderr
    assert len(pending()) == 1


def test_no_wait_prints_the_task_ids(run: Run, server: Service) -> None:
    result = run("generate", "A boat", "--no-wait")
    assert (result.exit_code, result.stdout) == (0, f"{next(iter(server.orders))}\n")


def test_waiting_for_a_task_saves_it_and_ends_its_order(run: Run, server: Service) -> None:
    run("generate", "A boat", "--no-wait")
    result = run("task", "wait", next(iter(server.orders)), "--out", "later")
    assert result.stdout == "later/a-paper-boat-aaaaaaaa.png\n"
    assert pending() == []
    assert run("task", "wait", TASK_ID).exit_code == 1


def test_references_are_a_file_an_address_or_an_image_of_a_task(run: Run, server: Service) -> None:
    Path("boat.png").write_bytes(PNG)
    form = {"method": "POST", "url": "https://bucket.example/", "fields": {}}

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/uploads":
            return answer({"file_url": "upload://abc", "upload": form}, 201)
        return server.respond(request)

    server.scripted.answers = [respond]
    refs = ("boat.png", "https://a.example/b.png", TASK_ID, f"{TASK_ID}/1")
    result = run("edit", "Snow", *(part for each in refs for part in ("--ref", each)))
    assert result.exit_code == 0, result.stderr
    [order] = server.orders.values()
    assert order["body"]["model"] == "gpt-image-2-edit"
    assert order["body"]["input"]["image_urls"] == [
        "upload://abc",
        "https://a.example/b.png",
        f"task:{TASK_ID}/0",
        f"task:{TASK_ID}/1",
    ]
    wrong = run("edit", "Snow", "--ref", "nothing.png")
    assert wrong.exit_code == 2
    assert "nothing.png: neither a file" in wrong.stderr
    assert run("edit", "Snow").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("generate",), "give one of PROMPT, --prompts FILE and --resume"),
        (("generate", "A", "--prompts", "p.txt"), "give one of PROMPT"),
        (("generate", "A", "--resume"), "give one of PROMPT"),
        (("generate", "--prompts", "empty.txt"), "empty.txt has no prompt"),
        (("generate", "A", "--set", "n"), "NAME=VALUE"),
        (("completion", "tcsh"), "bash, zsh, fish, pwsh"),
    ],
)
def test_wrong_usage_ends_with_two_and_orders_nothing(
    run: Run, server: Service, arguments: tuple[str, ...], words: str
) -> None:
    Path("p.txt").write_text("A\n")
    Path("empty.txt").write_text("\n \n")
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert server.orders == {}


def test_usual_time_is_the_median_of_like_tasks_or_what_the_service_calls_typical() -> None:
    def ended(seconds: int, **fields: Any) -> Task:
        end = f"2026-11-28T10:{seconds // 60:02}:{seconds % 60:02}.000Z"
        return task_from(task("finished", finished_at=end, **fields))

    new = task_from(task())
    other = {"input": {"prompt": "A paper boat", "quality": "high"}}
    like = [ended(seconds) for seconds in (10, 90, 20)]
    assert progress.usual_seconds(new, [*like, ended(600, **other), ended(700, model="x")]) == 20
    assert progress.usual_seconds(new, [ended(600, **other)]) == new.typical_seconds


@pytest.mark.parametrize(
    "command",
    ["generate", "edit", "quote", "usage", "task wait", "task list", "token create", "auth login"],
)
def test_help_has_an_example_whose_options_exist(run: Run, command: str) -> None:
    shown = run(*command.split(), "--help").stdout
    example, options = shown.split("Options", 1)
    assert f"imagetasks {command} " in example
    names = re.findall(r"--[a-z-]+", example)
    assert [name for name in names if name not in options] == []


def test_person_is_told_once_why_nothing_happens(run: Run, service: ScriptedService) -> None:
    service.answers = [httpx.ConnectError("refused")]
    result = run("quote", "A boat")
    assert result.exit_code == 1
    assert len(service.requests) > 3
    assert result.stderr.count("refused; trying again") == 1
    assert result.stderr.endswith("refused\n")


@pytest.mark.parametrize("command", ["get", "delete"])
def test_task_that_does_not_exist_is_not_waited_for(
    run: Run, service: ScriptedService, command: str
) -> None:
    service.answers = [problem(404, "no_such_task", "never")]
    result = run("task", command, TASK_ID, *(["--yes"] if command == "delete" else []))
    assert (result.exit_code, result.stderr) == (1, "404 no_such_task: This is no_such_task.\n")


def test_login_tries_the_key_and_stores_it_for_its_owner_only(
    run: Run, server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMAGETASKS_URL")
    monkeypatch.delenv("IMAGETASKS_KEY")
    assert run("task", "list").exit_code == 3
    result = run("auth", "login", "--url", f"{URL}/", "--token-stdin", input=f"{KEY}\n")
    assert result.exit_code == 0, result.stderr
    assert KEY not in result.output
    assert stat.S_IMODE(settings.config_path().stat().st_mode) == 0o600
    assert settings.in_effect() == settings.Settings(URL, KEY, None)
    shown = run("auth", "status")
    assert KEY not in shown.output
    assert URL in shown.stdout
    assert run("task", "list").exit_code == 0
    run("auth", "logout")
    assert not settings.config_path().exists()


def test_login_with_a_key_that_is_refused_stores_nothing(
    run: Run, service: ScriptedService
) -> None:
    service.answers = [problem(401, "unauthorized", "never")]
    assert run("auth", "login", "--url", URL, "--token-stdin", input="wrong").exit_code == 3
    assert not settings.config_path().exists()


def test_broken_settings_file_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.config_path().parent.mkdir(parents=True)
    settings.config_path().write_text("base_url = [")
    result = run("task", "list")
    assert result.exit_code == 1
    assert "config.toml" in result.stderr


def test_quote_names_the_price_and_a_budget_without_room(
    run: Run, service: ScriptedService
) -> None:
    body = {
        "model": "gpt-image-2",
        "credits": 33.76,
        "usd": 0.1688,
        "exact": False,
        "billed_resolution": "2K",
        "typical_seconds": 90,
        "budget": {"allowed": False, "scope": "owner", "left": 3, "resets_at": None},
        "paused": False,
        "warnings": [],
    }
    service.answers = [answer(body)]
    result = run("quote", "A boat")
    assert result.stdout == "at most 33.76 credits ($0.1688), about 90 s\n"
    assert result.exit_code == 4


def test_usage_and_list_and_get_show_rows(run: Run, service: ScriptedService) -> None:
    row = {
        "day": "2026-11-28",
        "owner": None,
        "model": "gpt-image-2",
        "tasks": 3,
        "estimated": 6.5,
        "reserved": 0,
        "charged": 6.5,
    }
    service.answers = [answer({"from": "a", "to": "b", "rows": [row], "next_cursor": None})]
    assert "gpt-image-2  3      6.5" in run("usage", "--from", "2026-11-01").stdout
    service.answers = [answer({"tasks": [task()], "next_cursor": None})]
    assert TASK_ID in run("task", "list").stdout
    escape = {"prompt": "boat\x1b[2J"}
    service.answers = [answer(task(input=escape))]
    assert "\x1b" not in run("task", "get", TASK_ID).stdout


def test_deleting_asks_first(run: Run, service: ScriptedService) -> None:
    service.answers = [httpx.Response(204)]
    assert run("task", "delete", TASK_ID, input="n\n").exit_code == 1
    assert service.requests == []
    assert run("task", "delete", TASK_ID, "--yes").exit_code == 0
    assert [each.method for each in service.requests] == ["DELETE"]
