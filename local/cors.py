"""CORS as API Gateway applies it: which pages may call the API, and the headers that tell browsers so."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LOCALHOST = "localhost"  # the setting's value for every page of this machine, on any port
LOCALHOST_ORIGINS = tuple(
    f"{scheme}://{host}{port}"
    for scheme in ("http", "https")
    for host in ("localhost", "127.0.0.1", "[::1]")
    for port in ("", ":*")
)
PREFLIGHT = "access-control-request-method"  # every preflight request has this header


@dataclass(frozen=True)
class Cors:
    """`CorsConfiguration` of an HTTP API. In an origin, `:*` stands for any port."""

    origins: Sequence[str]
    preflight: Mapping[str, str]
    exposed: str

    @classmethod
    def from_json(cls, text: str) -> "Cors":
        """The CORS that `to_json` describes."""
        rules: dict[str, Any] = json.loads(text)
        preflight = {
            "Access-Control-Allow-Methods": ",".join(rules.get("AllowMethods", [])),
            "Access-Control-Allow-Headers": ",".join(rules.get("AllowHeaders", [])),
            "Access-Control-Max-Age": str(rules.get("MaxAge", "")),
        }
        given = {name: value for name, value in preflight.items() if value}
        return cls(rules["AllowOrigins"], given, ",".join(rules.get("ExposeHeaders", [])))

    def headers(self, origin: str) -> dict[str, str]:
        """The headers of a response to a page of `origin`; none if the page is not allowed."""
        if not any(re.fullmatch(_pattern(each), origin) for each in self.origins):
            return {}
        headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        return headers | ({"Access-Control-Expose-Headers": self.exposed} if self.exposed else {})

    def preflight_headers(self, origin: str) -> dict[str, str]:
        """The headers of the response to a preflight; none if the page is not allowed."""
        headers = self.headers(origin)
        return headers | dict(self.preflight) if headers else {}


def to_json(rules: Mapping[str, Any], setting: str) -> str:
    """The template's `CorsConfiguration` as a program's argument. The setting `localhost` replaces its
    origins, because a template's parameter cannot say *any port*."""
    origins = {"AllowOrigins": list(LOCALHOST_ORIGINS)} if setting == LOCALHOST else {}
    return json.dumps({**rules, **origins})


def _pattern(origin: str) -> str:
    return re.escape(origin.removesuffix(":*")) + (
        "" if origin == origin.removesuffix(":*") else r":\d+"
    )
