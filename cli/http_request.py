"""One HTTP request from outside, as the commands send it to the API and to PoYo."""

from __future__ import annotations

from collections.abc import Mapping

import requests

from imagetasks.poyo.transport import HttpResponse

TIMEOUT_S = (5, 35)  # connect, read; API Gateway itself answers within 30 s


def fetch(method: str, url: str, headers: Mapping[str, str] | None = None) -> HttpResponse | str:
    """The response, or the name of the exception if there was none."""
    try:
        response = requests.request(
            method,
            url,
            headers={"User-Agent": "imagetasks/1", **(headers or {})},
            auth=lambda request: request,  # keeps requests from sending credentials of a .netrc
            timeout=TIMEOUT_S,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        return type(error).__name__
    return HttpResponse(response.status_code, response.content)
