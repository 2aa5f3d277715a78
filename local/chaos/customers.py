"""The load: customers who place orders, some twice at once, some again after a lost response."""

import http.client
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from local.chaos.run import PlacedOrder, Run

CUSTOMERS = 4  # at once; on two cores more customers only wait for each other
MAX_ATTEMPTS = 12
BEHAVIOURS = ("once", "once", "once", "twice at once", "response lost", "again")


def load(run: Run) -> None:
    """Place every order, several at once, each until a response contains its task id."""
    with ThreadPoolExecutor(CUSTOMERS, thread_name_prefix="customer") as customers:
        for future in [customers.submit(_order, run, placed) for placed in run.orders]:
            future.result()


def _order(run: Run, placed: PlacedOrder) -> None:
    rng = random.Random(f"behaviour {run.options.seed} {placed.n}")  # noqa: S311  # repeatable
    behaviour = rng.choice(BEHAVIOURS)
    placed.began = time.monotonic()
    if behaviour == "response lost":
        _send_and_disconnect(run, placed, rng.uniform(0, 0.5))
    others = [threading.Thread(target=_place, args=(run, placed))] if "twice" in behaviour else []
    for other in others:
        other.start()
    _place(run, placed)
    for other in others:
        other.join()
    if behaviour == "again":
        _place(run, placed)
    placed.over = time.monotonic()


def _place(run: Run, placed: PlacedOrder) -> None:
    """Send the order with the same key until a response contains its task id.

    The task in that response may have failed already.
    """
    for attempt in range(MAX_ATTEMPTS):
        response = run.call(
            "POST",
            "/v1/tasks",
            key=run.system.api_key,
            what="POST order",
            scenario=placed.scenario.name,
            headers={"Idempotency-Key": placed.key},
            json=_body(placed),
        )
        body = _parse(response.content) if response is not None else {}
        if "task_id" in body:
            placed.task_ids.add(str(body["task_id"]))
            return
        time.sleep(min(2.0, 0.2 * 2**attempt))


def _send_and_disconnect(run: Run, placed: PlacedOrder, after_s: float) -> None:
    """Send the order and close the connection without reading the response."""
    connection = http.client.HTTPConnection(urlsplit(run.system.url).netloc, timeout=5)
    headers = {
        "Authorization": f"Bearer {run.system.api_key}",
        "Idempotency-Key": placed.key,
        "Content-Type": "application/json",
    }
    try:
        connection.request("POST", "/v1/tasks", json.dumps(_body(placed)), headers)
        time.sleep(after_s)
    except OSError:
        return  # the gateway was down at that moment: nothing was sent
    finally:
        connection.close()


def _body(placed: PlacedOrder) -> dict[str, object]:
    order = {"prompt": placed.prompt, "quality": "low", "size": "1:1", "resolution": "1K"}
    return {"model": "gpt-image-2", "input": order}


def _parse(content: bytes) -> dict[str, object]:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
