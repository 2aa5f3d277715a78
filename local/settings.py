"""What `make run` can be told: read from the environment and `.env`, checked, then never changed."""

import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

HOST = "127.0.0.1"
SIMULATOR_KEY = "sk-local-poyo"  # opens the simulated PoYo, nothing else

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]+)?")  # as in the template's CorsOrigins
_NAME = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


class BadSetting(Exception):
    """A setting that cannot be used; the text names it, what was wrong, and what is allowed."""

    def __init__(self, name: str, wrong: str, allowed: str) -> None:
        super().__init__(f"{name}: {wrong}; allowed: {allowed}")


@dataclass(frozen=True)
class Settings:
    """Where everything listens, who may call, and which PoYo is asked.

    `file_hosts` is None where the template's own default is meant, `callback_hosts` empty;
    `simulated` says whether the simulator is started or somebody else's PoYo is used.
    """

    port: int
    cloud_port: int
    poyo_port: int
    api_key: str
    poyo_base_url: str
    poyo_api_key: str
    public_url: str
    file_hosts: str | None
    callback_hosts: str
    cors_origins: str
    first_look_seconds: int
    demo: bool
    simulated: bool

    @property
    def url(self) -> str:
        """Where the front listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def cloud_url(self) -> str:
        """Where the emulated AWS listens."""
        return f"http://{HOST}:{self.cloud_port}"

    @property
    def upstream_is_here(self) -> bool:
        """Whether PoYo runs on this machine, so that it can ring and costs nothing."""
        return _is_here(self.poyo_base_url)

    @property
    def public_is_here(self) -> bool:
        """Whether only this machine can follow PUBLIC_URL."""
        return _is_here(self.public_url)


def from_environment(environ: Mapping[str, str]) -> Settings:
    """The settings; an empty variable counts as unset. Raises BadSetting."""
    read = _Reader(environ)
    port = read("PORT", "8787", _port)
    cloud_port = read("CLOUD_PORT", "4566", _port)
    poyo_port = read("POYO_PORT", "8790", _port)
    base_url = read("POYO_BASE_URL", "", _url)
    key = read("POYO_API_KEY", "", _key)
    if bool(base_url) != bool(key):
        missing, given = ("POYO_API_KEY", "POYO_BASE_URL")[:: 1 if base_url else -1]
        raise BadSetting(missing, f"missing, while {given} is set", "both, or neither")
    upstream = base_url or f"http://{HOST}:{poyo_port}"
    settings = Settings(
        port=port,
        cloud_port=cloud_port,
        poyo_port=poyo_port,
        api_key=read("API_KEY", "local-server-key", _key),
        poyo_base_url=upstream,
        poyo_api_key=key or SIMULATOR_KEY,
        public_url=read("PUBLIC_URL", f"http://{HOST}:{port}", _url),
        file_hosts=read("DOWNLOAD_HOSTS", _usual_file_hosts(upstream), _file_hosts) or None,
        callback_hosts=read("NOTIFICATION_HOSTS", "", _callback_hosts),
        cors_origins=read("CORS_ORIGINS", "", _cors_origins),
        first_look_seconds=read("FIRST_POLL_SECONDS", "90", _seconds),
        demo=read("DEMO", "1", _switch),
        simulated=not base_url,
    )
    _ports_differ(settings)
    return settings


def ports(settings: Settings) -> dict[str, int]:
    """The ports that will be listened on, by the name of their setting."""
    used = {"PORT": settings.port, "CLOUD_PORT": settings.cloud_port}
    return used | ({"POYO_PORT": settings.poyo_port} if settings.simulated else {})


def check_ports_free(settings: Settings) -> None:
    """Raises BadSetting, with the setting's name and the number, for a port somebody else has."""
    for name, port in ports(settings).items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                wrong = f"port {port} cannot be used ({error.strerror})"
                raise BadSetting(name, wrong, f"a free port, such as {name}={port + 1}") from error


def read_env_file(path: Path) -> dict[str, str]:
    """NAME=value lines of a `.env`, quotes taken off; {} without the file. Raises BadSetting."""
    values: dict[str, str] = {}
    if not path.exists():
        return values
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise BadSetting(f"{path.name} line {number}", "not understood", "NAME=value")
        value = value.strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        values[name.strip()] = value[1:-1] if quoted else value
    return values


def _usual_file_hosts(upstream: str) -> str:
    """A PoYo on this machine serves its files from its own origin, under either name of it."""
    if not _is_here(upstream):
        return ""
    parts = urlsplit(upstream)
    port = f":{parts.port}" if parts.port else ""
    return ",".join(f"{parts.scheme}://{host}{port}" for host in (HOST, "localhost"))


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in (HOST, "localhost")


def _ports_differ(settings: Settings) -> None:
    taken: dict[int, str] = {}
    for name, port in ports(settings).items():
        if port in taken:
            raise BadSetting(name, f"{port} is also {taken[port]}", "three different ports")
        taken[port] = name


@dataclass(frozen=True)
class _Reader:
    environ: Mapping[str, str]

    def __call__[T](self, name: str, usual: str, understand: Callable[[str, str], T]) -> T:
        return understand(name, self.environ.get(name, "").strip() or usual)


def _port(name: str, text: str) -> int:
    return _whole(name, text, 1, 65535)


def _seconds(name: str, text: str) -> int:
    return _whole(name, text, 5, 3600)


def _whole(name: str, text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise BadSetting(name, f"{text!r} is no such number", f"{least} to {most}")
    return int(text)


def _key(name: str, text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text or len(text) > 200:
        raise BadSetting(name, "not a bearer key", "up to 200 visible ASCII characters, no space")
    return text


def _url(name: str, text: str) -> str:
    if text and not _is_origin(text.rstrip("/")):
        raise BadSetting(name, f"{text!r} is no such address", "http(s)://host or host:port")
    return text.rstrip("/")


def _file_hosts(name: str, text: str) -> str:
    hosts = _listed(text)
    for host in hosts:
        if not _NAME.fullmatch(host) and not _is_origin(host):
            allowed = "names (cdn.example.org, *.example.org) and origins, comma between them"
            raise BadSetting(name, f"{host!r} is neither a host name nor an origin", allowed)
    return ",".join(hosts)


def _callback_hosts(name: str, text: str) -> str:
    hosts = _listed(text)
    _file_hosts(name, ",".join(host for host in hosts if host != "*"))
    return ",".join(hosts)


def _cors_origins(name: str, text: str) -> str:
    origins = _listed(text)
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            allowed = "http(s)://host or host:port in lower case, without / at the end; no *"
            raise BadSetting(name, f"{origin!r} is no origin as browsers send it", allowed)
    return ",".join(origins)


def _listed(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _switch(name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise BadSetting(name, f"{text!r} is neither", "0 or 1")
    return text == "1"


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        origin = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and text.lower() == origin
