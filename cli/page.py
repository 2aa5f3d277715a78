"""Checks whether the page at `/` may use the bucket from a browser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from cli.findings import Finding, Findings
from cli.stack import Stack, Values

OWN_PORT = {"https": ":443", "http": ":80"}  # which browsers leave out
NEEDED = {"GET", "POST"}  # images for an archive, and uploads


def check_page(stack: Stack) -> Findings:
    """Whether the bucket's CORS allows the page, if there is one. The API is of the page's own origin."""
    if stack.parameter("Playground") != "true":
        return
    origin = origin_of(stack.parameter("PublicUrl") or stack.api_url())
    yield bucket_allows(origin, _rules(stack), stack.parameter("CorsOrigins"))


def _rules(stack: Stack) -> Sequence[Values]:
    bucket = stack.output("ImagesBucketName")
    try:
        return list(stack.client("s3").get_bucket_cors(Bucket=bucket)["CORSRules"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchCORSConfiguration":
            raise
        return ()


def origin_of(url: str) -> str:
    """The origin of a page at `url`, as browsers send it."""
    parts = urlsplit(url.lower())
    return f"{parts.scheme}://{parts.netloc.removesuffix(OWN_PORT.get(parts.scheme, ''))}"


def bucket_allows(origin: str, rules: Iterable[Values], listed: str) -> Finding:
    """Whether one of the bucket's CORS rules lets pages of `origin` upload files and read images. `listed` is the
    parameter CorsOrigins."""
    if any(_matches(origin, each) and set(each["AllowedMethods"]) >= NEEDED for each in rules):
        return Finding("page", f"the bucket allows the page at {origin}")
    message = f"the page at {origin} can neither upload references nor save archives"
    todo = f"deploy with CorsOrigins={','.join(filter(None, (listed, origin)))}"
    return Finding("page", message, todo, failed=False)


def _matches(origin: str, rule: Values) -> bool:
    """In an origin of S3, `*` stands for any characters."""
    patterns = (re.escape(each).replace(r"\*", ".*") for each in rule["AllowedOrigins"])
    return any(re.fullmatch(each, origin) for each in patterns)
