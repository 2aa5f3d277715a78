"""A copy by our own clients as the worker makes it, in the shape of a handler: `benchmarks.copy` and
`benchmarks.memory` measure it."""

from __future__ import annotations

from typing import Any

from imagetasks.aws.image_bucket import ImageBucket
from imagetasks.outbound.download import ImageDownloader

images = ImageBucket.from_env()
downloader = ImageDownloader.from_env()


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """Copy the image at `url`."""
    with downloader.fetch(event["url"]) as download:
        return {"bytes": images.put(event["task_id"], 0, download).bytes}
