"""Orders of every bundled model, of one that a test invents, and what becomes of tasks whose model is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
import requests

from imagetasks.poyo import model_catalog
from imagetasks.poyo.model_catalog import FILE, allowed, models, read
from tests.fixtures.images import HTML, png
from tests.support.api import Api, assert_problem, loaded_api
from tests.support.fakes import PROMPT
from tests.support.template import template

FLARE = "gpt-image-2.5-flare"
DEFAULT = "gpt-image-*"
IMAGE = "https://example.com/a.png"
INVENTED = "acme-painter-1"


@pytest.fixture
def api() -> Iterator[Api]:
    """A deployment that offers every bundled model."""
    with loaded_api(MODELS="*") as api:
        yield api


def order(model: str, **image_input: object) -> dict[str, Any]:
    return {"model": model, "input": {"prompt": PROMPT, **image_input}}


def sent_input(api: Api) -> dict[str, Any]:
    """The `input` of the last order that PoYo got."""
    body = json.loads(api.poyo.requests[-1].partition(b"\r\n\r\n")[2])
    found: dict[str, Any] = body["input"]
    return found


def errors(api: Api, body: Mapping[str, Any]) -> dict[str, str]:
    problem = assert_problem(api.create(body, idempotency_key="wrong"), 422, "invalid_order")
    return {each["pointer"]: each["detail"] for each in problem["errors"]}


def upload(api: Api, content: bytes = b"") -> str:
    """The `file_url` of a new upload."""
    created = api.request("POST", "/v1/uploads", {"content_type": "image/png"}).json
    key = created["upload"]["fields"]["key"]
    s3 = api.cloud.client("s3")
    s3.put_object(Bucket=api.cloud.bucket, Key=key, Body=content or png())
    return str(created["file_url"])


# All bundled models


@pytest.mark.parametrize("name", models())
def test_every_example_is_quoted_ordered_and_shown(api: Api, name: str) -> None:
    model = models()[name]
    for n, example in enumerate(model.examples):
        body = {"model": name, "input": example}
        quoted = api.request("POST", "/v1/quotes", body)
        placed = api.create(body, idempotency_key=str(n))

        assert (quoted.status, placed.status) == (200, 202), placed.body
        assert sent_input(api) == model.present(example)
        assert placed.json["input"] == model.effective(example)
        price = model.price(example)
        assert quoted.json["credits"] == placed.json["credits"]["estimated"]
        assert Decimal(str(quoted.json["credits"])) == price.credits
        assert quoted.json["exact"] == placed.json["credits"]["exact"] == price.exact
        assert quoted.json["billed_resolution"] == model.billed_resolution(example)
        assert api.get(f"/v1/tasks/{placed.json['task_id']}").json == placed.json
        assert api.create(body, idempotency_key=str(n)).headers["idempotent-replayed"] == "true"
    tasks = [each for each in api.cloud.items() if each["pk"]["S"].startswith("task#")]
    assert len(tasks) == len(model.examples)


def test_deployment_accepts_the_models_that_it_offers_and_no_others() -> None:
    assert template()["Parameters"]["Models"]["Default"] == DEFAULT
    with loaded_api() as api:
        found = errors(api, order("z-image", size="1:1"))
        assert found == {"/model": f"must be one of {', '.join(allowed(DEFAULT))}"}
        assert api.create(order(FLARE)).status == 202
        token = {"owner": "ann", "max_credits": 5}
        for names, status in (([FLARE, "gpt-image-2"], 201), (["z-image"], 422), (["gpt"], 422)):
            assert api.request("POST", "/v1/tokens", token | {"models": names}).status == status


def test_deployment_that_offers_every_model_names_none_in_an_error(api: Api) -> None:
    expected = f"must be one of the {len(models())} models that GET /v1/catalog/models lists"

    assert errors(api, order("dall-e")) == {"/model": expected}
    assert api.create(order("z-image", size="1:1")).status == 202
    token = {"owner": "ann", "max_credits": 5, "models": list(models())[:50]}
    assert api.request("POST", "/v1/tokens", token).status == 201


def test_deployment_whose_patterns_match_no_model_offers_none_and_says_so() -> None:
    with loaded_api(MODELS="painter-*") as api:
        assert errors(api, order("gpt-image-2")) == {
            "/model": "must be a model that this service offers, and it offers none"
        }
        assert api.get("/v1/catalog/models").json["data"]["items"] == []


def test_wrong_types_and_broken_rules_are_told_together(api: Api) -> None:
    found = errors(
        api, order(FLARE, quality=7, size="auto", resolution="4K", mask_url="ftp://x", n=1)
    )

    assert set(found) == {f"/input/{each}" for each in ("quality", "size", "mask_url", "n")}


# Money


def test_several_images_reserve_the_most_that_they_can_cost(api: Api) -> None:
    one, three = order("gpt-image-1.5"), order("gpt-image-1.5", n=3)

    assert api.create(one, idempotency_key="one").json["credits"] == {
        "estimated": 2,
        "exact": True,
        "charged": None,
    }
    placed = api.create(three, idempotency_key="three").json
    assert placed["credits"] == {"estimated": 6, "exact": False, "charged": None}
    usage = api.get("/v1/usage").json["rows"]
    assert sum(each["reserved"] for each in usage) == 8


def test_limit_below_a_bound_refuses_the_order(api: Api) -> None:
    assert errors(api, order("gpt-image-1.5", n=3) | {"max_credits": 5.99}) == {
        "/max_credits": "this order may cost up to 6 credits"
    }
    assert api.create(order("gpt-image-1.5", n=3) | {"max_credits": 6}).status == 202


def test_every_image_of_a_task_has_a_link_of_its_own(api: Api) -> None:
    finished = api.put_finished(images=15, model="seedream-4", input={"prompt": PROMPT, "n": 15})

    shown = api.get(f"/v1/tasks/{finished.task_id}").json
    urls = [each["file_url"] for each in shown["files"]]

    assert shown["input"] == {"prompt": PROMPT, "n": 15}
    assert len(set(urls)) == 15
    for url in urls:
        assert api.request("GET", url.removeprefix("https://img.example"), key=None).status == 302
    assert (
        api.create(order("gpt-image-2-edit", image_urls=urls), idempotency_key="edit").status == 202
    )


# Masks


def test_mask_is_sent_to_poyo_as_a_presigned_url(api: Api) -> None:
    mask, image = upload(api), upload(api)
    placed = api.create(order(FLARE, image_urls=[IMAGE, image], mask_url=mask))

    assert placed.status == 202, placed.body
    assert placed.json["input"]["mask_url"] == mask
    sent = sent_input(api)
    assert sent["image_urls"][0] == IMAGE
    for url in (sent["mask_url"], sent["image_urls"][1]):
        assert "X-Amz-Expires=3600" in url
        assert requests.get(url, timeout=5).content == png()


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/quotes", "/api/generate/submit"])
def test_mask_that_is_no_image_is_refused_by_its_pointer(api: Api, path: str) -> None:
    for mask in (upload(api, HTML), f"upload://{'a' * 26}", "http://a.example/m", "data:,"):
        body = order(FLARE, image_urls=[IMAGE], mask_url=mask)
        refused = api.request("POST", path, body, idempotency_key=mask[:4])

        assert refused.status == (400 if path.startswith("/api") else 422)
        assert "/input/mask_url" in refused.body
        if path.startswith("/api"):
            assert refused.json["error"]["type"] == "file_format_error"
    assert api.submit_count() == 0


def test_addresses_in_objects_are_checked_and_resolved_too(api: Api) -> None:
    name = "kling-o1-image-edit"
    face = upload(api)
    element = {"frontal_image_url": face, "reference_image_urls": [IMAGE]}
    body = order(name, image_urls=[IMAGE], elements=[element])
    if errors_now := models()[name].errors(body["input"]):
        pytest.fail(str(errors_now))

    assert api.create(body).status == 202
    assert "X-Amz-Expires" in sent_input(api)["elements"][0]["frontal_image_url"]
    element["reference_image_urls"] = ["http://a.example/x"]
    refused = assert_problem(api.create(body, idempotency_key="other"), 422, "invalid_order")
    assert refused["errors"][0]["pointer"] == "/input/elements/0/reference_image_urls/0"


# A model by data alone, and a model that is gone


def invented() -> str:
    """A file of models with one that does not exist."""
    bundled = json.loads(FILE.read_text(encoding="utf-8"))
    item = {
        **bundled["items"][0],
        "model_id": INVENTED,
        "title": "Acme Painter",
        "input_schema": {
            "type": "object",
            "required": ["prompt"],
            "additionalProperties": False,
            "properties": {
                "prompt": {"type": "string", "minLength": 1, "maxLength": 100},
                "style": {"type": "string", "enum": ["ink", "oil"], "default": "ink"},
                "strength": {"type": "number", "minimum": 0, "maximum": 1},
                "n": {"type": "integer", "minimum": 1, "maximum": 2, "default": 1},
            },
        },
        "examples": [{"prompt": "A fox"}],
        "billing": {"formula": "number_of_images * credits", "credits": 1.5},
        "rules": {},
    }
    return json.dumps({**bundled, "items": [item]})


def test_model_is_added_by_data_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    text = invented()
    monkeypatch.setattr(model_catalog, "models", lambda: read(text))
    body = order(INVENTED, strength=0.25, n=2)
    with loaded_api(MODELS="acme-*") as api:
        placed = api.create(body)
        assert placed.status == 202, placed.body
        assert placed.json["credits"] == {"estimated": 3, "exact": True, "charged": None}
        shown = {"prompt": PROMPT, "style": "ink", "strength": 0.25, "n": 2}
        assert placed.json["input"] == shown
        assert api.get(f"/v1/tasks/{placed.json['task_id']}").json["input"] == shown
        assert sent_input(api) == body["input"]
        assert set(errors(api, order(INVENTED, style="wax", strength=2))) == {
            "/input/style",
            "/input/strength",
        }
        [listed] = api.get("/v1/catalog/models").json["data"]["items"]
        assert (listed["model_id"], listed["title"]) == (INVENTED, "Acme Painter")
        contract = api.get("/openapi.json").json["components"]["schemas"]
        assert contract["TaskRequest"]["properties"]["model"]["enum"] == [INVENTED]


def test_task_of_a_model_that_is_gone_is_shown_and_listed_but_not_ordered_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = order(FLARE, resolution="2K")
    before = api.create(body).json
    monkeypatch.setattr(model_catalog, "models", dict)

    again = api.create(body)
    assert (again.status, again.json) == (200, before)
    assert api.get(f"/v1/tasks/{before['task_id']}").json == before
    assert api.get("/v1/tasks").json["tasks"] == [before]
    assert api.get(f"/api/generate/status/{before['task_id']}").status == 200
    assert before["input"]["quality"] == "high"
    assert [each["model"] for each in api.get("/v1/usage").json["rows"]] == [FLARE]
    assert_problem(api.create(body, idempotency_key="other"), 422, "invalid_order")
    assert_problem(api.request("POST", "/v1/quotes", body), 422, "invalid_order")
    assert api.request("DELETE", f"/v1/tasks/{before['task_id']}").status == 204


def test_task_keeps_the_defaults_and_the_price_of_its_day(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = api.create(order("gpt-image-2", resolution="2K")).json
    text = FILE.read_text(encoding="utf-8").replace('"default":"low"', '"default":"high"')
    later = read(text)
    assert later["gpt-image-2"].price({"prompt": PROMPT}).credits != Decimal(2)
    monkeypatch.setattr(model_catalog, "models", lambda: later)

    assert api.get(f"/v1/tasks/{before['task_id']}").json == before
    assert before["input"]["quality"] == "low"
    assert before["warnings"] == [
        {
            "pointer": "/input/resolution",
            "detail": "PoYo makes and bills this size at 1K, not at 2K",
        }
    ]


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/quotes"])
@pytest.mark.parametrize(
    ("body", "pointer", "meant"),
    [
        (order("dall-e-3"), "/model", "gpt-image-2"),
        (order("openai/gpt-image-2"), "/model", "gpt-image-2"),
        (order("gpt-image-2", size="1024x1024"), "/input/size", "size 1:1 and resolution 1K"),
        (
            order("gpt-image-2", resolution="1792x1024"),
            "/input/resolution",
            "size 16:9 and resolution 1K",
        ),
    ],
)
def test_order_in_the_spelling_of_openai_is_told_what_is_meant(
    api: Api, path: str, body: Mapping[str, Any], pointer: str, meant: str
) -> None:
    response = api.request("POST", path, body, idempotency_key="openai")

    [error] = assert_problem(response, 422, "invalid_order")["errors"]
    assert error["pointer"] == pointer
    assert error["detail"].endswith(f"; did you mean {meant}?")
    assert api.poyo.requests == []
