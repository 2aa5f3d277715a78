"""The settings of `make run`: defaults, validation, and agreement with the template."""

import re
from pathlib import Path

import pytest

from local.cors import LOCALHOST
from local.env_file import read_env_file
from local.setting_parsers import BadSetting
from local.settings import from_environment
from local.stack import parameters
from tests.support.template import template


def test_every_setting_has_a_default() -> None:
    settings = from_environment({})

    assert settings.url == "http://127.0.0.1:8787"
    assert settings.public_url == settings.url
    assert settings.poyo_base_url == "http://127.0.0.1:8790"
    assert settings.download_hosts == "http://127.0.0.1:8790,http://localhost:8790"
    assert settings.simulated
    assert settings.demo


def test_an_empty_variable_counts_as_unset() -> None:
    assert from_environment({"PORT": "", "POYO_BASE_URL": " "}) == from_environment({})


def test_the_real_poyo_uses_the_templates_download_hosts() -> None:
    upstream = {"POYO_BASE_URL": "https://api.poyo.example/", "POYO_API_KEY": "sk-x"}

    settings = from_environment(upstream)

    assert settings.poyo_base_url == "https://api.poyo.example"
    assert settings.download_hosts is None
    assert not settings.simulated
    assert not settings.upstream_is_local


def test_files_may_be_downloaded_from_another_poyo_on_this_machine() -> None:
    upstream = {"POYO_BASE_URL": "http://localhost:9000", "POYO_API_KEY": "sk-x"}

    settings = from_environment(upstream)

    assert settings.download_hosts == "http://127.0.0.1:9000,http://localhost:9000"
    assert settings.upstream_is_local


@pytest.mark.parametrize(
    "hosts", ["cdn.example.org", "*.poyo.ai,cdn.example.org", "http://127.0.0.1:8790"]
)
def test_download_hosts_may_be_names_and_origins(hosts: str) -> None:
    assert from_environment({"DOWNLOAD_HOSTS": hosts}).download_hosts == hosts


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"POYO_API_KEY": "sk-x"}, "POYO_BASE_URL"),
        ({"POYO_BASE_URL": "https://a.example"}, "POYO_API_KEY"),
        ({"PORT": "4566"}, "CLOUD_PORT"),
        ({"PORT": "²"}, "PORT"),
        ({"PUBLIC_URL": "https://user@a.example"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://a.example/path"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://a.example:port"}, "PUBLIC_URL"),
        ({"DOWNLOAD_HOSTS": "cdn.example.org:443"}, "DOWNLOAD_HOSTS"),
        ({"DOWNLOAD_HOSTS": "a b.example"}, "DOWNLOAD_HOSTS"),
        ({"NOTIFICATION_HOSTS": "*,127.0.0.1:9000"}, "NOTIFICATION_HOSTS"),
        ({"NOTIFICATION_HOSTS": "http://127.0.0.1:9000/hook"}, "NOTIFICATION_HOSTS"),
        ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS"),
        ({"CORS_ORIGINS": "localhost,https://a.example"}, "CORS_ORIGINS"),
        ({"REQUESTS_PER_SECOND": "0"}, "REQUESTS_PER_SECOND"),
        ({"MODELS": "gpt-image-2;z-image"}, "MODELS"),
        ({"MODELS": "GPT"}, "MODELS"),
        ({"API_KEY": "ключ"}, "API_KEY"),
    ],
)
def test_an_invalid_setting_is_rejected_by_name(given: dict[str, str], named: str) -> None:
    with pytest.raises(BadSetting, match=f"^{named}: .*; allowed: "):
        from_environment(given)


def test_cors_origins_set_the_templates_parameter() -> None:
    given = {"CORS_ORIGINS": "http://localhost:3000, https://app.example.com,"}

    given_parameters = parameters(from_environment(given))

    assert given_parameters["CorsOrigins"] == "http://localhost:3000,https://app.example.com"
    assert "CorsOrigins" not in parameters(from_environment({"CORS_ORIGINS": "none"}))


def test_pages_of_any_port_of_this_machine_are_allowed_by_default() -> None:
    settings = from_environment({})

    assert settings.cors_origins == LOCALHOST
    assert parameters(settings)["CorsOrigins"] == "http://localhost"


def test_the_throttle_sets_the_templates_parameter() -> None:
    given = parameters(from_environment({"REQUESTS_PER_SECOND": "7"}))

    assert given["RequestsPerSecond"] == "7"
    assert "RequestsPerSecond" not in parameters(from_environment({}))


@pytest.mark.parametrize("models", ["*", "gpt-image-*, z-image", "z-image kling-o1-image-edit"])
def test_models_set_the_templates_parameter(models: str) -> None:
    allowed = re.compile(template()["Parameters"]["Models"]["AllowedPattern"])

    assert parameters(from_environment({"MODELS": models}))["Models"] == models
    assert allowed.fullmatch(models)
    assert "Models" not in parameters(from_environment({}))


@pytest.mark.parametrize(
    "hosts", ["*", "*,http://127.0.0.1:9000", "hooks.example.com,*.example.org"]
)
def test_notification_hosts_set_the_templates_parameter(hosts: str) -> None:
    allowed = re.compile(template()["Parameters"]["NotificationHosts"]["AllowedPattern"])

    given_parameters = parameters(
        from_environment({"NOTIFICATION_HOSTS": hosts.replace(",", " , ")})
    )

    assert given_parameters["NotificationHosts"] == hosts
    assert allowed.fullmatch(hosts)


def test_without_notification_hosts_the_templates_default_applies() -> None:
    assert "NotificationHosts" not in parameters(from_environment({}))


@pytest.mark.parametrize(
    ("origin", "good"),
    [
        ("https://app.example.com", True),
        ("http://127.0.0.1:5173", True),
        ("https://xn--bcher-kva.example", True),
        ("*", False),
        ("https://*.example.com", False),
        ("https://app.example.com/", False),
        ("https://app.example.com/page", False),
        ("https://App.example.com", False),
        ("https://user@app.example.com", False),
        ("https://app.example.com:port", False),
        ("app.example.com", False),
        ("ftp://app.example.com", False),
        ("null", False),
    ],
)
def test_the_template_and_make_run_accept_the_same_origins(origin: str, good: bool) -> None:
    pattern = re.compile(template()["Parameters"]["CorsOrigins"]["AllowedPattern"])

    for origins in (origin, f"https://first.example,{origin}"):
        assert bool(pattern.fullmatch(origins)) is good
        if good:
            assert from_environment({"CORS_ORIGINS": origins}).cors_origins == origins
            continue
        with pytest.raises(BadSetting, match=f"^CORS_ORIGINS: '{re.escape(origin)}'"):
            from_environment({"CORS_ORIGINS": origins})


def test_an_env_file_may_have_comments_quotes_and_export(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# comment\n\nPORT=1000\nexport API_KEY='a=b'\n DEMO = \"0\"\n")

    assert read_env_file(file) == {"PORT": "1000", "API_KEY": "a=b", "DEMO": "0"}
    assert read_env_file(tmp_path / "none") == {}


def test_the_lines_of_the_example_env_file_are_the_defaults() -> None:
    example = Path(__file__).parents[2].joinpath(".env.example")
    lines = [line[1:] for line in example.read_text().splitlines() if line[:2].strip("#").isupper()]
    values = dict(line.split("=", 1) for line in lines)
    upstream = {values.pop("POYO_BASE_URL"), values.pop("POYO_API_KEY")}

    settings = from_environment(values)

    assert upstream == {"https://api.poyo.ai", "sk-…"}
    assert settings.download_hosts == "http://127.0.0.1:8790"
    assert values["NOTIFICATION_HOSTS"] == template()["Parameters"]["NotificationHosts"]["Default"]
    rate = str(template()["Parameters"]["RequestsPerSecond"]["Default"])
    assert values["REQUESTS_PER_SECOND"] == rate
    assert values["MODELS"] == template()["Parameters"]["Models"]["Default"]
    same = {
        "MODELS": values["MODELS"],
        "REQUESTS_PER_SECOND": rate,
        "DOWNLOAD_HOSTS": "http://127.0.0.1:8790",
        "NOTIFICATION_HOSTS": values["NOTIFICATION_HOSTS"],
    }
    assert settings == from_environment(same)


def test_an_invalid_line_of_an_env_file_is_reported_by_number(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=1\nPORT 2\n")

    with pytest.raises(BadSetting, match=r"\.env line 2"):
        read_env_file(file)
