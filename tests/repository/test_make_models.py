"""The bundled catalogue: it is what its sources make, and what cannot be validated or priced is refused."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from imagetasks.poyo import model_catalog
from imagetasks.poyo.model_catalog import Model, model, models, read
from scripts import make_models
from scripts.make_models import CATALOG, Unusable, make, merged, read_overlay, unused
from scripts.schema_checks import FORMS

FACTS: list[dict[str, Any]] = json.loads((CATALOG / "facts.json").read_text())["items"]
ITEM: dict[str, Any] = {
    "model_id": "painter-1",
    "category": "text2img",
    "title": "PoYo's words",
    "description": "PoYo's words",
    "input_schema": {
        "type": "object",
        "required": ["prompt"],
        "description": "PoYo's words",
        "properties": {
            "prompt": {"type": "string", "example": "PoYo's words"},
            "resolution": {"type": "string", "enum": ["1K", "2K"], "default": "1K"},
            "n": {"type": "integer", "default": 1},
            "seed": {"type": "integer"},
            "note": {"type": "string"},
            "description": {"type": "boolean", "description": "PoYo's words"},
            "image_urls": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "format": "uri"},
            },
        },
    },
    "examples": [{"prompt": "PoYo's words"}],
    "billing": {
        "type": "tiered",
        "formula": "resolution_credits[resolution]",
        "resolution_credits": {"1K": 1.25, "2K": 2},
        "credits": None,
        "display": "PoYo's words",
    },
}


def item(**patch: Any) -> dict[str, Any]:
    """The invented model with changes (a JSON merge patch)."""
    changed: dict[str, Any] = merged(copy.deepcopy(ITEM), patch)
    return changed


def field(name: str, **schema: Any) -> dict[str, Any]:
    """The invented model with one field changed or added."""
    return item(input_schema={"properties": {name: schema}})


TIMED = {"seconds": 5, "source": "measured"}


def ours(**overlay: Any) -> dict[str, dict[str, Any]]:
    return {"painter-1": overlay}


def test_bundled_file_is_what_its_sources_make() -> None:
    assert make(FACTS, read_overlay(CATALOG / "overlay")) == model_catalog.FILE.read_text()


def test_every_model_is_described_in_our_words_and_nothing_else_is() -> None:
    overlay = read_overlay(CATALOG / "overlay")

    assert list(unused(overlay, FACTS)) == []
    assert set(overlay) == {each["model_id"] for each in FACTS}
    assert all({"title", "description", "examples"} <= each.keys() for each in overlay.values())
    titles = [each["title"] for each in overlay.values()]
    assert len(set(titles)) == len(titles)


def test_facts_have_no_texts_of_poyo() -> None:
    text = (CATALOG / "facts.json").read_text()

    assert [word for word in ("description", "example", "title", "display") if word in text] == []


@pytest.mark.parametrize("each", models().values(), ids=lambda each: each.model_id)
def test_schemas_are_valid_json_schemas_that_allow_the_examples(each: Model) -> None:
    Draft202012Validator.check_schema(each.input_schema)
    for example in each.examples:
        assert Draft202012Validator(each.input_schema).is_valid(example)


def test_new_model_needs_no_words_of_ours_and_gets_none_of_poyo() -> None:
    text = make([ITEM], {})
    painter = read(text)["painter-1"]

    assert "PoYo's words" not in text
    assert painter.title == "painter-1"
    assert painter.examples == [{"prompt": "A lighthouse at dusk"}]
    assert painter.prompt_max == 20_000
    assert painter.fields["n"] == {"type": "integer", "default": 1, "minimum": 1, "maximum": 4}
    assert painter.fields["seed"]["maximum"] == 2_147_483_647
    assert painter.fields["note"]["maxLength"] == 5_000
    assert painter.fields["description"] == {"type": "boolean"}
    assert painter.references == (0, 16)
    assert list(painter.fields)[:4] == ["prompt", "resolution", "n", "image_urls"]
    assert painter.errors({"prompt": "x", "unknown": 1})


def test_models_that_make_no_images_are_left_out() -> None:
    chat = {"model_id": "chat-1", "category": "chat", "input_schema": {"allOf": []}, "billing": {}}

    assert set(read(make([ITEM, chat], {}))) == {"painter-1"}


def test_overlay_corrects_facts_and_removes_what_is_null() -> None:
    overlay = ours(
        title="Painter",
        input={"properties": {"seed": None, "n": {"maximum": 2}}},
        billing={"resolution_credits": {"2K": 3}},
        rules={"charged_each": True},
    )

    painter = read(make([ITEM], overlay))["painter-1"]

    assert painter.title == "Painter"
    assert "seed" not in painter.fields
    assert painter.fields["n"]["maximum"] == 2
    assert painter.price({"prompt": "x", "resolution": "2K", "n": 2}).credits == 6


@pytest.mark.parametrize(
    ("changed", "overlay", "reason"),
    [
        (item(input_schema={"allOf": [{}]}), {}, "its schema has the unknown keyword allOf"),
        (field("seed", multipleOf=2), {}, "/seed has the unknown keyword multipleOf"),
        (field("note", format="date"), {}, "/note has the unknown format date"),
        (field("note", type="text"), {}, "/note has the unknown type text"),
        (field("note", pattern="^a+$"), {}, "/note has the pattern ^a+$ without a title"),
        (field("note", pattern="(", title="t"), {}, "which is no regular expression"),
        (field("note", pattern="^(a+)+$", title="t"), {}, "whose time is not bounded"),
        (field("resolution", default="8K"), {}, "the default 8K, which it does not allow"),
        (field("n", default=0), {}, "the default 0, which it does not allow"),
        (field("n", default=True), {}, "the default True, which it does not allow"),
        (field("share", type="number"), {}, "/share has no maximum, so that it is not bounded"),
        (field("list", type="array"), {}, "/list has no items, so that it is not bounded"),
        (field("box", type="object", additionalProperties={}), {}, "additionalProperties in an"),
        (field("style"), {}, "its schema has no type for style, so that it is not bounded"),
        (field("style", oneOf=[{"enum": [1]}, {"minLength": 1}]), {}, "has no type for style"),
        (field("list", type="array", maxItems=2, items={}), {}, "/list has no type for items"),
        (field("list", type="array", enum=[["a"]]), {}, "/list has no items, so that it is not"),
        (
            field("image_urls", type="string", format="uri", items=None),
            {},
            "image_urls is no array",
        ),
        (field("prompt", type="integer"), {}, "its prompt is no string"),
        (field("n", enum=[1, -1]), {}, "its n may be less than 1"),
        (field("n", minimum=0), {}, "its n may be less than 1"),
        (field("n", maximum=17), {}, "its n may be more than 16, the images that are kept"),
        (field("n", enum=[1, 20]), {}, "its n may be more than 16"),
        (item(input_schema={"required": ["prompt", "size"]}), {}, "requires size, which is no"),
        (item(input_schema={"properties": {"prompt": None}, "required": []}), {}, "no prompt"),
        (item(input_schema={"required": ["n"]}), {}, "no prompt that every order must have"),
        (item(billing={"formula": "credits * 2"}), {}, "unknown formula: credits * 2"),
        (item(billing={"credits": 5}), {}, "does not use `credits`"),
        (item(billing={"formula": None}), {}, "the formula credits needs `credits`"),
        (item(billing={"formula": None, "credits": 5}), {}, "does not use `resolution_credits`"),
        (field("resolution", enum=None), {}, "by resolution, whose values are not known"),
        (field("resolution", enum=["1K", ""]), {}, "painter-1:  has no price"),
        (
            item(
                billing={
                    "formula": "price_table[quality][billable_resolution]",
                    "resolution_credits": None,
                    "price_table": {"low": {"1K": 1, "2K": 2}},
                }
            ),
            {},
            "by a billable resolution, and no rule says which that is",
        ),
        (
            item(
                billing={
                    "formula": "output_megapixels * number_of_images * 4",
                    "resolution_credits": None,
                    "credits_per_unit": 4,
                }
            ),
            {},
            "by megapixels, and its size may be another than one in pixels",
        ),
        (item(billing={"addon_credits": {"hd": 2}}), {}, "unknown key addon_credits"),
        (item(billing={"output_images": 4}), {}, "its billing is of several images"),
        (item(billing={"resolution_credits": {"2K": None}}), {}, "2K has no price"),
        (item(billing={"resolution_credits": {"2K": "2"}}), {}, "has '2', which is no number"),
        (item(billing={"input_image_credits": -1}), {}, "has -1, which is less than 0"),
        (item(billing={"input_image_credits": True}), {}, "has True, which is no number"),
        (item(billing={"resolution_credits": {"2K": 0}}), {}, "2K has the price 0"),
        (item(billing={"resolution_credits": {"2K": -1}}), {}, "has -1, which is less than 0"),
        (ITEM, ours(examples=[{"prompt": 7}]), "its example is not valid: /input/prompt"),
        (ITEM, ours(examples=[{"prompt": "x", "style": "ink"}]), "/input/style unknown field"),
        (ITEM, ours(rules={"checks": [{"rule": "no_such"}]}), "the unknown rule no_such"),
        (ITEM, ours(rules={"checks": [{"rule": "only_with", "field": "seed"}]}), "parameters"),
        (
            ITEM,
            ours(rules={"checks": [{"rule": "only_with", "field": "mask", "with": "seed"}]}),
            "names mask, which is no field of it",
        ),
        (ITEM, ours(rules={"exec": "x"}), "its rules have the unknown key exec"),
        (ITEM, ours(rules={"billed_resolution": {"auto": "1K"}}), "its billed resolution has"),
        (item(model_id="Painter 1"), {}, "its id has unknown characters"),
        (ITEM, ours(timing={"seconds": 5}), "or no source"),
        (ITEM, ours(timing=TIMED | {"per": "image"}), "its timing has other keys"),
        (ITEM, ours(timing=TIMED | {"seconds": "5"}), "has '5', which is no number of seconds"),
        (ITEM, ours(timing=TIMED | {"seconds": 0}), "has 0, which is no number of seconds"),
        (ITEM, ours(timing=TIMED | {"seconds": {"2K": 5}}), "which is no number of seconds"),
        (
            ITEM,
            ours(timing=TIMED | {"by": ["resolution"], "seconds": {"8K": 5}}),
            "its timing names 8K, which is no resolution of it",
        ),
        (ITEM, ours(timing=TIMED | {"by": ["seed"], "seconds": {"7": 5}}), "names 7, which is no"),
        (ITEM, ours(timing=TIMED | {"by": ["resolution"]}), "it has an unexpected form"),
    ],
    ids=itertools.count(),
)
def test_model_that_could_not_be_validated_or_priced_stops_the_catalogue(
    changed: dict[str, Any], overlay: dict[str, dict[str, Any]], reason: str
) -> None:
    with pytest.raises(Unusable) as error:
        make([changed], overlay)

    assert str(error.value).startswith(f"{changed['model_id']}: ")
    assert reason in str(error.value)


@pytest.mark.parametrize("keyword", sorted(FORMS))
def test_keyword_in_an_unexpected_form_stops_the_catalogue(keyword: str) -> None:
    values: list[Any] = ["x", [[]], [7], {"x": 7}]
    for value in values:
        if type(value) in FORMS[keyword]:
            continue
        for name in ("note", "seed", "image_urls"):
            with pytest.raises(Unusable):
                make([field(name, **{keyword: value})], {})


def test_two_models_with_one_id_stop_the_catalogue() -> None:
    with pytest.raises(Unusable, match=r"^painter-1: there are two models with this id$"):
        make([ITEM, ITEM], {})


def test_model_that_is_described_twice_stops_the_catalogue(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        tmp_path.joinpath(name).write_text('{"models": {"painter-1": {}}}')

    with pytest.raises(Unusable, match=r"^painter-1: it is described twice, again in b\.json$"):
        read_overlay(tmp_path)


def test_family_shares_and_its_editors_and_models_differ(tmp_path: Path) -> None:
    family = {
        "shared": {"title": "T", "input": {"properties": {"n": None, "size": {"default": "1:1"}}}},
        "edit": {"input": {"required": ["image_urls"]}},
        "models": {"a": {}, "a-edit": {"title": "E"}},
    }
    tmp_path.joinpath("a.json").write_text(json.dumps(family))

    overlay = read_overlay(tmp_path)

    assert overlay["a"] == family["shared"]
    assert overlay["a-edit"]["title"] == "E"
    assert overlay["a-edit"]["input"] == {
        "properties": {"n": None, "size": {"default": "1:1"}},
        "required": ["image_urls"],
    }


def test_refresh_from_the_catalogue_of_poyo_keeps_our_words_and_takes_its_prices() -> None:
    live = copy.deepcopy(next(each for each in FACTS if each["model_id"] == "gpt-image-2"))
    live["title"] = live["description"] = "PoYo's words"
    live["billing"]["price_table"]["low"]["1K"] = 1.75
    live["billing"]["credits"] = live["billing"]["input_credits"] = None

    renewed = read(make([live], read_overlay(CATALOG / "overlay")))["gpt-image-2"]

    assert str(renewed.price({"prompt": "x"}).credits) == "1.75"
    assert renewed.title == "GPT Image 2"
    assert renewed.input_schema == model("gpt-image-2").input_schema


def test_command_compares_and_says_what_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["make_models", "--check"])
    assert make_models.main() == 0

    monkeypatch.setattr(make_models, "CATALOG", tmp_path)
    tmp_path.joinpath("overlay").mkdir()
    tmp_path.joinpath("facts.json").write_text(json.dumps({"items": [ITEM]}))
    assert make_models.main() == 1
    assert "models.json is not up to date" in capsys.readouterr().err

    tmp_path.joinpath("facts.json").write_text(json.dumps({"items": [ITEM, ITEM]}))
    assert make_models.main() == 1
    assert "two models with this id" in capsys.readouterr().err
