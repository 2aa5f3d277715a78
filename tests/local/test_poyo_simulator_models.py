"""The simulated PoYo sells every model of the catalogue: it validates, prices and draws by its entry."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests

from imagetasks.poyo.custom_size import custom_size
from imagetasks.poyo.model_catalog import Model, models
from imagetasks.poyo.model_facts import drift
from imagetasks.poyo.pricing import Price
from local.poyo_simulator.background_server import in_background
from local.poyo_simulator.charges import charge
from local.poyo_simulator.image_size import image_size
from tests.local.simulator_client import INSTANT, SimulatorClient

FLARE = "gpt-image-2.5-flare"
IMAGE = "https://images.example.com/cottage.png"
EXAMPLES = [
    pytest.param(each, example, id=f"{each.model_id}-{n}")
    for each in models().values()
    for n, example in enumerate(each.examples)
]


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with in_background(INSTANT, seed="7") as found:
        yield found


@pytest.fixture
def poyo(origin: str) -> Iterator[SimulatorClient]:
    poyo = SimulatorClient(origin)
    yield poyo
    poyo.control("POST", "reset")


@pytest.mark.parametrize(("model", "example"), EXAMPLES)
def test_example_is_charged_as_priced_and_drawn_as_ordered(
    poyo: SimulatorClient, model: Model, example: dict[str, Any]
) -> None:
    price = model.price(example)

    task_id = poyo.submit_task(model=model.model_id, **example)
    poyo.wait_for(task_id)
    images = poyo.images(task_id)

    charged = Decimal(str(poyo.task_status(task_id)["credits_amount"]))
    assert charged == price.credits if price.exact else 0 < charged <= price.credits
    assert Decimal(str(poyo.balance())) == 10_000 - charged
    assert len(images) == model.images(example)
    assert {each.format for each in images} == {(model.output_format(example) or "png").upper()}
    size = custom_size(example.get("size"))
    assert len({each.size for each in images}) == 1
    assert size is None or images[0].size == size


@pytest.mark.parametrize(
    ("given", "status", "kind"),
    [
        ({"quality": "ultra"}, 400, "validation_error"),
        ({"output_format": "gif"}, 400, "validation_error"),
        ({"size": "auto", "resolution": "2K"}, 400, "validation_error"),
        ({"background": "transparent", "output_format": "jpeg"}, 400, "validation_error"),
        ({"mask_url": IMAGE}, 400, "validation_error"),
        ({"mask_url": "data:image/png;base64,AA", "image_urls": [IMAGE]}, 400, "file_format_error"),
        ({"prompt": "x" * 32_001}, 400, "content_too_long_error"),
        ({"model": "seedream-4", "n": 16}, 400, "validation_error"),
        ({"model": "z-image"}, 400, "validation_error"),
        ({"model": "gpt-image-3"}, 404, "resource_not_found_error"),
    ],
)
def test_values_that_a_model_does_not_allow_are_refused_without_a_charge(
    poyo: SimulatorClient, given: dict[str, Any], status: int, kind: str
) -> None:
    response = poyo.submit(**{"model": FLARE, **given})

    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert poyo.balance() == 10_000


def test_fields_of_another_model_are_dropped_and_charged(poyo: SimulatorClient) -> None:
    task_id = poyo.submit_task(output_format="webp", n=3, background="transparent")
    task = poyo.wait_for(task_id)

    [image] = poyo.images(task_id)

    assert task["sent"] == {"prompt": "A lighthouse"}
    assert (image.format, image.mode) == ("PNG", "RGB")
    assert poyo.balance() == 9_998


def test_a_task_shows_what_was_sent_and_the_defaults_that_apply(poyo: SimulatorClient) -> None:
    task = poyo.wait_for(poyo.submit_task(model=FLARE, size="3:2", image_urls=[], mask_url=None))

    assert task["sent"] == {"prompt": "A lighthouse", "size": "3:2"}
    assert task["input"] == {
        "prompt": "A lighthouse",
        "size": "3:2",
        "quality": "high",
        "resolution": "1K",
        "background": "auto",
        "output_format": "png",
    }


@pytest.mark.parametrize("output_format", ["png", "webp"])
def test_a_transparent_background_has_alpha(poyo: SimulatorClient, output_format: str) -> None:
    given = {"background": "transparent", "output_format": output_format, "quality": "low"}
    task_id = poyo.submit_task(model=FLARE, **given)
    poyo.wait_for(task_id)

    [image] = poyo.images(task_id)

    assert image.mode == "RGBA"
    assert image.getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert image.getpixel((512, 512))[3] == 255  # type: ignore[index]


@pytest.mark.parametrize("background", ["auto", "opaque"])
def test_another_background_has_no_alpha(poyo: SimulatorClient, background: str) -> None:
    task_id = poyo.submit_task(model=FLARE, background=background, quality="low")
    poyo.wait_for(task_id)

    assert [each.mode for each in poyo.images(task_id)] == ["RGB"]


def test_each_of_several_images_is_another_one(poyo: SimulatorClient) -> None:
    task_id = poyo.submit_task(model="gpt-4o-image", size="3:2", n=4)
    task = poyo.wait_for(task_id)

    bodies = [requests.get(each["file_url"], timeout=10).content for each in task["files"]]

    assert [each["file_url"] for each in task["files"]] == [
        each["file_url"] for each in poyo.task_status(task_id)["files"]
    ]
    assert [len(each) for each in bodies] == [each["bytes"] for each in task["files"]]
    assert len(set(bodies)) == 4
    assert task["file_reads"] == 0
    assert poyo.task(task_id)["file_reads"] == 4


def test_a_file_that_is_not_one_of_the_task_is_not_found(poyo: SimulatorClient) -> None:
    task_id = poyo.submit_task(model="gpt-4o-image", n=2)
    poyo.wait_for(task_id)
    folder = f"{poyo.origin}/files/{task_id}"

    names = [f"{task_id}-2.png", f"{task_id}-1.webp", task_id]

    assert [requests.get(f"{folder}/{name}", timeout=10).status_code for name in names] == [404] * 3


@pytest.mark.parametrize(
    ("model_id", "given", "size"),
    [
        (FLARE, {}, (1024, 1024)),
        (FLARE, {"size": "9:16"}, (864, 1536)),
        (FLARE, {"size": "1:1", "resolution": "4K"}, (2880, 2880)),
        (FLARE, {"size": "16:9", "resolution": "4K"}, (3840, 2160)),
        ("gpt-image-2", {"size": "1:1", "resolution": "4K"}, (2048, 2048)),
        ("gpt-image-1.5", {"size": "1024x1536"}, (1024, 1536)),
        ("wan-2.7-image", {"size": {"width": 1536, "height": 512}}, (1536, 512)),
        ("seedream-4", {}, (2048, 2048)),
        ("seedream-4.5", {"size": "4K"}, (4096, 4096)),
        ("seedream-4.5", {"size": {"width": 9999, "height": 9999}}, (4096, 4096)),
        ("grok-imagine-image-2.0", {"aspect_ratio": "16:9"}, (1360, 768)),
        ("nano-banana-2-official", {"size": "8:1", "resolution": "0.5K"}, (1456, 176)),
        ("flux-dev", {"size": "1000x700"}, (1000, 700)),
    ],
)
def test_size_follows_ratio_and_resolution_or_is_the_custom_one(
    model_id: str, given: dict[str, Any], size: tuple[int, int]
) -> None:
    model = models()[model_id]

    assert image_size(model, model.effective({"prompt": "A lighthouse", **given})) == size


def test_a_bound_is_charged_in_part_by_the_seed_and_an_exact_price_in_full() -> None:
    bound = Price(Decimal("8.48"), exact=False)
    charges = {charge(bound, seed) for seed in range(200)}

    assert charge(bound, 3) == charge(bound, 3)
    assert len(charges) > 20
    assert min(charges) >= Decimal("4.24")
    assert max(charges) <= Decimal("8.48")
    assert charge(Price(Decimal("0.01"), exact=False), 1) == Decimal("0.01")
    assert {charge(Price(Decimal(2), exact=True), seed) for seed in range(20)} == {2}


def test_the_catalog_has_the_facts_that_the_bundled_models_were_made_from(
    poyo: SimulatorClient,
) -> None:
    url = f"{poyo.origin}/v1/catalog/models"
    page = requests.get(url, params={"limit": 100}, timeout=10).json()["data"]
    capped = requests.get(url, params={"limit": 1000}, timeout=10).json()["data"]

    assert (page["has_more"], page["next_cursor"]) == (False, None)
    assert drift(models(), page["items"]) == {}
    assert len(capped["items"]) == min(100, len(page["items"]))
    assert all({"title", "description", "output_schema"} <= each.keys() for each in page["items"])


def test_a_changed_catalog_changes_what_is_sold(poyo: SimulatorClient) -> None:
    changes = {
        "gpt-4o-image": None,
        "z-image": {"billing": {"credits": 3}},
        "painter-1": {
            "input_schema": {"properties": {"prompt": {"type": "string"}}},
            "billing": {"credits": 7},
        },
        "wan-2.7-image": {"billing": {"formula": "credits * 2"}},
    }

    poyo.control("PUT", "catalog", changes)

    assert poyo.submit(model="gpt-4o-image").status_code == 404
    assert poyo.submit(model="wan-2.7-image").status_code == 404
    for model, charged in (("z-image", 3), ("painter-1", 7)):
        task_id = poyo.submit_task(model=model, size="1:1")
        assert poyo.wait_for(task_id)["credits"] == charged
    page = requests.get(f"{poyo.origin}/v1/catalog/models?limit=100", timeout=10).json()["data"]
    assert drift(models(), page["items"]) == {
        "gpt-4o-image": "gone",
        "painter-1": "new",
        "wan-2.7-image": "billing",
        "z-image": "billing",
    }
    poyo.control("POST", "reset")
    assert poyo.submit(model="gpt-4o-image").status_code == 200


def test_a_change_of_the_catalog_must_be_an_object(poyo: SimulatorClient) -> None:
    assert poyo.control("PUT", "catalog", [])["code"] == 400
