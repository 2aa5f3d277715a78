"""`make sam-local`: the whole program where a container engine is available, and its parts."""

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
from local.sam_local.runners import Response
from tests.local.test_run import assert_all_gone, descendants, read_until

TIMEOUT_S = 900
CAN_START_ENGINE = os.getuid() == 0 and shutil.which("apt-get") is not None


def program(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "local.sam_local", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


# The whole program


@pytest.mark.skipif(sys.platform != "linux", reason="needs containers in this machine's network")
@pytest.mark.xdist_group("sam-local")
def test_sam_local_invoke_responds_to_every_event_like_the_deployed_functions() -> None:
    with program() as process:
        printed, _ = process.communicate(timeout=TIMEOUT_S)

    if "SKIPPED" in printed and not CAN_START_ENGINE:
        pytest.skip(printed)
    assert process.returncode == 0, printed
    for name in event_sequence.events():
        assert f"\n  {name:<26}{event_sequence.function_of(name):<18}" in printed
    assert "none differs" in printed
    assert "DIFFERENT" not in printed
    # The containers used the same cloud: an order was accepted, found due, its image stored and linked.
    assert printed.count('{"enqueued": 1') == 2
    assert re.search(r"\n  api-create +ApiFunction +202 +202 +same", printed)
    assert re.search(r"\n  api-file +ApiFunction +302 +302 +same", printed)


@pytest.mark.skipif(not CAN_START_ENGINE, reason="starts a temporary engine: Debian, root")
@pytest.mark.xdist_group("sam-local")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_engine_process_is_left_after_any_end(number: signal.Signals) -> None:
    with program("--serve", DOCKER_HOST="") as process:
        printed = read_until(process, "ready: ")
        family = descendants(process.pid)
        listening = listened_on(family)
        process.send_signal(number)
        process.wait(60)

    assert f"unix://{engines.FOR_SAM}" in printed
    assert not listening, "who reaches an engine is root: it may have a unix socket, but no port"
    assert len(family) >= 3  # dockerd, containerd, the loopback proxy
    assert_all_gone(family)


def listened_on(pids: set[int]) -> set[str]:
    """The inodes of the TCP sockets in state LISTEN that these processes hold."""
    held = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            held.add(str(descriptor.readlink())[len("socket:[") : -1])
    lines = [line.split() for name in ("tcp", "tcp6") for line in _table(name)]
    return {line[9] for line in lines if line[3] == "0A"} & held


def _table(name: str) -> list[str]:
    return Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]


# Comparing


def response(status: int = 200, body: str = "{}", **headers: str) -> dict[str, Any]:
    return {"statusCode": status, "body": body, "headers": headers, "isBase64Encoded": False}


def test_values_that_always_differ_are_ignored() -> None:
    deployed = response(body='{"created_at": "2026-01-02T03:04:05.678Z", "a": [1]}', Allow="GET")
    local = response(body='{"a": [1], "created_at": "2026-09-08T07:06:05.432Z"}', allow="GET")

    assert compare.differences(deployed, local) == []
    assert (
        compare.differences({"enqueued": 1, "max_lag_ms": 5}, {"enqueued": 1, "max_lag_ms": 7})
        == []
    )


@pytest.mark.parametrize(
    ("local", "where"),
    [
        (response(404), "statusCode: deployed 200, local 404"),
        (response(body='{"a": 1}'), 'body.a: deployed "nothing", local 1'),
        (response(body="[]"), "body: deployed {}, local []"),
        (response(body="no JSON"), 'body: deployed {}, local "no JSON"'),
        (response(Location="/b"), 'headers.location: deployed "nothing", local "/b"'),
        (response() | {"isBase64Encoded": True}, "isBase64Encoded: deployed false, local true"),
        ({"errorMessage": "no"}, 'errorMessage: deployed "nothing", local "no"'),
        (None, "response: deployed "),
    ],
)
def test_any_other_difference_is_reported_with_its_place(local: Any, where: str) -> None:
    assert any(line.startswith(where) for line in compare.differences(response(), local))


def test_time_equals_no_other_string_and_true_does_not_equal_one() -> None:
    assert compare.differences({"at": "2026-01-02T03:04:05Z"}, {"at": None})
    assert compare.differences({"at": "2026-01-02T03:04:05Z"}, {"at": "yesterday"})
    assert compare.differences({"a": 1}, {"a": True})
    assert compare.differences([1, 2], [1])


def test_presigned_urls_are_equal_except_for_time_and_signer() -> None:
    def link(name: str, signed: str, more: str = "") -> dict[str, Any]:
        query = f"X-Amz-Signature={signed}&X-Amz-Date={signed}{more}"
        return response(302, Location=f"http://127.0.0.1:1/bucket/{name}?{query}")

    with_session = link("a.png", "one", "&X-Amz-Security-Token=session")

    assert compare.differences(with_session, link("a.png", "other")) == []
    assert compare.differences(with_session, link("b.png", "one"))
    assert compare.differences(with_session, link("a.png", "one", "&X-Amz-Expires=900"))


def test_signed_file_urls_are_equal_except_for_the_token_of_the_task() -> None:
    def link(n: int, token: str) -> dict[str, str]:
        return {"file_url": f"http://127.0.0.1:1/files/abc/{n}/{token}"}

    assert compare.differences(link(0, "a" * 43), link(0, "b" * 43)) == []
    assert compare.differences(link(0, "a" * 43), link(1, "a" * 43))
    assert compare.differences(link(0, "a" * 43), link(0, "a" * 42))
    assert compare.differences(response(ETag="one"), response())


def test_table_shows_a_difference() -> None:
    pair = run.Pair(
        Response("api-health", response(200), 0.1), Response("api-health", response(503), 4)
    )

    shown = run.table([pair])

    assert "DIFFERENT" in shown
    assert "statusCode: deployed 200, local 503" in shown


# The sequence


def test_every_event_has_a_function_and_a_place_in_the_sequence() -> None:
    sent = [name for step in event_sequence.steps(event_sequence.events()) for name in step]

    assert set(sent) == set(event_sequence.events())
    assert all(event_sequence.path_of(name).exists() for name in sent)
    assert {event_sequence.function_of(name) for name in sent} == set(
        event_sequence.FUNCTIONS.values()
    )


def test_new_event_comes_after_the_others() -> None:
    assert event_sequence.steps([*event_sequence.events(), "api-new"])[-1] == ("api-new",)


# Containers in this machine's network


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


def test_function_uses_the_machines_network_and_listens_on_loopback_only() -> None:
    created = loopback_proxy.on_loopback(container(), 9999)

    assert created["HostConfig"] == {"Memory": 512, "NetworkMode": "host"}
    assert not created["ExposedPorts"]
    assert created["Entrypoint"] == [
        loopback_proxy.EMULATOR,
        *("--runtime-interface-emulator-address", "127.0.0.1:5005"),
        *("--runtime-api-address", "127.0.0.1:9999"),
        *("--log-level", "error"),
    ]


@pytest.mark.parametrize(
    "other", [container(Entrypoint=["/bin/sh"]), container(HostConfig={}), {"Image": "any"}]
)
def test_container_that_is_no_function_stays_unchanged(other: dict[str, Any]) -> None:
    assert loopback_proxy.on_loopback(other, 9999) == other


def test_rewritten_request_has_the_length_of_its_new_body() -> None:
    body = json.dumps(container()).encode()
    head = b"POST /v1.35/containers/create HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)

    new_head, _, new_body = loopback_proxy.rewrite(head, body).partition(b"\r\n\r\n")

    assert new_head.endswith(b"Content-Length: %d" % len(new_body))
    assert json.loads(new_body)["HostConfig"]["NetworkMode"] == "host"


def test_connection_carries_one_request_unless_it_changes_the_protocol() -> None:
    plain = b"GET /_ping HTTP/1.1\r\nHost: engine\r\nConnection: keep-alive\r\n\r\n"
    attach = b"POST /containers/a/attach HTTP/1.1\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n"

    assert loopback_proxy.one_request(plain).count(b"Connection: close\r\n\r\n") == 1
    assert b"keep-alive" not in loopback_proxy.one_request(plain)
    assert loopback_proxy.one_request(attach) == attach


# The engine and its image


def test_engine_named_by_the_environment_comes_first() -> None:
    assert engines.sockets({"DOCKER_HOST": "unix:///run/mine.sock"})[0] == "/run/mine.sock"
    assert "/run/user/7/podman/podman.sock" in engines.sockets({"XDG_RUNTIME_DIR": "/run/user/7"})
    assert not any("2375" in path for path in engines.sockets({"DOCKER_HOST": "tcp://far:2375"}))


def test_image_key_depends_on_each_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    before = image.key({"/a": file})

    assert image.key({"/a": file}) == before
    assert image.key({"/b": file}) != before
    file.write_text("other")
    assert image.key({"/a": file}) != before


@pytest.mark.skipif(sys.platform != "linux", reason="runs ldd")
def test_image_contains_python_and_the_runtime_client_but_no_other_packages() -> None:
    files = image.contents()

    assert {"/var/lang/bin/python3.13", "/bin/sh", "/bin/mv"} <= set(files)
    assert "/var/runtime/awslambdaric/__main__.py" in files
    assert any("/ld-linux" in name for name in files)
    assert any(name.endswith("/unittest/mock.py") for name in files)
    assert not [name for name in files if "site-packages" in name or "boto" in name]
