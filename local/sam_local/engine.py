"""A client of Docker's API on a unix socket, with the standard library only."""

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
    """The engine returned an error; the text is its message."""


@dataclass(frozen=True)
class Engine:
    """A container engine, given by the path of its socket."""

    socket: str

    def responds(self) -> bool:
        """Whether an engine listens on the socket."""
        try:
            return self._request("GET", "/_ping", timeout_s=PING_TIMEOUT_S)[0] == 200
        except OSError:
            return False

    def key_of(self, image: str) -> str | None:
        """The label with the key of the image's contents; "" without label, None without image."""
        status, text = self._request("GET", f"/images/{quote(image, safe='/:')}/json")
        if status != 200:
            return None
        labels: dict[str, str] = json.loads(text)["Config"].get("Labels") or {}
        return labels.get(KEY_LABEL, "")

    def pull(self, image: str) -> bool:
        """Pull an image from the registry in its name; returns False if that fails."""
        name, _, tag = image.rpartition(":")
        query = urlencode({"fromImage": name, "tag": tag})
        try:
            self._request("POST", f"/images/create?{query}", timeout_s=PULL_TIMEOUT_S)
        except OSError:
            return False
        return self.key_of(image) is not None

    def load(self, image: str, archive: Path, settings: tuple[str, ...], key: str) -> None:
        """Create an image from a file system in a tar archive. Raises EngineFailed."""
        name, _, tag = image.rpartition(":")
        changes = [("changes", change) for change in (*settings, f"LABEL {KEY_LABEL}={key}")]
        query = urlencode([("fromSrc", "-"), ("repo", name), ("tag", tag), *changes])
        with archive.open("rb") as content:
            status, text = self._request("POST", f"/images/create?{query}", content, PULL_TIMEOUT_S)
        if status != 200 or self.key_of(image) != key:
            raise EngineFailed(f"no image {image}: {status} {text.strip()}")

    def tidy(self) -> None:
        """Delete stopped containers, and images that newer ones have replaced."""
        for kind in ("containers", "images"):
            self._request("POST", f"/{kind}/prune")

    def _request(
        self, method: str, path: str, body: Any = None, timeout_s: float = 60
    ) -> tuple[int, str]:
        connection = _Connection(self.socket, timeout_s)
        try:
            headers = {"Content-Type": "application/x-tar"} if body else {}
            connection.request(method, path, body, headers, encode_chunked=True)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise ConnectionError(f"{self.socket} sent no HTTP: {error!r}") from error
        finally:
            connection.close()


class _Connection(http.client.HTTPConnection):
    """An HTTP connection over a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("engine", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
