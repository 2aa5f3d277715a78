"""The models that this PoYo sells: its catalogue's items, and what it validates and prices by."""

import json
from collections.abc import Mapping
from typing import Any

from imagetasks.poyo.model_catalog import Model, models, read
from imagetasks.poyo.model_entry import OUTPUT_SCHEMA, model_entry
from local.poyo_simulator.responses import bad_request
from scripts.make_models import CATALOG, Unusable, make, merged, read_overlay

Item = dict[str, Any]
UNKNOWN: Item = {  # what an item has beside what a control request gives
    "service_type": "generate",
    "category": "text2img",
    "description": "",
    "tags": [],
    "input_schema": {"type": "object", "required": ["prompt"]},
    "output_schema": OUTPUT_SCHEMA,
    "examples": [],
    "supported_protocols": ["rest"],
    "execution_mode": "async",
    "supports_streaming": False,
    "supports_callback": True,
    "billing": {},
    "status": "active",
}


class CatalogItems:
    """PoYo's facts with our texts, and the bundled models until the control API changes an item."""

    def __init__(self) -> None:
        facts = json.loads((CATALOG / "facts.json").read_text(encoding="utf-8"))["items"]
        entries = {name: model_entry(each) for name, each in models().items()}
        self.items = [{**entries.get(each["model_id"], {}), **each} for each in facts]
        self.sold: dict[str, Model] = dict(models())

    def find(self, model_id: str) -> Item | None:
        return next((each for each in self.items if each["model_id"] == model_id), None)

    def change(self, patches: object) -> None:
        """Apply a JSON merge patch to each named item; null removes it, and an unknown id adds one.

        A model that cannot be priced is in the catalogue and is not sold.
        """
        if not isinstance(patches, dict):
            raise bad_request("send an object: a model's id, and a merge patch or null for it")
        for name, patch in patches.items():
            found = self.find(name)
            self.items = [each for each in self.items if each is not found]
            self.sold.pop(name, None)
            if patch is not None:
                base = found or UNKNOWN | {"model_id": name, "tool_name": name, "title": name}
                item = merged(base, patch)
                self.items.append(item)
                self.sold |= _usable(item)
        self.items.sort(key=lambda each: str(each["model_id"]))


def _usable(item: Item) -> Mapping[str, Model]:
    try:
        return read(make([item], read_overlay(CATALOG / "overlay")))
    except Unusable:
        return {}
