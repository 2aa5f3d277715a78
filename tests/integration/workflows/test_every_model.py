"""Every example of the bundled catalogue, from the order to the stored images, with the simulated PoYo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from imagetasks.poyo.model_catalog import Model, models
from local.poyo_simulator.background_server import in_background
from tests.local.simulator_client import INSTANT, SimulatorClient
from tests.support.emulated_aws import Cloud, aws
from tests.support.fakes import POYO_KEY
from tests.support.lambdas import Context, http_event, invoke, load_handler, request_headers

EXAMPLES = [
    pytest.param(each, example, id=f"{each.model_id}-{n}")
    for each in models().values()
    for n, example in enumerate(each.examples)
]


@dataclass(frozen=True)
class System:
    """The API and the worker, each as after a cold start, and the PoYo that both use."""

    api: ModuleType
    worker: ModuleType
    cloud: Cloud
    poyo: SimulatorClient

    def request(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        content = None if body is None else json.dumps(body)
        event = http_event(method, path, headers=request_headers(**headers), body=content)
        response = invoke(self.api, event)
        assert response.status in (200, 202), response.body
        return response.json

    def reconcile(self, task_id: str) -> None:
        """Let the worker reconcile the task, as a callback would."""
        body = json.dumps({"task_id": task_id, "source": "callback", "poyo_id": None})
        record = {"messageId": "message", "receiptHandle": "handle", "body": body}
        event = {"Records": [{**record, "attributes": {"ApproximateReceiveCount": "1"}}]}
        assert self.worker.handler(event, Context(300_000)) == {"batchItemFailures": []}


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    settings = replace(INSTANT, keys=(POYO_KEY, "sk-local-poyo"))
    with in_background(settings, seed="7") as origin, aws() as cloud:
        environment = {
            "POYO_BASE_URL": origin,
            "DOWNLOAD_HOSTS": origin,
            "MODELS": "*",
            "POYO_SUBMITS_PER_10S": "1000",
        }
        with (
            load_handler("api", cloud, **environment) as api,
            load_handler("worker", cloud, **environment) as worker,
        ):
            yield System(api, worker, cloud, SimulatorClient(origin))


@pytest.mark.parametrize(("model", "example"), EXAMPLES)
def test_example_is_quoted_ordered_stored_and_charged(
    system: System, model: Model, example: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    order = {"model": model.model_id, "input": example}
    price = model.price(example)

    quote = system.request("POST", "/v1/quotes", order)
    task = system.request("POST", "/v1/tasks", order, idempotency_key=request.node.name[-60:])
    task_id = task["task_id"]
    poyo_task = system.poyo.control("GET", "tasks")["tasks"][-1]
    system.poyo.wait_for(poyo_task["task_id"])
    system.reconcile(task_id)
    ended = system.request("GET", f"/v1/tasks/{task_id}")

    assert (Decimal(str(quote["credits"])), quote["exact"]) == (price.credits, price.exact)
    assert ended["status"] == "finished", ended
    sent = system.poyo.task(poyo_task["task_id"])["sent"]
    assert sent == model.present(example)
    assert ended["input"] == model.effective(example)
    charged = Decimal(str(ended["credits"]["charged"]))
    assert charged == price.credits if price.exact else 0 < charged <= price.credits
    assert len(ended["files"]) == model.images(example)
    expected = f"image/{model.output_format(example) or 'png'}"
    assert {each["content_type"] for each in ended["files"]} == {expected}
    drawn = [each["sha256"] for each in system.poyo.task(poyo_task["task_id"])["files"]]
    assert [each["sha256"] for each in ended["files"]] == drawn
    assert len({each["file_url"] for each in ended["files"]}) == len(drawn)
