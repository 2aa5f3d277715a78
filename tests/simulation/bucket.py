"""The simulated S3 bucket and PoYo's simulated file host, with their faults."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from imagetasks.errors import DownloadFailed, DownloadForbidden
from imagetasks.outbound.download import DownloadedImage
from tests.simulation import upstream_responses
from tests.simulation.scheduler import Simulator


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in the bucket."""

    body: bytes
    content_type: str
    metadata: dict[str, str]


class SimulatedBucket:
    """`head_object`, `put_object` and `delete_objects` of boto3's S3 client."""

    def __init__(self, simulator: Simulator) -> None:
        self.objects: dict[str, StoredObject] = {}
        self._simulator = simulator

    def head_object(self, *, Bucket: str, Key: str) -> Any:  # noqa: N803
        """The metadata of an object. Raises ClientError when there is none."""

        def act() -> StoredObject:
            fault = self._simulator.fault("bucket.head")
            if fault == "unavailable":
                raise aws_error("503", 503)
            if Key not in self.objects:  # without s3:ListBucket S3 answers 403 instead of 404
                raise aws_error("403", 403) if fault == "forbidden" else aws_error("404", 404)
            return self.objects[Key]

        found = self._simulator.effect("bucket.head", act)
        return {
            "ContentType": found.content_type,
            "ContentLength": len(found.body),
            "Metadata": found.metadata,
        }

    def put_object(self, **arguments: Any) -> None:
        """Write an object; with `IfNoneMatch="*"` only if the key has none."""
        self._simulator.effect("bucket.put", lambda: self._put(**arguments), latency_factor=5)

    def delete_objects(self, *, Bucket: str, Delete: Any) -> Any:  # noqa: N803
        """Delete objects; a response that lists errors has status 200, too."""
        keys = [each["Key"] for each in Delete["Objects"]]
        return self._simulator.effect("bucket.delete", lambda: self._delete(keys))

    def _delete(self, keys: list[str]) -> Any:
        fault = self._simulator.fault("bucket.delete")
        if fault == "unavailable":
            raise aws_error("SlowDown", 503)
        for key in keys[1:] if fault == "partial" else keys:
            self.objects.pop(key, None)
        if fault == "response_lost":
            raise aws_error("RequestTimeout", 500)
        errors = [{"Key": keys[0], "Code": "InternalError", "Message": "simulated"}]
        return {"ResponseMetadata": {"HTTPStatusCode": 200}} | (
            {"Errors": errors} if fault == "partial" else {}
        )

    def _put(self, *, Key: str, Body: Any, **arguments: Any) -> None:  # noqa: N803
        fault = self._simulator.fault("bucket.put")
        if fault == "unavailable":
            raise aws_error("SlowDown", 503)
        if fault == "conflict":
            raise aws_error("ConditionalRequestConflict", 409)
        body = Body.read()
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        assert arguments["ChecksumSHA256"] == digest, (
            "S3 rejects a body that does not match its checksum"
        )
        assert arguments["ContentLength"] == len(body)
        self._write(Key, body, arguments)
        if fault == "response_lost":
            raise aws_error("RequestTimeout", 500)
        if fault == "retried":  # the SDK lost the response and repeats the request
            self._simulator.sleep(self._simulator.rng.uniform(50, 3000))
            self._write(Key, body, arguments)

    def _write(self, key: str, body: bytes, arguments: dict[str, Any]) -> None:
        if arguments.get("IfNoneMatch") == "*" and key in self.objects:
            raise aws_error("PreconditionFailed", 412)
        self.objects[key] = StoredObject(
            body, arguments["ContentType"], dict(arguments["Metadata"])
        )


class SimulatedDownloads:
    """Replaces ImageDownloader. `file_at` gives the bytes at a URL, None when they expired;
    `without_image` are the URLs that once had a page or half an image."""

    def __init__(
        self,
        simulator: Simulator,
        file_at: Callable[[str], bytes | None],
    ) -> None:
        self._simulator = simulator
        self._file_at = file_at
        self.without_image: set[str] = set()

    @contextmanager
    def fetch(self, url: str, *, within_s: float) -> Iterator[DownloadedImage]:
        """The image at `url`. Raises DownloadFailed, DownloadForbidden or NotAnImage."""
        if within_s <= 0:
            self._simulator.counts["event", "no_time_for_download"] += 1
            raise DownloadFailed("too_late")
        body = self._simulator.effect(
            "file.fetch",
            lambda: self._fetch(url),
            latency_factor=20,
            describe=lambda body: f"{len(body)} bytes",
        )
        yield DownloadedImage.from_file(io.BytesIO(body))

    def _fetch(self, url: str) -> bytes:
        fault = self._simulator.fault("file.fetch")
        if fault in ("html", "truncated"):
            self.without_image.add(url)
        if fault in ("host_not_listed", "address_not_public"):
            raise DownloadForbidden(fault, "files.invalid")
        if fault == "html":
            return b"<!doctype html><title>sorry</title>"
        served = self._file_at(url)
        if served is None:
            raise DownloadFailed("http_404", gone=True)
        if fault == "truncated":
            return served[:-7]
        if fault == "trailer":  # not to be stored
            return served + b"\x00\x00\x00\x18ftypmp42"
        if fault == "re_encoded":
            return upstream_responses.png(f"{url} re-encoded")
        if fault:
            raise DownloadFailed(fault, gone=fault == "http_403")
        return served


def aws_error(code: str, status: int) -> ClientError:
    """An error response of an AWS service."""
    response: Any = {
        "Error": {"Code": code, "Message": "simulated"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "Simulated")
