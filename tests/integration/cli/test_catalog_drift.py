"""The doctor's check of the catalogue: which models differ from PoYo's, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from cli.catalog_drift import check_catalog, differing
from cli.findings import Finding
from cli.stack import Stack
from local.poyo_simulator.background_server import in_background
from tests.support.emulated_aws import Cloud, aws
from tests.support.operator_stack import NAME, create_stack


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with aws() as cloud:
        yield cloud


@pytest.fixture
def poyo() -> Iterator[str]:
    with in_background() as origin:
        yield origin


def change(poyo: str, **patches: Any) -> None:
    named = {name.replace("_", "-"): each for name, each in patches.items()}
    requests.put(f"{poyo}/control/catalog", json=named, timeout=10).raise_for_status()


def check(cloud: Cloud, poyo: str, models: str) -> list[Finding]:
    create_stack(cloud, PoyoBaseUrl=poyo, Models=models)
    return list(check_catalog(Stack(NAME, None)))


def test_unchanged_catalogue_is_in_order(cloud: Cloud, poyo: str) -> None:
    [found] = check(cloud, poyo, "gpt-image-2*")

    assert found.todo == ""
    assert found.message == "the 4 models that orders may name are as PoYo's catalogue says"


def test_models_that_differ_are_named_with_what_to_do(cloud: Cloud, poyo: str) -> None:
    change(poyo, z_image={"billing": {"credits": 3}}, gpt_4o_image=None, wan_3={"billing": {}})

    differ, new = check(cloud, poyo, "z-image, gpt-4o-*")

    assert differ.message == "differs from PoYo's catalogue: gpt-4o-image (gone), z-image (billing)"
    assert "imagetasks stack catalog refresh" in differ.todo
    assert not differ.failed
    assert (new.message, new.todo) == ("PoYo also sells, not bundled: wan-3", "")


def test_models_that_orders_may_not_name_do_not_matter(cloud: Cloud, poyo: str) -> None:
    change(poyo, z_image=None)

    [found] = check(cloud, poyo, "gpt-image-*")

    assert found.todo == ""


def test_unreadable_catalogue_is_a_warning(cloud: Cloud) -> None:
    [found] = check(cloud, "http://127.0.0.1:9", "*")

    assert "cannot be read: no response" in found.message
    assert not found.failed
    assert found.todo


def test_patterns_without_a_bundled_model_fail(cloud: Cloud, poyo: str) -> None:
    [found] = check(cloud, poyo, "gpt-image-9*")

    assert found.failed
    assert "docs/models.md" in found.todo


def test_long_lists_are_cut() -> None:
    found = differing({f"painter-{n:02}": "gone" for n in range(12)}, 12)

    assert found.message.endswith("painter-09 (gone) and 2 more")
