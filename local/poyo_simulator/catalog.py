"""``GET /v1/catalog/models[/{model}]``: the models and their prices; public."""

import hashlib
import json

from aiohttp import web

from local.poyo_simulator.billing import CREDITS, RATIOS, RESOLUTIONS
from local.poyo_simulator.orders import MAX_PROMPT_CHARS, MODELS, Model
from local.poyo_simulator.responses import HttpResponse, PoyoError, invalid, success


async def list_models(request: web.Request) -> web.Response:
    return _conditional(request, _page(request))


async def get_model(request: web.Request) -> web.Response:
    known = MODELS.get(request.match_info["model"])
    if known is None:
        raise PoyoError(404, "resource_not_found_error", "Model not found")
    return _conditional(request, success(_item(known)))


def _page(request: web.Request) -> HttpResponse:
    query = request.query
    items = [
        item
        for item in map(_item, MODELS.values())
        if query.get("category", item["category"]) == item["category"]
        and query.get("service_type", item["service_type"]) == item["service_type"]
        and query.get("q", "").lower() in json.dumps(item).lower()
        and all(tag in str(item["tags"]) for tag in query.get("tags", "").split(",") if tag)
    ]
    try:
        start, limit = int(query.get("cursor", "0")), int(query.get("limit", "50"))
    except ValueError as error:
        raise invalid("limit and cursor must be numbers") from error
    end = start + max(1, limit)
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


def _item(known: Model) -> dict[str, object]:
    return {
        "model_id": known.name,
        "tool_name": known.name.replace("-", "_"),
        "service_type": "generate",
        "category": "image",
        "title": known.title,
        "description": f"{known.title}: one PNG for one prompt.",
        "tags": ["image-to-image" if known.min_images else "text-to-image"],
        "input_schema": _input_schema(known),
        "output_schema": {"type": "object", "properties": {"files": {"type": "array"}}},
        "examples": [{"prompt": "A lighthouse at dusk", "size": "3:2", "quality": "low"}],
        "supported_protocols": ["rest"],
        "execution_mode": "async",
        "supports_streaming": False,
        "supports_callback": True,
        "billing": {
            "unit": "credit",
            "usd_per_credit": 0.005,
            "credits": {
                quality: {name: float(price) for name, price in row.items()}
                for quality, row in CREDITS.items()
            },
        },
        "status": "active",
    }


def _input_schema(known: Model) -> dict[str, object]:
    sizes = f"auto, {', '.join(RATIOS)} or WIDTHxHEIGHT"
    images = {
        "type": "array",
        "items": {"type": "string", "format": "uri"},
        "minItems": known.min_images,
        "maxItems": known.max_images,
    }
    return {
        "type": "object",
        "required": ["prompt", "image_urls"] if known.min_images else ["prompt"],
        "properties": {
            "prompt": {"type": "string", "maxLength": MAX_PROMPT_CHARS},
            "quality": {"type": "string", "enum": list(CREDITS), "default": "low"},
            "size": {"type": "string", "default": "auto", "description": sizes},
            "resolution": {"type": "string", "enum": list(RESOLUTIONS), "default": "1K"},
            "image_urls": images,
        },
    }
