"""`make sam-local`: the program as a whole where an engine is to be had, and what it decides alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.processes import ROOT
from local.sam_local import compare, engines, event_sequence, image, loopback_proxy, run
from local.sam_local.runners import Answer
from tests.local.test_run import assert_all_gone, descendants, read_until

TIMEOUT_S = 900
CAN_MAKE_ENGINE = os.getuid() == 0 and shutil.which("apt-get") is not None


def program(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "local.sam_local", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


# The whole of it


@pytest.mark.skipif(sys.platform != "linux", reason="containers in this machine's own network")
@pytest.mark.xdist_group("sam-local")
def test_every_event_is_answered_by_sam_local_invoke_as_by_the_deployed_functions() -> None:
    with program() as process:
        printed, _ = process.communicate(timeout=TIMEOUT_S)

    if "SKIPPED" in printed and not CAN_MAKE_ENGINE:
        pytest.skip(printed)
    assert process.returncode == 0, printed
    for name in event_sequence.events():
        assert f"\n  {name:<26}{event_sequence.function_of(name):<18}" in printed
    assert "none differs" in printed
    assert "DIFFERENT" not in printed
    # The containers met the same cloud: an order was taken, found due, its image kept and linked.
    assert printed.count('{"enqueued": 1') == 2
    assert re.search(r"\n  api-create +ApiFunction +202 +202 +same", printed)
    assert re.search(r"\n  api-file +ApiFunction +302 +302 +same", printed)


@pytest.mark.skipif(not CAN_MAKE_ENGINE, reason="starts an engine of its own: Debian, root")
@pytest.mark.xdist_group("sam-local")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_however_it_ends_no_engine_is_left(number: signal.Signals) -> None:
    with program("--serve", DOCKER_HOST="") as process:
        printed = read_until(process, "ready: ")
        family = descendants(process.pid)
        listening = listened_on(family)
        process.send_signal(number)
        process.wait(60)

    assert f"unix://{engines.FOR_SAM}" in printed
    assert not listening, "an engine is root's for whoever reaches it: a unix socket, no port"
    assert len(family) >= 3  # dockerd, containerd, and who puts containers on loopback
    assert_all_gone(family)


def listened_on(pids: set[int]) -> set[str]:
    """Inodes of TCP sockets in state LISTEN that these processes hold."""
    held = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            held.add(str(descriptor.readlink())[len("socket:[") : -1])
    lines = [line.split() for name in ("tcp", "tcp6") for line in _table(name)]
    return {line[9] for line in lines if line[3] == "0A"} & held


def _table(name: str) -> list[str]:
    return Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]


# Comparing


def answer(status: int = 200, body: str = "{}", **headers: str) -> dict[str, Any]:
    return {"statusCode": status, "body": body, "headers": headers, "isBase64Encoded": False}


def test_answers_that_differ_by_nature_only_are_the_same() -> None:
    deployed = answer(body='{"created_at": "2026-01-02T03:04:05.678Z", "a": [1]}', Allow="GET")
    local = answer(body='{"a": [1], "created_at": "2026-09-08T07:06:05.432Z"}', allow="GET")

    assert compare.differences(deployed, local) == []
    assert (
        compare.differences({"enqueued": 1, "max_lag_ms": 5}, {"enqueued": 1, "max_lag_ms": 7})
        == []
    )


@pytest.mark.parametrize(
    ("local", "where"),
    [
        (answer(404), "statusCode: deployed 200, local 404"),
        (answer(body='{"a": 1}'), 'body.a: deployed "nothing", local 1'),
        (answer(body="[]"), "body: deployed {}, local []"),
        (answer(body="no JSON"), 'body: deployed {}, local "no JSON"'),
        (answer(Location="/b"), 'headers.location: deployed "nothing", local "/b"'),
        (answer() | {"isBase64Encoded": True}, "isBase64Encoded: deployed false, local true"),
        ({"errorMessage": "no"}, 'errorMessage: deployed "nothing", local "no"'),
        (None, "answer: deployed "),
    ],
)
def test_any_other_difference_is_told_with_its_place(local: Any, where: str) -> None:
    assert any(line.startswith(where) for line in compare.differences(answer(), local))


def test_an_instant_is_no_other_word_and_true_is_no_one() -> None:
    assert compare.differences({"at": "2026-01-02T03:04:05Z"}, {"at": None})
    assert compare.differences({"at": "2026-01-02T03:04:05Z"}, {"at": "yesterday"})
    assert compare.differences({"a": 1}, {"a": True})
    assert compare.differences([1, 2], [1])


def test_links_to_an_image_are_the_same_but_for_when_and_by_whom_they_were_signed() -> None:
    def link(name: str, signed: str, more: str = "") -> dict[str, Any]:
        query = f"X-Amz-Signature={signed}&X-Amz-Date={signed}{more}"
        return answer(302, Location=f"http://127.0.0.1:1/bucket/{name}?{query}")

    with_session = link("a.png", "one", "&X-Amz-Security-Token=session")

    assert compare.differences(with_session, link("a.png", "other")) == []
    assert compare.differences(with_session, link("b.png", "one"))
    assert compare.differences(with_session, link("a.png", "one", "&X-Amz-Expires=900"))


def test_links_for_strangers_are_the_same_but_for_the_seal_that_each_row_has() -> None:
    def link(n: int, seal: str) -> dict[str, str]:
        return {"file_url": f"http://127.0.0.1:1/files/abc/{n}/{seal}"}

    assert compare.differences(link(0, "a" * 43), link(0, "b" * 43)) == []
    assert compare.differences(link(0, "a" * 43), link(1, "a" * 43))
    assert compare.differences(link(0, "a" * 43), link(0, "a" * 42))
    assert compare.differences(answer(ETag="one"), answer())


def test_one_difference_shows_in_the_table() -> None:
    pair = run.Pair(Answer("api-health", answer(200), 0.1), Answer("api-health", answer(503), 4))

    shown = run.table([pair])

    assert "DIFFERENT" in shown
    assert "statusCode: deployed 200, local 503" in shown


# The story


def test_every_event_has_its_function_and_its_turn() -> None:
    told = [name for row in event_sequence.rows(event_sequence.events()) for name in row]

    assert set(told) == set(event_sequence.events())
    assert all(event_sequence.path_of(name).exists() for name in told)
    assert {event_sequence.function_of(name) for name in told} == set(
        event_sequence.FUNCTIONS.values()
    )


def test_an_event_that_is_new_gets_its_turn_after_the_others() -> None:
    assert event_sequence.rows([*event_sequence.events(), "api-new"])[-1] == ("api-new",)


# Containers on loopback


def container(**further: Any) -> dict[str, Any]:
    return {
        "Image": "samcli/lambda-python:3.13",
        "Entrypoint": [loopback_proxy.EMULATOR, "--log-level", "error"],
        "ExposedPorts": {"8080/tcp": {}},
        "HostConfig": {
            "Memory": 512,
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5005"}]},
        },
        **further,
    }


def test_a_function_is_put_into_the_machines_network_and_listens_on_loopback_alone() -> None:
    made = loopback_proxy.on_loopback(container(), 9999)

    assert made["HostConfig"] == {"Memory": 512, "NetworkMode": "host"}
    assert not made["ExposedPorts"]
    assert made["Entrypoint"] == [
        loopback_proxy.EMULATOR,
        *("--runtime-interface-emulator-address", "127.0.0.1:5005"),
        *("--runtime-api-address", "127.0.0.1:9999"),
        *("--log-level", "error"),
    ]


@pytest.mark.parametrize(
    "other", [container(Entrypoint=["/bin/sh"]), container(HostConfig={}), {"Image": "any"}]
)
def test_a_container_that_is_no_function_is_left_as_it_is(other: dict[str, Any]) -> None:
    assert loopback_proxy.on_loopback(other, 9999) == other


def test_a_rewritten_request_has_the_length_of_its_new_body() -> None:
    body = json.dumps(container()).encode()
    head = b"POST /v1.35/containers/create HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)

    new_head, _, new_body = loopback_proxy.rewritten(head, body).partition(b"\r\n\r\n")

    assert new_head.endswith(b"Content-Length: %d" % len(new_body))
    assert json.loads(new_body)["HostConfig"]["NetworkMode"] == "host"


def test_a_connection_carries_one_request_unless_it_changes_its_protocol() -> None:
    plain = b"GET /_ping HTTP/1.1\r\nHost: engine\r\nConnection: keep-alive\r\n\r\n"
    attach = b"POST /containers/a/attach HTTP/1.1\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n"

    assert loopback_proxy.one_request(plain).count(b"Connection: close\r\n\r\n") == 1
    assert b"keep-alive" not in loopback_proxy.one_request(plain)
    assert loopback_proxy.one_request(attach) == attach


# The engine and its image


def test_the_engine_that_the_environment_names_comes_first() -> None:
    assert engines.sockets({"DOCKER_HOST": "unix:///run/mine.sock"})[0] == "/run/mine.sock"
    assert "/run/user/7/podman/podman.sock" in engines.sockets({"XDG_RUNTIME_DIR": "/run/user/7"})
    assert not any("2375" in path for path in engines.sockets({"DOCKER_HOST": "tcp://far:2375"}))


def test_the_image_is_keyed_by_each_of_its_files(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    before = image.key({"/a": file})

    assert image.key({"/a": file}) == before
    assert image.key({"/b": file}) != before
    file.write_text("other")
    assert image.key({"/a": file}) != before


@pytest.mark.skipif(sys.platform != "linux", reason="asks ldd")
def test_the_image_holds_python_the_runtime_client_and_nobody_elses_packages() -> None:
    files = image.contents()

    assert {"/var/lang/bin/python3.13", "/bin/sh", "/bin/mv"} <= set(files)
    assert "/var/runtime/awslambdaric/__main__.py" in files
    assert any("/ld-linux" in name for name in files)
    assert any(name.endswith("/unittest/mock.py") for name in files)
    assert not [name for name in files if "site-packages" in name or "boto" in name]
