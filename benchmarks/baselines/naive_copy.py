"""A copy as most tutorials write it: `requests.get`, then `put_object` with the content.

The whole image is in memory, no byte of it is checked, and every download makes a new TLS context, as
`requests.get` does without a session. The S3 client is made once, as AWS recommends.
"""

from __future__ import annotations

import os
from typing import Any

import boto3
import requests

s3 = boto3.client("s3")


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """Copy the image at `url`."""
    response = requests.get(event["url"], timeout=30)
    response.raise_for_status()
    s3.put_object(
        Bucket=os.environ["BUCKET_NAME"],
        Key=f"images/{event['task_id']}/0",
        Body=response.content,
        ContentType="image/png",
    )
    return {"bytes": len(response.content)}
