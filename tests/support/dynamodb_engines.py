"""Tables for tests on DynamoDB Local or on the emulated AWS of the local system."""

from __future__ import annotations

import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from imagetasks.aws.table import Table
from tests.support.template import table_arguments

ROOT = Path(__file__).parents[2]


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """The URL of a running DynamoDB Local, which is downloaded if it is missing."""
    subprocess.run([str(ROOT / "scripts" / "dynamodb_local.sh")], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-m", "local.dynamodb", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            ready = process.stdout.readline() if process.stdout is not None else ""
            if not ready.startswith("DynamoDB Local on"):
                pytest.fail("DynamoDB Local did not start: see its output above")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def create_table(url: str) -> Table:
    """A new table like the template's at the endpoint `url`; its client serves fifty threads."""
    new_client: Any = boto3.client
    client = new_client(
        "dynamodb",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(max_pool_connections=60, retries={"total_max_attempts": 3}),
    )
    name = f"tasks-{uuid.uuid4().hex[:8]}"
    client.create_table(TableName=name, **table_arguments())
    client.get_waiter("table_exists").wait(TableName=name)
    return Table(client, name)
