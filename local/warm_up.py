"""Starts the functions before the first user's request, as the emulator starts them at their first."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import requests

from local.gateway import MAX_CONCURRENT
from local.progress import StepFailed
from local.system import System

TIMEOUT_S = 60
NO_TASK = json.dumps(
    {
        "Records": [
            {
                "messageId": "warm-up",
                "body": json.dumps({"task_id": "warm-up", "source": "operator"}),
                "attributes": {},
                "eventSource": "aws:sqs",
            }
        ]
    }
).encode()
PROCESSES = 2  # of the webhook and of the worker; one of the notify function


def warm_up(system: System) -> None:
    """Have as many processes of the API as the gateway forwards requests at once, two of the webhook
    and of the worker, and one of the notify function. Requests that fail are not repeated: they are
    the user's to see."""
    jobs: list[Callable[[System], None]] = [
        *[_list_tasks] * MAX_CONCURRENT["request"],
        *[_call_back] * PROCESSES,
        *[partial(invoke, function="WorkerFunction")] * PROCESSES,
        partial(invoke, function="NotifyFunction"),
    ]
    with ThreadPoolExecutor(len(jobs)) as pool:
        for done in [pool.submit(job, system) for job in jobs]:
            done.result()


def _list_tasks(system: System) -> None:
    headers = {"Authorization": f"Bearer {system.api_key}"}
    with _session() as session:
        session.get(f"{system.url}/v1/tasks?limit=1", headers=headers, timeout=TIMEOUT_S)


def _call_back(system: System) -> None:
    """A callback whose URL is not signed; the webhook refuses it."""
    with _session() as session:
        session.post(f"{system.url}/callbacks/poyo/k1/none/none", timeout=TIMEOUT_S)


def invoke(system: System, *, function: str) -> None:
    """Invoke a function that reads a queue with a message about a task that does not exist."""
    name = f"{system.outputs[f'{function}Name']}:live"
    response = system.client("lambda").invoke(FunctionName=name, Payload=NO_TASK)
    if "FunctionError" in response:
        raise StepFailed(f"{function} fails: {response['Payload'].read().decode()}")


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # both programs run on this machine: use no proxy
    return session
