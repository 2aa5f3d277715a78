"""Finds a running container engine, or starts a temporary one on Debian as root."""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local import build
from local.processes import ROOT, Processes, wait_for
from local.progress import say, step
from local.sam_local import image
from local.sam_local.engine import Engine

FOLDER = ROOT / ".local" / "sam-local"
PACKAGES = FOLDER / "packages"
OWN = FOLDER / "engine"
FOR_SAM = FOLDER / "docker.sock"
START_TIMEOUT_S = 60
MAX_SOCKET_PATH = 100  # Linux allows 107 bytes

INSTALL = """this needs a container engine, and found none:
    Debian, Ubuntu   apt install docker.io   (or run this as root, which needs no installation)
    macOS            Docker Desktop, or Finch
    Podman           systemctl --user start podman.socket
  Docker, Podman or Finch must respond on its unix socket and have, or be able to pull,
    {image}"""


class NoEngine(Exception):
    """There is no container engine; the text names what to install."""


def wanted_image() -> str:
    """The name of the image that SAM CLI uses for the template's functions."""
    return f"public.ecr.aws/lambda/python:3.13-{build.architecture()}"


@contextmanager
def for_sam(processes: Processes, say: Callable[[str], None] = say) -> Iterator[str]:
    """Yield a DOCKER_HOST for SAM CLI whose containers use this machine's network.

    Raises NoEngine, StepFailed or EngineFailed. Only one block runs at a time in a checkout; others wait.
    """
    _check_length(FOR_SAM)
    with _exclusive_lock(say):
        engine = _find_running(os.environ, say) or _start_temporary(processes, say)
        command = [sys.executable, "-u", "-m", "local.sam_local.loopback_proxy"]
        sockets = ["--engine", engine.socket, "--listen", str(FOR_SAM)]
        FOR_SAM.unlink(missing_ok=True)
        process = processes.start("loopback", [*command, *sockets], os.environ)
        wait_for(Engine(str(FOR_SAM)).responds, process, START_TIMEOUT_S)
        yield f"unix://{FOR_SAM}"


def sockets(environ: Mapping[str, str]) -> list[str]:
    """Return the usual sockets of engines; the one named by the environment comes first."""
    named = environ.get("DOCKER_HOST", "").removeprefix("unix://")
    runtime = environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    usual = [
        "/var/run/docker.sock",
        f"{environ.get('HOME', '')}/.docker/run/docker.sock",
        f"{runtime}/docker.sock",
        f"{runtime}/podman/podman.sock",
        "/run/podman/podman.sock",
        "/Applications/Finch/lima/data/finch/sock/finch.sock",
        "/var/run/finch.sock",
    ]
    return ([named] if named.startswith("/") else []) + usual


def _find_running(environ: Mapping[str, str], say: Callable[[str], None]) -> Engine | None:
    """Return a running engine that has AWS's image or can pull it."""
    wanted = wanted_image()
    for engine in map(Engine, sockets(environ)):
        if not engine.responds():
            continue
        with step(f"container engine {engine.socket}", say) as remark:
            if engine.key_of(wanted) is not None or engine.pull(wanted):
                return engine
            remark(f"not used: it cannot pull {wanted}")
    return None


def _start_temporary(processes: Processes, say: Callable[[str], None]) -> Engine:
    if sys.platform != "linux" or os.getuid() or not shutil.which("apt-get"):
        raise NoEngine(INSTALL.format(image=wanted_image()))
    with step("Debian's container engine", say):
        processes.run("packages", ["local/sam_local/packages.sh"], os.environ)
    with step("dockerd, on a unix socket", say):
        engine = _start(processes)
        engine.tidy()
    with step("base image", say) as remark:
        if not _update_image(engine):
            remark("unchanged")
    return engine


def _start(processes: Processes) -> Engine:
    """Start dockerd in separate namespaces, so that its containers and mounts end with it."""
    listening = OWN / "engine.sock"
    _check_length(listening)
    OWN.mkdir(parents=True, exist_ok=True)
    (OWN / "pid").unlink(
        missing_ok=True
    )  # it holds pid 1 of the namespace: dockerd would take it for running
    (OWN / "daemon.json").write_text("{}")  # the settings in /etc/docker are for another engine
    command = [
        "unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL",
        str(PACKAGES / "usr/sbin/dockerd"),
        "--config-file", str(OWN / "daemon.json"),
        "--data-root", str(OWN / "data"),
        "--exec-root", str(OWN / "exec"),
        "--pidfile", str(OWN / "pid"),
        "--host", f"unix://{listening}",
        "--bridge=none", "--iptables=false", "--ip6tables=false",
        "--ip-forward=false", "--ip-masq=false",
    ]  # fmt: skip
    path = f"{PACKAGES}/usr/sbin:{PACKAGES}/usr/bin:{os.environ['PATH']}"
    process = processes.start("dockerd", command, os.environ | {"PATH": path})
    engine = Engine(str(listening))
    wait_for(engine.responds, process, START_TIMEOUT_S)
    return engine


def _update_image(engine: Engine) -> bool:
    """Make the base image match this machine's files; returns whether it was out of date."""
    files = image.contents()
    key = image.key(files)
    if engine.key_of(wanted_image()) == key:
        return False
    archive = FOLDER / "base.tar"
    try:
        image.write(files, archive)
        engine.load(wanted_image(), archive, image.SETTINGS, key)
    finally:
        archive.unlink(missing_ok=True)
    return True


@contextmanager
def _exclusive_lock(say: Callable[[str], None]) -> Iterator[None]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("  another sam-local runs in this checkout; waiting until it ends")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check_length(path: Path) -> None:
    if len(str(path)) > MAX_SOCKET_PATH:
        raise NoEngine(
            f"a unix socket's path may have at most {MAX_SOCKET_PATH} characters: {path}"
        )
