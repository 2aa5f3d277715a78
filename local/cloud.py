"""The emulated AWS: MiniStack on 127.0.0.1, empty at each start."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import boto3
import requests
from botocore.config import Config

from local.processes import ROOT, Processes, wait_for
from local.settings import HOST

REGION = "eu-west-1"
START_TIMEOUT_S = 180  # usually one second; more on a busy machine
SCRATCH = "tmp"
ENVIRONMENT = ROOT / ".local" / "envs" / "cloud" / "bin"

# The variables of this shell that the emulator and the functions in it get: those needed to run and to
# reach the network. They get no credentials and no settings of other programs.
_PASSED_ON = (
    "HOME", "PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy",
)  # fmt: skip


@dataclass(frozen=True)
class Cloud:
    """The emulator's URL, and boto3 clients for it."""

    url: str

    def client(self, service: str) -> Any:
        """Return a boto3 client for inspecting one emulated service."""
        make = cast("Any", boto3.session.Session()).client
        return make(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}, retries={"total_max_attempts": 2}),
        )

    def environment(self) -> dict[str, str]:
        """Return this shell's variables with every AWS setting replaced by the emulator's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return kept | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }


def start(processes: Processes, cloud: Cloud, state: Path) -> None:
    """Start MiniStack and return when it responds; its scratch files are under `state`."""
    clear(state)
    scratch = state / SCRATCH
    scratch.mkdir(parents=True)
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environ = passed_on | {
        "AUTH": "true",  # enforce IAM as on AWS: a function can do only what its role allows
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "GATEWAY_PORT": str(urlsplit(cloud.url).port),
        "MINISTACK_REGION": REGION,
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(scratch),
    }
    process = processes.start("ministack", [str(ENVIRONMENT / "ministack")], environ)
    wait_for(lambda: responds(f"{cloud.url}/_ministack/health"), process, START_TIMEOUT_S)


def clear(state: Path) -> None:
    """Remove the emulator's scratch files, among them a copy of the layer for every function."""
    shutil.rmtree(state / SCRATCH, ignore_errors=True)


def responds(url: str) -> bool:
    """Return whether a server on this machine responds with a 2xx status."""
    with requests.Session() as session:
        session.trust_env = False  # both programs run on this machine: use no proxy
        try:
            return session.get(url, timeout=5).ok
        except requests.RequestException:
            return False
