"""PoYo's own catalogue, read page by page. It is public, and no order waits for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from imagetasks.errors import RequestNotSent, ResponseLost
from imagetasks.poyo.answer import SUCCESS, Answer, read
from imagetasks.poyo.model_facts import Item, is_image_model

if TYPE_CHECKING:
    from imagetasks.poyo.client import Transport

PATH = "/v1/catalog/models"
PAGE_MODELS = (
    50  # so that a page with long schemas and texts stays below the transport's limit of 1 MiB
)
MAX_PAGES = 20
READ_S = 10.0
ID = re.compile(r"[!-~]{1,128}")
HEADERS = {"Accept": "application/json", "User-Agent": "imagetasks/1"}


class CatalogUnreadable(Exception):
    """PoYo's catalogue cannot be read, or is not what it is documented to be; the message says why."""


def live_items(send: Transport, base_url: str) -> list[Item]:
    """All models of PoYo's catalogue at `base_url`. At most `MAX_PAGES` requests without a key, each of
    which ends within 13 seconds. Raises CatalogUnreadable."""
    items: list[Item] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = _page(send, base_url, cursor)
        items += checked_items(page)
        cursor = str(page.get("next_cursor") or "")
        if not page.get("has_more") or not cursor:
            return items
    raise CatalogUnreadable(f"it has more than {MAX_PAGES} pages")


def checked_items(page: Any) -> Iterator[Item]:
    """The models of a page, of which those of images have what they are compared by. Raises
    CatalogUnreadable."""
    items = page.get("items") if isinstance(page, dict) else page
    if not isinstance(items, list):
        raise CatalogUnreadable("it has no list of models")
    for item in items:
        model_id = item.get("model_id") if isinstance(item, dict) else None
        if not isinstance(model_id, str) or not ID.fullmatch(model_id):
            raise CatalogUnreadable("it has a model without a usable id")
        if is_image_model(item):
            for name in ("input_schema", "billing"):
                if not isinstance(item.get(name), dict):
                    raise CatalogUnreadable(f"{model_id} has no {name}")
            _require_text(model_id, item)
        yield item


def _require_text(model_id: str, item: Item) -> None:
    """Raise CatalogUnreadable if a text of the model has half of a surrogate pair: no file can have that."""
    try:
        json.dumps(item, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise CatalogUnreadable(f"{model_id} has a text that is not Unicode") from error


def _page(send: Transport, base_url: str, cursor: str | None) -> Mapping[str, Any]:
    query = urlencode({"limit": PAGE_MODELS} | ({"cursor": cursor} if cursor else {}))
    try:
        response = send(
            "GET", f"{base_url}{PATH}?{query}", headers=HEADERS, body=None, read_s=READ_S
        )
    except (RequestNotSent, ResponseLost) as error:
        raise CatalogUnreadable(f"no response: {error}") from error
    answer: Answer = read(response.status, response.body)
    if answer.code != SUCCESS or not answer.data:
        raise CatalogUnreadable(
            f"the response is {answer.code or answer.http}, without a catalogue"
        )
    return answer.data
