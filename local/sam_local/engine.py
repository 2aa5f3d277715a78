"""A container engine behind a unix socket, asked in Docker's API by the standard library."""

import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

KEY_LABEL = "imagetasks.key"
PING_TIMEOUT_S = 5
PULL_TIMEOUT_S = 300


class EngineFailed(Exception):
    """The engine said no; the text is what it said."""


@dataclass(frozen=True)
class Engine:
    """An engine by the path of its socket."""

    socket: str

    def answers(self) -> bool:
        """Whether an engine listens there."""
        try:
            return self._ask("GET", "/_ping", timeout_s=PING_TIMEOUT_S)[0] == 200
        except OSError:
            return False

    def key_of(self, image: str) -> str | None:
        """The label that says what an image was made from; "" without one, None without the image."""
        status, text = self._ask("GET", f"/images/{quote(image, safe='/:')}/json")
        if status != 200:
            return None
        labels: dict[str, str] = json.loads(text)["Config"].get("Labels") or {}
        return labels.get(KEY_LABEL, "")

    def pull(self, image: str) -> bool:
        """Fetch an image from where its name says; False when that cannot be done."""
        name, _, tag = image.rpartition(":")
        query = urlencode({"fromImage": name, "tag": tag})
        try:
            self._ask("POST", f"/images/create?{query}", timeout_s=PULL_TIMEOUT_S)
        except OSError:
            return False
        return self.key_of(image) is not None

    def load(self, image: str, archive: Path, settings: tuple[str, ...], key: str) -> None:
        """Make an image of a file system in a tar archive. Raises EngineFailed."""
        name, _, tag = image.rpartition(":")
        changes = [("changes", change) for change in (*settings, f"LABEL {KEY_LABEL}={key}")]
        query = urlencode([("fromSrc", "-"), ("repo", name), ("tag", tag), *changes])
        with archive.open("rb") as content:
            status, text = self._ask("POST", f"/images/create?{query}", content, PULL_TIMEOUT_S)
        if status != 200 or self.key_of(image) != key:
            raise EngineFailed(f"no image {image}: {status} {text.strip()}")

    def tidy(self) -> None:
        """Forget containers that have ended and images that newer ones have replaced."""
        for kind in ("containers", "images"):
            self._ask("POST", f"/{kind}/prune")

    def _ask(
        self, method: str, path: str, body: Any = None, timeout_s: float = 60
    ) -> tuple[int, str]:
        connection = _Connection(self.socket, timeout_s)
        try:
            headers = {"Content-Type": "application/x-tar"} if body else {}
            connection.request(method, path, body, headers, encode_chunked=True)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise ConnectionError(f"{self.socket} does not speak HTTP: {error!r}") from error
        finally:
            connection.close()


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("engine", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
