"""An id of another seller is refused with the offered model that is nearest to it."""

from __future__ import annotations

import pytest

from imagetasks.poyo.meant_model import meant_model
from imagetasks.poyo.model_catalog import allowed, models

OFFERED = allowed("gpt-image-*")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gpt-image-1", "gpt-image-1-official"),
        ("dall-e-3", "gpt-image-2"),
        ("dall-e-2", "gpt-image-2"),
        ("openai/gpt-image-2", "gpt-image-2"),
        ("GPT-Image-2", "gpt-image-2"),
        ("gpt-image-2-2026-04-21", "gpt-image-2"),
        ("gpt-image-2.5", "gpt-image-2.5-flare"),
        ("gpt-image-1-mini", "gpt-image-1-official"),
        ("chatgpt-image-latest", "gpt-image-2"),
        ("gpt-image-2-edit-2026-04-21", "gpt-image-2-edit"),
        ("gpt-image", "gpt-image-2"),
    ],
)
def test_nearest_offered_model_is_named(name: str, meant: str) -> None:
    assert meant_model(name, OFFERED) == meant


@pytest.mark.parametrize(
    "name", ["", "/", "painter", "nano-banana", "z-image", "dall-e", "x" * 100_000, "\u0130"]
)
def test_name_that_is_like_none_means_none(name: str) -> None:
    assert meant_model(name, OFFERED) is None


def test_only_offered_models_are_named() -> None:
    assert meant_model("dall-e-3", allowed("flux-*")) is None
    assert meant_model("dall-e-3", {}) is None
    assert meant_model("nano-banana", models()) == "nano-banana"
