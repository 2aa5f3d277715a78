"""Attacks on the API: without a key, with a wrong key, with another customer's key, with forged callbacks."""

import hashlib
import json
import random
from typing import Any
from urllib.parse import urlsplit

from local.chaos.run import PlacedOrder, Run

REJECTED = (401, 404)
EVERY_S = 0.5
TASKS_AT_THE_END = 30  # of many


def admit_other_customer(run: Run) -> None:
    """Add a server key for the second customer, as an operator would."""
    secrets, arn = run.system.client("secretsmanager"), run.system.outputs["ApiSecretArn"]
    values = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    values["server_keys"]["other"] = hashlib.sha256(run.other_key.encode()).hexdigest()
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(values))


def other_customer_is_known(run: Run) -> bool:
    """Return whether the second key is valid; with an invalid key its rejections prove nothing."""
    headers = {"Idempotency-Key": "bad-order"}
    response = run.call("POST", "/v1/tasks", key=run.other_key, headers=headers, json={})
    return response is not None and response.status_code == 422


def attack_during_load(run: Run) -> None:
    """Attack one task after the other until the run is over; runs in its own thread."""
    rng = random.Random(f"attacks {run.options.seed}")  # noqa: S311  # repeatable
    while not run.over.wait(EVERY_S):
        known = [placed for placed in run.orders if placed.task_ids]
        if known:
            _attack(run, rng.choice(known), run.poyo("GET", "log?kind=submit")["events"])


def attack_all(run: Run) -> list[str]:
    """Attack many tasks once more after all have ended; returns the tasks that changed."""
    submits = run.poyo("GET", "log?kind=submit")["events"]
    count = TASKS_AT_THE_END if len(run.orders) > TASKS_AT_THE_END else TASKS_AT_THE_END // 4
    known = [placed for placed in run.orders if placed.task_ids][:count]
    before = {placed.task_id: _read(run, placed) for placed in known}
    for placed in known:
        _attack(run, placed, submits)
    after = {placed.task_id: _read(run, placed) for placed in known}
    return [task_id for task_id, task in before.items() if after[task_id] != task]


def _attack(run: Run, placed: PlacedOrder, submits: list[dict[str, Any]]) -> None:
    path = f"/v1/tasks/{placed.task_id}"
    for key in (None, "wrong-key", run.other_key):
        _try(run, "GET", path, key)
        _try(run, "GET", f"{path}/files/0", key)
    urls = [event["callback_url"] for event in submits if event["callback_url"]]
    own = [url for url in urls if f"/{placed.task_id}/" in url]
    other_macs = [url.rsplit("/", 1)[1] for url in urls if f"/{placed.task_id}/" not in url]
    for url in own[:1]:
        for forged in _forged_paths(urlsplit(url).path, other_macs):
            _try(run, "POST", forged, None, json={"task_id": "A" * 16, "status": "failed"})


def _forged_paths(path: str, other_macs: list[str]) -> list[str]:
    """Return invalid paths that differ from the valid callback path in one detail."""
    prefix, mac = path.rsplit("/", 1)
    flipped = ("A" if mac[0] != "A" else "B") + mac[1:]
    unknown_kid = path.replace("/poyo/k1/", "/poyo/k2/")
    kid_current = path.replace("/poyo/k1/", "/poyo/current/")
    other_mac = [f"{prefix}/{other_macs[0]}"] if other_macs else []
    return [f"{prefix}/{flipped}", f"{prefix}/{mac[:-1]}", unknown_kid, kid_current, *other_mac]


def _try(run: Run, method: str, path: str, key: str | None, **more: Any) -> None:
    run.attacks += 1
    response = run.call(method, path, key=key, what="attack", **more)
    if response is not None and response.status_code < 500 and response.status_code not in REJECTED:
        described = f"{method} {path.rsplit('/', 1)[0]}/…"
        run.successful_attacks.append(f"{described} returned {response.status_code}")


def _read(run: Run, placed: PlacedOrder) -> Any:
    response = run.call("GET", f"/v1/tasks/{placed.task_id}", key=run.system.api_key)
    if response is None or not response.ok:
        return None
    return {name: response.json()[name] for name in ("status", "error", "files", "credits")}
