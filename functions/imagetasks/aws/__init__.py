"""AWS services: the only package that imports boto3."""

from botocore.config import Config

CLIENT_CONFIG = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)
