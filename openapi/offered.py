"""The models of which the document tells: those that the template offers unless it is told others. A
deployment that offers others puts them in their place (see imagetasks.api.contract)."""

from __future__ import annotations

from imagetasks.poyo.model_catalog import allowed

DEFAULT = "gpt-image-*"  # of the template's parameter `Models`
MODELS = allowed(DEFAULT)
