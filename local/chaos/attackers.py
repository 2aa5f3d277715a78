"""Strangers at every door: no key, a wrong key, another customer's key, forged callbacks."""

import hashlib
import json
import random
from typing import Any
from urllib.parse import urlsplit

from local.chaos.run import Placed, Run

CLOSED = (401, 404)
EVERY_S = 0.5
AT_THE_END = 30  # tasks, of many


def admit_other_customer(run: Run) -> None:
    """Give the second customer a server key, as an operator would."""
    secrets, arn = run.system.client("secretsmanager"), run.system.outputs["ApiSecretArn"]
    values = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    values["server_keys"]["other"] = hashlib.sha256(run.other_key.encode()).hexdigest()
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(values))


def other_customer_is_known(run: Run) -> bool:
    """Whether the second key opens its owner's own doors: else its refusals would prove nothing."""
    headers = {"Idempotency-Key": "bad-order"}
    answer = run.call("POST", "/v1/tasks", key=run.other_key, headers=headers, json={})
    return answer is not None and answer.status_code == 422


def prowl(run: Run) -> None:
    """Try one order after the other while there is load; for a thread of its own."""
    dice = random.Random(f"strangers {run.options.seed}")  # noqa: S311  # to be repeated
    while not run.over.wait(EVERY_S):
        known = [placed for placed in run.orders if placed.task_ids]
        if known:
            _try_doors(run, dice.choice(known), run.poyo("GET", "log?kind=submit")["events"])


def try_all(run: Run) -> list[str]:
    """Every door of many tasks once more, now that nothing moves: what changed by it."""
    submits = run.poyo("GET", "log?kind=submit")["events"]
    known = [placed for placed in run.orders if placed.task_ids][
        : AT_THE_END if len(run.orders) > AT_THE_END else AT_THE_END // 4
    ]
    before = {placed.task_id: _look(run, placed) for placed in known}
    for placed in known:
        _try_doors(run, placed, submits)
    after = {placed.task_id: _look(run, placed) for placed in known}
    return [task_id for task_id, seen in before.items() if after[task_id] != seen]


def _try_doors(run: Run, placed: Placed, submits: list[dict[str, Any]]) -> None:
    path = f"/v1/tasks/{placed.task_id}"
    for key in (None, "wrong-key", run.other_key):
        _try(run, "GET", path, key)
        _try(run, "GET", f"{path}/files/0", key)
    others = [event["callback_url"] for event in submits if event["callback_url"]]
    urls = [url for url in others if f"/{placed.task_id}/" in url]
    another = [url.rsplit("/", 1)[1] for url in others if f"/{placed.task_id}/" not in url]
    for url in urls[:1]:
        for forged in _forgeries(urlsplit(url).path, another):
            _try(run, "POST", forged, None, json={"task_id": "A" * 16, "status": "failed"})


def _forgeries(path: str, others: list[str]) -> list[str]:
    """Paths that are nearly the callback's: every one of them belongs to nobody."""
    door, mac = path.rsplit("/", 1)
    flipped = ("A" if mac[0] != "A" else "B") + mac[1:]
    unknown = path.replace("/poyo/k1/", "/poyo/k2/")
    named = path.replace("/poyo/k1/", "/poyo/current/")
    borrowed = [f"{door}/{others[0]}"] if others else []
    return [f"{door}/{flipped}", f"{door}/{mac[:-1]}", unknown, named, *borrowed]


def _try(run: Run, method: str, path: str, key: str | None, **more: Any) -> None:
    run.strangers += 1
    answer = run.call(method, path, key=key, what="stranger", **more)
    if answer is not None and answer.status_code < 500 and answer.status_code not in CLOSED:
        run.let_in.append(f"{method} {path.rsplit('/', 1)[0]}/… answered {answer.status_code}")


def _look(run: Run, placed: Placed) -> Any:
    answer = run.call("GET", f"/v1/tasks/{placed.task_id}", key=run.system.api_key)
    if answer is None or not answer.ok:
        return None
    return {name: answer.json()[name] for name in ("status", "error", "files", "credits")}
