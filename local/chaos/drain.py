"""After the load: polls every task until it ends, and skips time where a task waits for hours."""

import time
from collections.abc import Callable
from contextlib import suppress

from botocore.exceptions import BotoCoreError, ClientError

from local.chaos.run import PlacedOrder, Run
from local.chaos.time_skip import skip_time

POLL_S = 2.0
MANY_OPEN = 0.2  # share of the orders
SKIP_TIMEOUT_S = 150  # of polling with skipped time; a task that is open after it counts as lost


def keep_sweeping(run: Run) -> None:
    """Invoke the sweep every two seconds instead of once a minute; runs in its own thread. A sweep that
    fails because its process was killed is made up for by the next one."""
    function, name = run.system.client("lambda"), run.system.outputs["SweepFunctionName"]
    while not run.over.wait(POLL_S):
        with suppress(BotoCoreError, ClientError):
            function.invoke(FunctionName=name)


def wait_until_ended(run: Run, kill: Callable[[], None], say: Callable[[str], None]) -> None:
    """Return when every task has ended or the time is up; kill processes while many are open."""
    began, real_time_s = time.monotonic(), run.options.real_time_s
    reported = began
    while time.monotonic() - began < real_time_s + SKIP_TIMEOUT_S:
        still_open = read_open(run)
        elapsed = time.monotonic() - began
        if time.monotonic() - reported > 10 or not still_open:
            say(f"    {elapsed:5.0f} s  {len(still_open)} of {len(run.orders)} tasks are open")
            reported = time.monotonic()
        if not still_open:
            return
        for placed in still_open:
            wait_s = run.options.callback_wait_s if placed.scenario.skip_s else real_time_s
            if elapsed > wait_s:
                skip_time(run, placed)
        if len(still_open) > len(run.orders) * MANY_OPEN and elapsed < real_time_s:
            kill()
        else:
            time.sleep(POLL_S)


def read_open(run: Run) -> list[PlacedOrder]:
    """Read every task that was open when last read; returns those that are still open."""
    for placed in run.orders:
        if placed.task_ids and not placed.ended:
            read(run, placed)
    return [placed for placed in run.orders if placed.task_ids and not placed.ended]


def read(run: Run, placed: PlacedOrder) -> None:
    """Read one task with its customer's key."""
    response = run.call("GET", f"/v1/tasks/{placed.task_id}", key=run.system.api_key)
    if response is not None and response.status_code == 200:
        placed.task = response.json()
        if placed.ended and placed.first_end is None:
            placed.first_end = placed.task


def send_late_callbacks(run: Run, say: Callable[[str], None]) -> bool:
    """Use PoYo's "Retry Callback" button, once each, for tasks that PoYo charged and we have not confirmed;
    returns whether there were any."""
    by_url = {task["callback_url"]: task for task in run.poyo("GET", "tasks")["tasks"]}
    waiting = []
    for placed in run.orders:
        poyo_tasks = [t for url, t in by_url.items() if url and f"/{placed.task_id}/" in url]
        lost = placed.end == "unconfirmed" and not placed.late_callback
        if placed.task_ids and lost and poyo_tasks:
            run.poyo("POST", f"tasks/{poyo_tasks[0]['task_id']}/callback")
            placed.late_callback = True
            waiting.append(placed)
    if waiting:
        say(f"    {len(waiting)} were paid and are unconfirmed: their callbacks come an hour late")
    for placed in waiting:
        _wait_for_effect(run, placed)
    return bool(waiting)


def _wait_for_effect(run: Run, placed: PlacedOrder) -> None:
    """Wait until the late callback has changed the task; for a task failed at PoYo it never does."""
    deadline = time.monotonic() + 60
    while placed.end == "unconfirmed" and time.monotonic() < deadline:
        if placed.scenario.end in ("upstream", "moderated"):
            return
        time.sleep(0.2)
        read(run, placed)
    while not placed.ended and time.monotonic() < deadline:
        time.sleep(0.2)
        read(run, placed)
