"""The models that this deployment offers for new orders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagetasks.poyo.model_catalog import Model


@dataclass(frozen=True, slots=True)
class OfferedModels:
    """The bundled models whose ids match `patterns`. Only new orders, quotes, tokens and the catalogue
    ask; tasks and replays do not, so that a model may go while its tasks stay."""

    patterns: str

    @classmethod
    def from_env(cls) -> OfferedModels:
        """MODELS: patterns of ids, separated by commas or spaces."""
        return cls(os.environ["MODELS"])

    def by_id(self) -> Mapping[str, Model]:
        """The models by id. The first call of a process reads the file of models."""
        # Not at a cold start: most requests need no model.
        from imagetasks.poyo import model_catalog  # noqa: PLC0415

        return model_catalog.allowed(self.patterns)
