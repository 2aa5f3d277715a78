"""AWS services: the only package that imports boto3."""

from botocore.config import Config

# A call that hangs is given up after 7 s: two attempts of 3 s, and up to 1 s between them.
CLIENT_CONFIG = Config(
    connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2}
)
