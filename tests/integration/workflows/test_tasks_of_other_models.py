"""Tasks of other models, and of one that is not bundled any more: submitted, settled and charged by what
the task itself holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from imagetasks.poyo import model_catalog
from tests.fixtures.images import VALID_IMAGES
from tests.support.environment import TestEnvironment, new_environment
from tests.support.fakes import finished_response, submit_response, task
from tests.support.lambdas import captured_logs
from tests.support.stored_tasks import put_running

FORMATS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
FACE = f"upload://{'a' * 26}"
RESULT = f"task:{'b' * 26}/1"


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestEnvironment]:
    """An environment in which no model is bundled."""
    monkeypatch.setattr(model_catalog, "models", dict)
    with new_environment() as environment:
        environment.fake_poyo.respond_with("POST", submit_response())
        yield environment


def sent_input(env: TestEnvironment) -> Mapping[str, Any]:
    """The `input` of the last submit."""
    found: Mapping[str, Any] = json.loads(env.fake_poyo.requests[-1].body or b"")["input"]
    return found


@pytest.mark.parametrize("address", [FACE, RESULT])
def test_addresses_are_resolved_at_a_retry_too(env: TestEnvironment, address: str) -> None:
    pointers = ("/input/image_urls/0", "/input/faces/0/url", "/input/mask_url")
    fields = {"image_urls": [address], "faces": [{"url": address}], "mask_url": address}
    image_input: dict[str, Any] = {"prompt": FACE, "strength": 0.25, "n": 2, **fields}
    env.put(task(state="pending", model="gone-1", input=image_input, address_pointers=pointers))

    after = env.reconcile(env.read(task()))

    assert after.state == "running"
    sent = sent_input(env)
    assert (sent["prompt"], sent["strength"], sent["n"]) == (FACE, 0.25, 2)
    urls = [*sent["image_urls"], sent["faces"][0]["url"], sent["mask_url"]]
    assert all(each.startswith("https://") and "Signature=" in each for each in urls)
    assert all((f"/images/{'b' * 26}/1?" in each) is (address == RESULT) for each in urls)
    assert after.input == image_input


@pytest.mark.parametrize("name", ["png", "baseline jpeg", "lossy webp", "webp with alpha"])
def test_result_of_a_model_that_is_gone_is_stored_and_charged(
    env: TestEnvironment, name: str
) -> None:
    content_type, content = VALID_IMAGES[name]
    urls = [f"https://a.poyo.ai/{n}" for n in range(3)]
    env.fake_poyo.respond_with("GET", finished_response(*urls, credits_amount=4.5))
    env.file_host.respond_with(content)
    before = put_running(
        env, model="gone-1", estimated_credits=Decimal(6), credits_exact=False, input={"n": 3}
    )

    with captured_logs() as log:
        after = env.reconcile(before)

    assert (after.state, after.charged_credits) == ("finished", Decimal("4.5"))
    assert [each.content_type for each in after.files] == [content_type] * 3
    assert len({each.key for each in after.files}) == 3
    for image in after.files:
        stored = env.cloud.client("s3").get_object(Bucket=env.cloud.bucket, Key=image.key)
        assert stored["ContentType"] == content_type
        assert stored["ContentDisposition"].endswith(f'.{FORMATS[content_type]}"')
    assert "charge_differs" not in log.getvalue()


@pytest.mark.parametrize("made", [1, 2, 5])
def test_images_that_poyo_made_are_kept_and_charged_whatever_was_ordered(
    env: TestEnvironment, made: int
) -> None:
    urls = [f"https://a.poyo.ai/{n}" for n in range(made)]
    env.fake_poyo.respond_with("GET", finished_response(*urls, credits_amount=2.0 * made))
    before = put_running(env, estimated_credits=Decimal(6), input={"prompt": FACE, "n": 3})

    with captured_logs() as log:
        after = env.reconcile(before)

    assert (after.state, after.charged_credits) == ("finished", Decimal(2 * made))
    assert len({each.key for each in after.files}) == made
    assert ("charge_differs" in log.getvalue()) is (made != 3)


@pytest.mark.parametrize(
    ("exact", "charged", "alarms"),
    [(True, 1.5, True), (True, 2.5, True), (False, 1.5, False), (False, 2.5, True)],
)
def test_charge_below_a_bound_raises_no_alarm(
    env: TestEnvironment, exact: bool, charged: float, alarms: bool
) -> None:
    env.fake_poyo.respond_with("GET", finished_response(credits_amount=charged))

    with captured_logs() as log:
        env.reconcile(put_running(env, model="gone-1", credits_exact=exact))

    assert ("charge_differs" in log.getvalue()) is alarms
