"""The settings of `make run`: read from the environment and `.env`, validated, then immutable."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from local import setting_parsers
from local.cors import LOCALHOST
from local.setting_parsers import BadSetting

HOST = "127.0.0.1"
SIMULATOR_KEY = "sk-local-poyo"  # valid only for the simulated PoYo


@dataclass(frozen=True)
class Settings:
    """The ports, the keys, the PoYo in use, and the allowed hosts and origins.

    `download_hosts` None, and `notification_hosts` or `models` empty, mean the template's own default.
    `poyo_submits_per_10s` and `requests_per_second` None mean it too; tests that do not test the limits
    raise them. `cors_origins` is `localhost` for pages of any port of this machine, empty for none.
    `simulated` is true if the simulator is started, false if another PoYo is used.
    """

    port: int
    cloud_port: int
    poyo_port: int
    api_key: str
    poyo_base_url: str
    poyo_api_key: str
    public_url: str
    download_hosts: str | None
    notification_hosts: str
    cors_origins: str
    first_poll_seconds: int
    demo: bool
    simulated: bool
    poyo_submits_per_10s: int | None = None
    requests_per_second: int | None = None
    models: str = ""

    @property
    def url(self) -> str:
        """The URL of the gateway."""
        return f"http://{HOST}:{self.port}"

    @property
    def cloud_url(self) -> str:
        """The URL of the emulated AWS."""
        return f"http://{HOST}:{self.cloud_port}"

    @property
    def upstream_is_local(self) -> bool:
        """Whether PoYo runs on this machine, so that its callbacks arrive and it costs nothing."""
        return _is_local(self.poyo_base_url)

    @property
    def public_url_is_local(self) -> bool:
        """Whether only this machine can reach PUBLIC_URL."""
        return _is_local(self.public_url)


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Read the settings; an empty variable counts as unset. Raises BadSetting."""
    read = _Reader(environ)
    port = read("PORT", "8787", setting_parsers.parse_port)
    cloud_port = read("CLOUD_PORT", "4566", setting_parsers.parse_port)
    poyo_port = read("POYO_PORT", "8790", setting_parsers.parse_port)
    base_url = read("POYO_BASE_URL", "", setting_parsers.parse_url)
    key = read("POYO_API_KEY", "", setting_parsers.parse_key)
    if bool(base_url) != bool(key):
        missing, given = ("POYO_API_KEY", "POYO_BASE_URL")[:: 1 if base_url else -1]
        raise BadSetting(missing, f"missing, while {given} is set", "both, or neither")
    upstream = base_url or f"http://{HOST}:{poyo_port}"
    settings = Settings(
        port=port,
        cloud_port=cloud_port,
        poyo_port=poyo_port,
        api_key=read("API_KEY", "local-server-key", setting_parsers.parse_key),
        poyo_base_url=upstream,
        poyo_api_key=key or SIMULATOR_KEY,
        public_url=read("PUBLIC_URL", f"http://{HOST}:{port}", setting_parsers.parse_url),
        download_hosts=read(
            "DOWNLOAD_HOSTS",
            _default_download_hosts(upstream),
            setting_parsers.parse_download_hosts,
        )
        or None,
        notification_hosts=read("NOTIFICATION_HOSTS", "", setting_parsers.parse_notification_hosts),
        cors_origins=read("CORS_ORIGINS", LOCALHOST, setting_parsers.parse_cors_origins),
        first_poll_seconds=read("FIRST_POLL_SECONDS", "90", setting_parsers.parse_seconds),
        demo=read("DEMO", "1", setting_parsers.parse_switch),
        simulated=not base_url,
        requests_per_second=read("REQUESTS_PER_SECOND", "", setting_parsers.parse_optional_rate),
        models=read("MODELS", "", setting_parsers.parse_models),
    )
    _require_different_ports(settings)
    return settings


def ports(settings: Settings) -> dict[str, int]:
    """Return the ports that the system listens on, by the name of their setting."""
    used = {"PORT": settings.port, "CLOUD_PORT": settings.cloud_port}
    return used | ({"POYO_PORT": settings.poyo_port} if settings.simulated else {})


def check_ports_free(settings: Settings) -> None:
    """Raise BadSetting, with the setting's name and the number, for a port in use."""
    for name, port in ports(settings).items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                wrong = f"port {port} cannot be used ({error.strerror})"
                raise BadSetting(name, wrong, f"a free port, such as {name}={port + 1}") from error


def _default_download_hosts(upstream: str) -> str:
    """Return the origins of a PoYo on this machine: it serves its files itself, under both host names."""
    if not _is_local(upstream):
        return ""
    parts = urlsplit(upstream)
    port = f":{parts.port}" if parts.port else ""
    return ",".join(f"{parts.scheme}://{host}{port}" for host in (HOST, "localhost"))


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in (HOST, "localhost")


def _require_different_ports(settings: Settings) -> None:
    used: dict[int, str] = {}
    for name, port in ports(settings).items():
        if port in used:
            raise BadSetting(name, f"{port} is also {used[port]}", "three different ports")
        used[port] = name


@dataclass(frozen=True)
class _Reader:
    environ: Mapping[str, str]

    def __call__[T](self, name: str, default: str, parse: Callable[[str, str], T]) -> T:
        return parse(name, self.environ.get(name, "").strip() or default)
