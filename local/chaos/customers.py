"""Customers: each order with its own key, some sent twice at once, some again after a lost answer."""

import http.client
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from local.chaos.run import Placed, Run

AT_ONCE = 4  # customers; more only wait for each other on two cores
TRIES = 12
MANNERS = ("once", "once", "once", "twice at once", "answer lost", "again")


def load(run: Run) -> None:
    """Place every order, several at once, each until somebody says what became of it."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="customer") as customers:
        for placing in [customers.submit(_order, run, placed) for placed in run.orders]:
            placing.result()


def _order(run: Run, placed: Placed) -> None:
    dice = random.Random(f"manners {run.options.seed} {placed.n}")  # noqa: S311  # to be repeated
    manner = dice.choice(MANNERS)
    placed.began = time.monotonic()
    if manner == "answer lost":
        _walk_away(run, placed, dice.uniform(0, 0.5))
    others = [threading.Thread(target=_insist, args=(run, placed))] if "twice" in manner else []
    for other in others:
        other.start()
    _insist(run, placed)
    for other in others:
        other.join()
    if manner == "again":
        _insist(run, placed)
    placed.over = time.monotonic()


def _insist(run: Run, placed: Placed) -> None:
    """Send it with the same key until the answer names the task, which may have failed already."""
    for attempt in range(TRIES):
        answer = run.call(
            "POST",
            "/v1/tasks",
            key=run.system.api_key,
            what="POST order",
            kind=placed.kind.name,
            headers={"Idempotency-Key": placed.key},
            json=_body(placed),
        )
        told = _told(answer.content) if answer is not None else {}
        if "task_id" in told:
            placed.task_ids.add(str(told["task_id"]))
            return
        time.sleep(min(2.0, 0.2 * 2**attempt))


def _walk_away(run: Run, placed: Placed, after_s: float) -> None:
    """Send the order and hang up without having read the answer."""
    line = http.client.HTTPConnection(urlsplit(run.system.url).netloc, timeout=5)
    headers = {
        "Authorization": f"Bearer {run.system.api_key}",
        "Idempotency-Key": placed.key,
        "Content-Type": "application/json",
    }
    try:
        line.request("POST", "/v1/tasks", json.dumps(_body(placed)), headers)
        time.sleep(after_s)
    except OSError:
        return  # the front was down just then: nothing was sent
    finally:
        line.close()


def _body(placed: Placed) -> dict[str, object]:
    wish = {"prompt": placed.prompt, "quality": "low", "size": "1:1", "resolution": "1K"}
    return {"model": "gpt-image-2", "input": wish}


def _told(content: bytes) -> dict[str, object]:
    try:
        told = json.loads(content)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
