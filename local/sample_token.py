"""Issues a browser token for the sample user, ready to be used in a page."""

import requests

from local.progress import StepFailed
from local.system import System

USER = "sample"
CREDITS = 100
TTL_S = 3600


def issue(system: System) -> str:
    """The text of a new token; raises StepFailed."""
    with requests.Session() as session:
        session.trust_env = False  # both programs run on this machine: use no proxy
        session.headers["Authorization"] = f"Bearer {system.api_key}"
        wanted = {"owner": USER, "max_credits": CREDITS, "ttl_s": TTL_S}
        response = session.post(f"{system.url}/v1/tokens", json=wanted, timeout=30)
    if response.status_code != requests.codes.created:
        raise StepFailed(f"POST /v1/tokens returned {response.status_code}: {response.text[:500]}")
    return str(response.json()["token"])


def described(system: System) -> str:
    """The token and what it may do, or why there is none; the system itself runs and can be inspected."""
    try:
        return f"{issue(system)}\n           for pages of the user `{USER}`: {CREDITS} credits, an hour"
    except (StepFailed, requests.RequestException) as error:
        return f"none: {error}"
