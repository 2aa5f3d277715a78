"""Clients of AWS services: one of each in a process, all made by one botocore session."""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config

# A call that hangs is given up after 7 s: two attempts of 3 s, and up to 1 s between them.
# Arguments are not checked here: our own code makes them, the clients of most tests check them, and so does AWS.
CLIENT_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    parameter_validation=False,
    user_agent="imagetasks",  # botocore assembles a long one for each call, a tenth of the call's CPU
)


@cache
def shared_client(service: str, config: Config = CLIENT_CONFIG) -> Any:
    """The client of `service` that the whole process shares, and with it its connections."""
    return _session().create_client(service, config=config)


@cache
def _session() -> botocore.session.Session:
    """It keeps what it has read of botocore's descriptions of the services."""
    return botocore.session.get_session()
