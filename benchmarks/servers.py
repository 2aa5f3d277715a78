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
from typing import Any
from urllib.request import urlopen

import boto3
import certifi

from benchmarks.interpreter import REGION, STATE
from local import cloud
from local.cloud import Cloud
from local.ports import free_ports
from local.processes import ROOT, Processes
from tests.support.template import table_arguments

# A `certifi` with one certificate more, so that reading the authorities costs what it costs on Lambda.
CERTIFI = '''"""The authorities of certifi and the one of the local server."""
from pathlib import Path


def where():
    return str(Path(__file__).with_name("cacert.pem"))
'''


@dataclass(frozen=True)
class Servers:
    """The origin of `benchmarks.server`, and the folder with the `certifi` that trusts it."""

    origin: str
    trust: Path

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
                    yield Servers(f"https://127.0.0.1:{port}", _write_trust(folder))
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
    client = boto3.client(
        "dynamodb",
        endpoint_url=emulated.url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  # the emulator's
    )
    client.create_table(TableName="tasks", **arguments)
    return emulated.url
