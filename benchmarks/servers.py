"""Starts the local servers of a measurement, and says how a measured process reaches and trusts them."""

from __future__ import annotations

import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import boto3
import certifi

from benchmarks.interpreter import REGION, STATE
from imagetasks.aws.submit_account import ACCOUNT_PK
from local import cloud
from local.cloud import Cloud
from local.ports import free_ports
from local.processes import ROOT, Processes
from tests.support.template import table_arguments

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A `certifi` with one certificate more, so that reading the authorities costs what it costs on Lambda.
CERTIFI = '''"""The authorities of certifi and the one of the local server."""
from pathlib import Path


def where():
    return str(Path(__file__).with_name("cacert.pem"))
'''


@dataclass(frozen=True)
class Servers:
    """The origin of `benchmarks.server`, the folder with the `certifi` that trusts it, and the URL of
    DynamoDB's emulator if there is one."""

    origin: str
    trust: Path
    dynamodb_url: str = ""

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables that send a function to these servers."""
        bundle = str(self.trust / "certifi" / "cacert.pem")
        return {
            "AWS_ENDPOINT_URL": self.origin,
            "AWS_CA_BUNDLE": bundle,
            "SSL_CERT_FILE": bundle,
            "QUEUE_URL": f"{self.origin}/123456789012/tasks",
            "NOTIFICATION_QUEUE_URL": f"{self.origin}/123456789012/notifications",
            "POYO_BASE_URL": self.origin,
            "DOWNLOAD_HOSTS": self.origin,
            "POYO_SUBMITS_PER_10S": "1000",
        }

    def forget_submits(self) -> None:
        """Empty the account's window of submits, which has no limit here: its item must not grow beyond
        the twenty starts that it has when deployed."""
        _dynamodb(self.dynamodb_url).delete_item(TableName="tasks", Key={"pk": {"S": ACCOUNT_PK}})

    def image_url(self, megabytes: int) -> str:
        """The URL of an image of this size. The server has made it by then: no download waits for it."""
        url = f"{self.origin}/files/{megabytes}"
        context = ssl.create_default_context(cafile=self.variables["SSL_CERT_FILE"])
        with urlopen(url, context=context) as response:  # noqa: S310  # our own server
            while response.read(1024 * 1024):
                pass
        return url


@contextmanager
def servers(*, dynamodb: bool = False) -> Iterator[Servers]:
    """Servers that run as long as the block; with `dynamodb` the emulator with the template's table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        processes = Processes(STATE / "logs")
        try:
            url = _start_dynamodb(processes, folder) if dynamodb else ""
            command = [
                sys.executable,
                "-m",
                "benchmarks.server",
                str(folder),
                *([url] if url else []),
            ]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
                try:
                    port = server.stdout.readline().strip() if server.stdout else ""
                    if not port:
                        raise RuntimeError("the server did not start: see its error above")
                    yield Servers(f"https://127.0.0.1:{port}", _write_trust(folder), url)
                finally:
                    server.terminate()
        finally:
            processes.stop()


def _write_trust(folder: Path) -> Path:
    package = folder / "trust" / "certifi"
    package.mkdir(parents=True)
    package.joinpath("__init__.py").write_text(CERTIFI)
    authorities = Path(certifi.where()).read_text() + (folder / "authority.pem").read_text()
    package.joinpath("cacert.pem").write_text(authorities)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(package)], check=True)  # noqa: S603
    return folder / "trust"


def _start_dynamodb(processes: Processes, folder: Path) -> str:
    emulated = Cloud(f"http://127.0.0.1:{free_ports(1)[0]}")
    cloud.start(processes, emulated, folder / "cloud")
    arguments: dict[str, Any] = table_arguments()
    _dynamodb(emulated.url).create_table(TableName="tasks", **arguments)
    return emulated.url


def _dynamodb(url: str) -> DynamoDBClient:
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  # the emulator's
    )
