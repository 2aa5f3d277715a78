"""Runs `sam build` if the sources have changed since the last build."""

import fcntl
import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.processes import ROOT, Processes

ARTEFACT = ROOT / ".aws-sam" / "build"
TEMPLATE = ARTEFACT / "template.yaml"
LAYERS = {"arm64": "Arm64Layer", "x86_64": "X86Layer"}  # by Lambda's name of the architecture
SAM = ROOT / ".local" / "envs" / "sam" / "bin"
SOURCES = ("template.yaml", "samconfig.toml", "functions", "layers", "requirements/sam.txt")

# The digest of the built sources, written after a successful build. Every `sam build` empties the
# folder, so the digest of an earlier build does not survive a build started elsewhere.
_DIGEST_FILE = ARTEFACT / ".sources.sha256"
_LOCK = ROOT / ".local" / "build.lock"


def ensure(processes: Processes, environ: dict[str, str]) -> bool:
    """Build `.aws-sam/build` unless it matches the sources; returns whether it was built."""
    with _locked(fcntl.LOCK_EX):
        current = digest()
        if _DIGEST_FILE.exists() and _DIGEST_FILE.read_text() == current:
            return False
        processes.run("sam-build", ["sam", "build"], sam_environment(environ))
        _DIGEST_FILE.write_text(current)
        return True


@contextmanager
def read_lock() -> Iterator[None]:
    """Hold a shared lock on the artefact: other processes may read it, none may rebuild it."""
    with _locked(fcntl.LOCK_SH):
        yield


@contextmanager
def _locked(operation: int) -> Iterator[None]:
    _LOCK.parent.mkdir(exist_ok=True)
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, operation)
        yield


def digest() -> str:
    """Return the SHA-256 of the names and contents of all files that `sam build` reads."""
    total = hashlib.sha256()
    for source in map(ROOT.joinpath, SOURCES):
        files = [source] if source.is_file() else sorted(source.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                total.update(f"{file.relative_to(ROOT)} {content}\n".encode())
    return total.hexdigest()


def sam_environment(environ: dict[str, str]) -> dict[str, str]:
    """Return `environ` with SAM CLI first on PATH, and with SAM CLI's Python 3.13 for the makefiles."""
    return environ | {
        "PATH": f"{SAM}{os.pathsep}{environ['PATH']}",
        "PYTHON": str(SAM / "python"),
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.5",  # seconds; its default of 5 is longer than a deployment here
    }


def architecture() -> str:
    """Return this machine's architecture by Lambda's name for it."""
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"


def layer() -> Path:
    """Return the packages of the built layer for this machine's architecture."""
    return ARTEFACT / LAYERS[architecture()] / "python"
