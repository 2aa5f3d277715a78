"""``GET /v1/catalog/models[/{model}]``: the models and their prices; public."""

import hashlib
import json

from aiohttp import web

from local.poyo_simulator.responses import HttpResponse, PoyoError, invalid, success
from local.poyo_simulator.simulator import SIMULATOR

MAX_PAGE = 100


async def list_models(request: web.Request) -> web.Response:
    return _conditional(request, _page(request))


async def get_model(request: web.Request) -> web.Response:
    item = request.app[SIMULATOR].catalog.find(request.match_info["model"])
    if item is None:
        raise PoyoError(404, "resource_not_found_error", "Model not found")
    return _conditional(request, success(item))


def _page(request: web.Request) -> HttpResponse:
    query = request.query
    items = [
        item
        for item in request.app[SIMULATOR].catalog.items
        if query.get("category", item["category"]) == item["category"]
        and query.get("service_type", item["service_type"]) == item["service_type"]
        and query.get("q", "").lower() in json.dumps(item).lower()
        and all(tag in str(item["tags"]) for tag in query.get("tags", "").split(",") if tag)
    ]
    try:
        start, limit = int(query.get("cursor", "0")), int(query.get("limit", "50"))
    except ValueError as error:
        raise invalid("limit and cursor must be numbers") from error
    end = start + min(MAX_PAGE, max(1, limit))
    more = end < len(items)
    page = {"items": items[start:end], "next_cursor": str(end) if more else None, "has_more": more}
    return success({"schema_version": "1.0", **page})


def _conditional(request: web.Request, content: HttpResponse) -> web.Response:
    """Respond 304 if the request's ``If-None-Match`` is the content's ``ETag``."""
    etag = f'"{hashlib.sha256(json.dumps(content.body).encode()).hexdigest()[:16]}"'
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers={"ETag": etag})
    response = content.send(request)
    response.headers["ETag"] = etag
    return response
