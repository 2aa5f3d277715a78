"""Parses and validates the values of settings; each parser takes the setting's name and its text."""

import re
from urllib.parse import urlsplit

from local.cors import LOCALHOST

NO_ORIGINS = "none"
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]+)?")  # as in the template's CorsOrigins
_MODELS = re.compile(r"[a-z0-9.*-]+((, ?| )[a-z0-9.*-]+)*")  # as in the template's Models
_NAME = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


class BadSetting(Exception):
    """An invalid setting; the message contains its name, the reason, and what is allowed."""

    def __init__(self, name: str, wrong: str, allowed: str) -> None:
        super().__init__(f"{name}: {wrong}; allowed: {allowed}")


def parse_port(name: str, text: str) -> int:
    return _integer(name, text, 1, 65535)


def parse_seconds(name: str, text: str) -> int:
    return _integer(name, text, 5, 3600)


def parse_optional_rate(name: str, text: str) -> int | None:
    return _integer(name, text, 1, 10_000) if text else None


def _integer(name: str, text: str, minimum: int, maximum: int) -> int:
    if not text.isascii() or not text.isdigit() or not minimum <= int(text) <= maximum:
        raise BadSetting(
            name, f"{text!r} is not a whole number in that range", f"{minimum} to {maximum}"
        )
    return int(text)


def parse_models(name: str, text: str) -> str:
    if text and not _MODELS.fullmatch(text):
        raise BadSetting(
            name, f"{text!r} is no list of models", "ids or patterns (gpt-image-*, z-image), or *"
        )
    return text


def parse_key(name: str, text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text or len(text) > 200:
        raise BadSetting(name, "not a bearer key", "up to 200 visible ASCII characters, no space")
    return text


def parse_url(name: str, text: str) -> str:
    if text and not _is_origin(text.rstrip("/")):
        raise BadSetting(name, f"{text!r} is not an origin", "http(s)://host or host:port")
    return text.rstrip("/")


def parse_download_hosts(name: str, text: str) -> str:
    hosts = _split_list(text)
    for host in hosts:
        if not _NAME.fullmatch(host) and not _is_origin(host):
            allowed = "names (cdn.example.org, *.example.org) and origins, separated by commas"
            raise BadSetting(name, f"{host!r} is neither a host name nor an origin", allowed)
    return ",".join(hosts)


def parse_notification_hosts(name: str, text: str) -> str:
    hosts = _split_list(text)
    parse_download_hosts(name, ",".join(host for host in hosts if host != "*"))
    return ",".join(hosts)


def parse_cors_origins(name: str, text: str) -> str:
    if text in (LOCALHOST, NO_ORIGINS):
        return text.removeprefix(NO_ORIGINS)
    origins = _split_list(text)
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            allowed = (
                f"{LOCALHOST} (pages of any port of this machine), {NO_ORIGINS}, or http(s)://host or "
                "host:port in lower case, without a final /; no *"
            )
            raise BadSetting(name, f"{origin!r} is not an origin as browsers send it", allowed)
    return ",".join(origins)


def _split_list(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def parse_switch(name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise BadSetting(name, f"{text!r} is neither of them", "0 or 1")
    return text == "1"


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        origin = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and text.lower() == origin
