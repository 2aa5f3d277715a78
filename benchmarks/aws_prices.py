"""AWS list prices in eu-west-1 in USD, without the free tier, and what a bill is made of.

Source: the price pages of Lambda, API Gateway, DynamoDB (on demand, standard class), S3, SQS and CloudWatch, as
they were when this was written (November 2026). A price that changes is changed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MILLION, THOUSAND, GB = 1e6, 1e3, 1e9
LAMBDA_REQUEST = 0.20 / MILLION
GB_SECOND: Mapping[str, float] = {"arm64": 0.0000133334, "x86_64": 0.0000166667}
API_REQUEST: Mapping[str, float] = {"HTTP": 1.11 / MILLION, "REST": 3.50 / MILLION}
WRITE_UNIT = 0.705 / MILLION
READ_UNIT = 0.1415 / MILLION
SQS_REQUEST = 0.40 / MILLION
S3_PUT = 0.005 / THOUSAND
S3_GET = 0.0004 / THOUSAND
LOG_BYTE = 0.57 / GB


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One invocation of a function: billed milliseconds at a memory size in MB."""

    ms: float
    memory_mb: int

    @property
    def gb_s(self) -> float:
        """What is billed of its duration."""
        return self.ms / 1000 * self.memory_mb / 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What one image uses."""

    invocations: tuple[Invocation, ...]
    api_requests: int
    write_units: float
    read_units: float
    sqs_requests: int
    s3_puts: int
    s3_gets: int
    log_bytes: int
    architecture: str = "arm64"
    api: str = "HTTP"

    def parts(self) -> dict[str, float]:
        """USD for each thousand images, by what is billed."""
        duration = sum(each.gb_s for each in self.invocations) * GB_SECOND[self.architecture]
        one = {
            "Lambda requests": len(self.invocations) * LAMBDA_REQUEST,
            "Lambda duration": duration,
            "API Gateway": self.api_requests * API_REQUEST[self.api],
            "DynamoDB writes": self.write_units * WRITE_UNIT,
            "DynamoDB reads": self.read_units * READ_UNIT,
            "SQS": self.sqs_requests * SQS_REQUEST,
            "S3": self.s3_puts * S3_PUT + self.s3_gets * S3_GET,
            "logs": self.log_bytes * LOG_BYTE,
        }
        return {name: usd * THOUSAND for name, usd in one.items()}

    def usd(self) -> float:
        """USD for a thousand images."""
        return sum(self.parts().values())
