"""The drift function: every day it counts the allowed models that differ from PoYo's catalogue."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from imagetasks.poyo.model_catalog import allowed
from local.poyo_simulator.background_server import in_background
from tests.support.emulated_aws import Cloud, aws
from tests.support.lambdas import Context, captured_logs, load_handler

CHANGES: dict[str, Any] = {
    "gpt-image-2": None,
    "gpt-image-2.5-flare": {"billing": {"price_table": {"1K": {"low": 1.5}}}},
    "gpt-image-3": {"billing": {"credits": 1}},
    "z-image": {"billing": {"credits": 3}},
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with aws() as cloud:
        yield cloud


@pytest.fixture
def poyo() -> Iterator[str]:
    with in_background() as origin:
        yield origin


def change(poyo: str) -> None:
    requests.put(f"{poyo}/control/catalog", json=CHANGES, timeout=10).raise_for_status()


def run(cloud: Cloud, poyo: str, models: str) -> tuple[Any, list[dict[str, Any]]]:
    """What the handler returns, and what it logs."""
    environment = {"POYO_BASE_URL": poyo, "COMPARED_MODELS": models}
    with load_handler("drift", cloud, **environment) as module, captured_logs() as logs:
        result = module.handler({}, Context())
    return result, lines(logs)


def lines(logs: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in logs.getvalue().splitlines()]


def metric(output: str) -> float | None:
    """The last value of the metric that the alarm reads, from what the function printed."""
    found = [json.loads(line) for line in output.splitlines() if '"CatalogDrift"' in line]
    return found[-1]["CatalogDrift"][0] if found else None


def test_unchanged_catalogue_counts_none(
    cloud: Cloud, poyo: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result, logged = run(cloud, poyo, "*")

    assert result == {"differing": 0}
    assert metric(capsys.readouterr().out) == 0
    assert [each["message"] for each in logged] == ["catalog_compared"]
    assert logged[0]["compared"] == len(allowed("*"))


def test_allowed_models_that_differ_are_named_and_counted(
    cloud: Cloud, poyo: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(poyo)

    result, logged = run(cloud, poyo, "gpt-image-*")

    assert result == {"differing": 2}
    assert metric(capsys.readouterr().out) == 2
    warned = [(each["model"], each["difference"]) for each in logged if "model" in each]
    assert warned == [("gpt-image-2", "gone"), ("gpt-image-2.5-flare", "billing")]
    assert {each["level"] for each in logged if "model" in each} == {"WARNING"}


@pytest.mark.parametrize(("models", "count"), [("*", 3), ("z-image", 1), ("kling-*", 0)])
def test_only_the_allowed_models_count(cloud: Cloud, poyo: str, models: str, count: int) -> None:
    change(poyo)

    assert run(cloud, poyo, models)[0] == {"differing": count}


def test_catalogue_that_cannot_be_read_is_a_log_line_and_no_metric(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    result, logged = run(cloud, "http://127.0.0.1:9", "*")

    assert result == {"differing": None}
    assert metric(capsys.readouterr().out) is None
    assert [(each["level"], each["message"]) for each in logged] == [
        ("WARNING", "catalog_unreadable")
    ]
    assert "no response" in logged[0]["reason"]
