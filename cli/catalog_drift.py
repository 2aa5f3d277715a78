"""Checks whether the models that a stack offers are still as PoYo's catalogue says."""

from __future__ import annotations

from collections.abc import Mapping

from cli.findings import OPERATING, Finding, Findings
from cli.stack import Stack
from imagetasks.poyo import transport
from imagetasks.poyo.live_catalog import CatalogUnreadable, live_items
from imagetasks.poyo.model_catalog import allowed, models
from imagetasks.poyo.model_facts import drift

MAX_NAMED = 10


def check_catalog(stack: Stack) -> Findings:
    """Whether `Models` allows any bundled model, and which of them differ from PoYo's catalogue. The
    models are those of this checkout."""
    patterns = stack.parameter("Models")
    offered = allowed(patterns)
    if not offered:
        todo = "deploy with ids or patterns of docs/models.md"
        yield Finding("catalog", f"Models is {patterns}, which is no bundled model", todo)
        return
    try:
        live = live_items(transport.send, stack.parameter("PoyoBaseUrl").rstrip("/"))
    except CatalogUnreadable as error:
        todo = "check PoyoBaseUrl and PoYo's status, then run this again"
        yield Finding("catalog", f"PoYo's catalogue cannot be read: {error}", todo, failed=False)
        return
    found = drift(models(), live)
    yield differing({name: what for name, what in found.items() if name in offered}, len(offered))
    if new := [name for name, what in found.items() if what == "new"]:
        yield Finding("catalog", f"PoYo also sells, not bundled: {_listed(new)}")


def differing(found: Mapping[str, str], offered: int) -> Finding:
    """A warning that names the offered models that differ (id to what), and what to do."""
    if not found:
        return Finding(
            "catalog", f"the {offered} models that orders may name are as PoYo's catalogue says"
        )
    named = _listed([f"{name} ({what})" for name, what in found.items()])
    todo = f"`imagetasks stack catalog refresh`, and CatalogDriftAlarm in {OPERATING}"
    return Finding("catalog", f"differs from PoYo's catalogue: {named}", todo, failed=False)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
