"""Which URLs we may connect to (a guard against server-side request forgery): readable in one way
only, on the allow-list, and resolving to public addresses."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from imagetasks.errors import AddressForbidden
from imagetasks.tasks.host_names import HOST, NUMBER, PRINTABLE

# Characters that parsers remove or read differently: controls, and white space at either end. At the
# end of an address, where it changes nothing, white space of ASCII is removed before.
AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f\\]|\A\s|\s\Z")
# What browsers leave as it is in a path and in a query; they percent-encode the rest as UTF-8
# (https://url.spec.whatwg.org/#percent-encoded-bytes).
PATH_SAFE = "!$%&'()*+,/:;=@[]|~"
QUERY_SAFE = "!$%&()*+,/:;=?@[]^`{|}~"
PORTS: Mapping[str, int] = {"https": 443, "http": 80}
# The whole IPv6 internet. Addresses that wrap an IPv4 address lie outside (mapped, compatible,
# translated, NAT64), or inside and are known to Python (6to4, Teredo): none of them serves files.
IPV6_INTERNET = ipaddress.ip_network("2000::/3")

Resolver = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect. The object that was checked is the object that is used."""

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]


def parse_allow_list(text: str) -> tuple[str, ...]:
    """The entries of a comma-separated allow-list: host names, `*.` and a name, `*`, whole origins."""
    return tuple(entry for each in text.split(",") if (entry := each.strip().lower()))


def resolve_target(url: str, *, hosts: Collection[str], resolve: Resolver) -> Target:
    """The target of `url` with its addresses. Raises AddressForbidden if we may not connect to it."""
    target = parse_target(url, hosts=hosts)
    if target.addresses:
        return target
    addresses = tuple(resolve(target.host, target.port))
    if not addresses or not all(map(is_public_address, addresses)):
        raise AddressForbidden("address_not_public", target.host)
    return replace(target, addresses=addresses)


def parse_target(url: str, *, hosts: Collection[str]) -> Target:
    """The target of `url` without resolving it; only a whole origin has its address already. Raises
    AddressForbidden if we may not connect to it whatever its address is.

    `hosts` has the entries of `parse_allow_list`. A whole origin is exempt from every check below
    it. `*` admits every name, whose addresses must be public like those of any other.
    """
    parts = _split(url)
    origin = f"{parts.scheme}://{parts.netloc.lower()}"
    host, port = cast(str, parts.hostname), parts.port or PORTS[parts.scheme]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if origin in hosts:
        return Target(parts.scheme, host, port, path, (host.strip("[]"),))
    is_name = HOST.fullmatch(host) and "[" not in parts.netloc  # brackets: an address of some kind
    if parts.scheme != "https" or port != 443 or not is_name:
        raise AddressForbidden("forbidden_address", origin)
    if not any(_is_listed(host, entry) for entry in hosts):
        raise AddressForbidden("host_not_listed", host)
    return Target("https", host, 443, path, ())


def is_public_address(address: str) -> bool:
    """Whether `address` is reachable from the whole internet, looking through every wrapping."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        wrapped = parsed.sixtofour or parsed.teredo or parsed.scope_id
        if wrapped or parsed not in IPV6_INTERNET:
            return False
    return parsed.is_global and not parsed.is_multicast


def normalise_url(url: str, *, base: str = "") -> str:
    """`url` as a browser would request it from a page at `base`: absolute and percent-encoded, a
    name with other letters as `xn--…`. It is not checked. Raises AddressForbidden if parsers would
    read `url` differently."""
    url = url.rstrip(" \t\r\n")
    if not url or AMBIGUOUS.search(url):
        raise AddressForbidden("malformed_address")
    try:
        parts = urlsplit(urljoin(base, url))
        return urlunsplit(
            (
                parts.scheme,
                _ascii_netloc(parts.netloc),
                quote(parts.path, PATH_SAFE, errors="surrogateescape"),
                quote(parts.query, QUERY_SAFE, errors="surrogateescape"),
                "",
            )
        )
    except ValueError as error:
        raise AddressForbidden("malformed_address") from error


def resolve_redirect(url: str, location: str) -> str:
    """The normalised URL that the Location header `location` of a response from `url` refers to."""
    # A header's bytes arrive as ISO 8859-1. Those that are no UTF-8 are percent-encoded as they are.
    raw = location.encode("latin-1", "replace")
    return normalise_url(raw.decode(errors="surrogateescape"), base=url)


def _ascii_netloc(netloc: str) -> str:
    """`netloc` with each label of its host in ASCII. Raises ValueError if Unicode maps the name to
    another one, which not every resolver does alike."""
    if netloc.isascii():
        return netloc
    host, colon, port = netloc.lower().partition(":")
    letters = unicodedata.normalize("NFKC", host.casefold()) == host and all(
        each in "-." or unicodedata.category(each)[0] in "LMN" for each in host
    )
    if not letters:
        raise ValueError("the name has other characters than letters")
    labels = (
        each if each.isascii() else f"xn--{each.encode('punycode').decode()}"
        for each in host.split(".")
    )
    return ".".join(labels) + colon + port


def _unambiguous(url: str) -> str:
    """`url`, unless different parsers would read it differently."""
    if not PRINTABLE.fullmatch(url) or "\\" in url:
        raise AddressForbidden("malformed_address")
    return url


def _is_listed(host: str, entry: str) -> bool:
    if entry == "*":
        return not NUMBER.fullmatch(host)
    return host.endswith(entry[1:]) if entry.startswith("*.") else host == entry


def _split(url: str) -> SplitResult:
    """`url` in parts, unless it could be read in two ways."""
    try:
        parts = urlsplit(_unambiguous(url))
        port = parts.port
    except ValueError as error:
        raise AddressForbidden("malformed_address") from error
    if parts.scheme not in PORTS or not parts.hostname or "@" in parts.netloc or port == 0:
        raise AddressForbidden("malformed_address")
    return parts
