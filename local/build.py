"""`sam build`, once for each state of the sources."""

import fcntl
import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

from local.processes import ROOT, Processes

ARTEFACT = ROOT / ".aws-sam" / "build"
TEMPLATE = ARTEFACT / "template.yaml"
SAM = ROOT / ".local" / "envs" / "sam" / "bin"
SOURCES = ("template.yaml", "samconfig.toml", "functions", "layers", "requirements/sam.txt")

# Written into the artefact after a good build; anybody's `sam build` empties the folder, so the
# stamp never speaks for a build that was not ours.
_STAMP = ARTEFACT / ".sources.sha256"
_LOCK = ROOT / ".local" / "build.lock"


def ensure(processes: Processes, environ: dict[str, str]) -> bool:
    """Have `.aws-sam/build` match the sources; says whether it had to be built."""
    with _locked(fcntl.LOCK_EX):
        wanted = digest()
        if _STAMP.exists() and _STAMP.read_text() == wanted:
            return False
        processes.run("sam-build", ["sam", "build"], sam_environment(environ))
        _STAMP.write_text(wanted)
        return True


@contextmanager
def held() -> Iterator[None]:
    """While the block reads the artefact, others may read it too but nobody rebuilds it."""
    with _locked(fcntl.LOCK_SH):
        yield


@contextmanager
def _locked(how: int) -> Iterator[None]:
    _LOCK.parent.mkdir(exist_ok=True)
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, how)
        yield


def digest() -> str:
    """SHA-256 over the name and content of everything that `sam build` reads."""
    total = hashlib.sha256()
    for source in map(ROOT.joinpath, SOURCES):
        files = [source] if source.is_file() else sorted(source.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                total.update(f"{file.relative_to(ROOT)} {content}\n".encode())
    return total.hexdigest()


def sam_environment(environ: dict[str, str]) -> dict[str, str]:
    """`environ` with SAM CLI first on PATH, and its own Python 3.13 with pip for the makefiles."""
    return environ | {
        "PATH": f"{SAM}{os.pathsep}{environ['PATH']}",
        "PYTHON": str(SAM / "python"),
        "SAM_CLI_TELEMETRY": "0",
    }


def architecture() -> str:
    """This machine's, in Lambda's words."""
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
