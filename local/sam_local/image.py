"""Builds a base image for Python functions from this machine's files, for engines that cannot pull one.

It contains what `sam local invoke` and Lambda's runtime emulator need, and little else: Python 3.13 in
/var/lang, the runtime client in /var/runtime, and the few programs that SAM CLI's Dockerfile calls. AWS's
own image also contains boto3. This one does not, so a package missing from the layer is noticed.
"""

import hashlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

LANGUAGE = "/var/lang"
RUNTIME = "/var/runtime"
PROGRAMS = ("sh", "cat", "chmod", "cp", "ls", "mkdir", "mv", "rm")
CLIENT = ("awslambdaric", "snapshot_restore_py", "simplejson", "runtime_client")

# Parts of the standard library for screens, its own tests, installing packages and compiling C.
_EXCLUDED = re.compile(
    r"^(site-packages|dist-packages|test|idlelib|tkinter|turtledemo|ensurepip|config-[^/]*)/"
    r"|lib-dynload/(_tkinter|_test|_ctypes_test|xx)"
)
_SYSTEM_LIBRARIES = ("/lib", "/usr/lib")
_DYNAMIC = re.compile(r"(/\S+) \(0x")
# Parts of the C library that may be needed only by a package of the layer.
_C_LIBRARY = (
    "libdl.so.2", "libnss_dns.so.2", "libnss_files.so.2", "libpthread.so.0", "libresolv.so.2",
    "librt.so.1", "libutil.so.1",
)  # fmt: skip
_FOLDERS = ("tmp", "opt", "var/task", "root", "proc", "sys", "dev")

BOOTSTRAP = f"""#!/bin/sh
# The order of Lambda: the function, its layers, the runtime.
export AWS_EXECUTION_ENV=AWS_Lambda_python3.13
export PYTHONPATH=/opt/python/lib/python3.13/site-packages:/opt/python:{RUNTIME}
exec {LANGUAGE}/bin/python3.13 -m awslambdaric "$_HANDLER"
"""
PASSWD = "root:x:0:0:root:/root:/bin/sh\n"
SETTINGS = (
    f"ENV PATH={LANGUAGE}/bin:/usr/bin:/bin:/opt/bin",
    f"ENV LD_LIBRARY_PATH={LANGUAGE}/lib:/lib64:/usr/lib64:{RUNTIME}:/var/task:/var/task/lib:/opt/lib",
    "ENV LANG=C.UTF-8",
    "ENV TZ=:UTC",
    "ENV LAMBDA_TASK_ROOT=/var/task",
    f"ENV LAMBDA_RUNTIME_DIR={RUNTIME}",
    "WORKDIR /var/task",
)


def contents() -> dict[str, Path]:
    """Map the absolute path of every file in the image to its path on this machine."""
    found = dict(_python()) | dict(_client())
    found |= {f"/bin/{name}": _program(name) for name in PROGRAMS}
    return found | dict(_libraries(found.values()))


def key(files: dict[str, Path]) -> str:
    """Return a hash of the image's files and of this module."""
    total = hashlib.sha256(Path(__file__).read_bytes())
    for name, source in sorted(files.items()):
        status = source.stat()
        total.update(f"{name} {source} {status.st_size} {status.st_mtime_ns}\n".encode())
    return total.hexdigest()


def write(files: dict[str, Path], target: Path) -> None:
    """Write the image's file system to a tar archive, with dates, because bytecode depends on them."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for folder in _FOLDERS:
            _add_folder(archive, folder)
        for name, source in sorted(files.items()):
            _add_file(archive, name, source)
        _add_text(archive, f"{RUNTIME}/bootstrap", BOOTSTRAP, 0o755)
        _add_text(archive, "/etc/passwd", PASSWD, 0o644)


def _python() -> Iterator[tuple[str, Path]]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    yield f"{LANGUAGE}/bin/{version}", Path(sys.base_prefix, "bin", version).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    for file in library.rglob("*"):
        inside = file.relative_to(library).as_posix()
        if file.is_file() and not _EXCLUDED.search(inside):
            yield f"{LANGUAGE}/lib/{version}/{inside}", file.resolve()


def _client() -> Iterator[tuple[str, Path]]:
    """The runtime client, which AWS's image contains too, from this environment."""
    for name in CLIENT:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            raise LookupError(f"{name} is not in this environment: run make setup")
        origin = Path(found.origin)
        if not found.submodule_search_locations:
            yield f"{RUNTIME}/{origin.name}", origin
            continue
        for file in origin.parent.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                yield f"{RUNTIME}/{name}/{file.relative_to(origin.parent).as_posix()}", file


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise LookupError(f"{name} is not on PATH")
    return Path(found).resolve()


def _libraries(files: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """The shared libraries that these files need, including the dynamic linker."""
    binaries = [str(file) for file in files if _is_elf(file)]
    listed = subprocess.run(
        ["ldd", *binaries],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
    )
    for found in sorted(set(_DYNAMIC.findall(listed.stdout))):
        path = Path(found)
        is_system = found.startswith(_SYSTEM_LIBRARIES)
        yield found if is_system else f"{LANGUAGE}/lib/{path.name}", path.resolve()
        if path.name == "libc.so.6":
            parts = filter(Path.exists, map(path.with_name, _C_LIBRARY))
            yield from ((str(part), part.resolve()) for part in parts)


def _is_elf(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(4) == b"\x7fELF"


def _add_folder(archive: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
    archive.addfile(entry)


def _add_file(archive: tarfile.TarFile, name: str, source: Path) -> None:
    entry = tarfile.TarInfo(name.lstrip("/"))
    status = source.stat()
    entry.size, entry.mtime = status.st_size, int(status.st_mtime)
    entry.mode = 0o755 if status.st_mode & 0o100 else 0o644
    with source.open("rb") as content:
        archive.addfile(entry, content)


def _add_text(archive: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.size, entry.mode = len(text.encode()), mode
    archive.addfile(entry, io.BytesIO(text.encode()))
