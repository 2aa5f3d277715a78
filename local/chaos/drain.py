"""After the load: watch every task to its end, and let time pass where only our patience ends it.

Hours pass for one task by moving every instant in its row back: exactly what its clock would
show, had it waited. Everything else about the row, and everything that ends it, is real.
"""

import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.chaos.run import Placed, Run
from local.chaos.scenarios import BAD_S, HOUR_S

INSTANTS = ("created_at", "attempted_at", "confirmed_at", "not_before", "result_seen_at", "due_at")
ROUND_S = 2.0
MANY = 0.2  # of the orders
LIMIT_S = 150  # of rounds with skipped time, before a task counts as lost


def keep_sweeping(run: Run) -> None:
    """Invoke the sweep every other second instead of once a minute; for a thread of its own."""
    function, name = run.system.client("lambda"), run.system.outputs["SweepFunctionName"]
    while not run.over.wait(ROUND_S):
        try:
            answer = function.invoke(FunctionName=name)
            run.sweeps_failed += "FunctionError" in answer
        except (BotoCoreError, ClientError):
            run.sweeps_failed += 1


def settle(run: Run, strike: Callable[[], None], say: Callable[[str], None]) -> None:
    """Return when every task has ended, or when that takes too long; while many are open, kill on."""
    began, patience_s = time.monotonic(), run.options.patience_s
    said = began
    while time.monotonic() - began < patience_s + LIMIT_S:
        still = read_open(run)
        spent = time.monotonic() - began
        if time.monotonic() - said > 10 or not still:
            say(f"    {spent:5.0f} s  {len(still)} of {len(run.orders)} tasks are open")
            said = time.monotonic()
        if not still:
            return
        for placed in still:
            if spent > (run.options.calm_s if placed.kind.skip_s else patience_s):
                skip(run, placed)
        if len(still) > len(run.orders) * MANY and spent < patience_s:
            strike()
        else:
            time.sleep(ROUND_S)


def read_open(run: Run) -> list[Placed]:
    """Read every task that is not known to have ended; those that still have not."""
    for placed in run.orders:
        if placed.task_ids and not placed.ended:
            read(run, placed)
    return [placed for placed in run.orders if placed.task_ids and not placed.ended]


def read(run: Run, placed: Placed) -> None:
    """Read one task as its customer."""
    answer = run.call("GET", f"/v1/tasks/{placed.task_id}", key=run.system.api_key)
    if answer is not None and answer.status_code == 200:
        placed.task = answer.json()
        if placed.ended and placed.first_end is None:
            placed.first_end = placed.task


def ring_late(run: Run, say: Callable[[str], None]) -> None:
    """PoYo's owner presses "Retry Callback" for what was paid and is unconfirmed here."""
    by_task = {theirs["callback_url"]: theirs for theirs in run.poyo("GET", "tasks")["tasks"]}
    waiting = []
    for placed in run.orders:
        theirs = [t for url, t in by_task.items() if url and f"/{placed.task_id}/" in url]
        if placed.task_ids and placed.end == "unconfirmed" and theirs:
            run.poyo("POST", f"tasks/{theirs[0]['task_id']}/callback")
            placed.rung_late = True
            waiting.append(placed)
    if waiting:
        say(f"    {len(waiting)} were paid and are unconfirmed: their callbacks come an hour late")
    for placed in waiting:
        _watch(run, placed)


def _watch(run: Run, placed: Placed) -> None:
    """Until the late callback has its effect, if it has one; failed upstream, it has none."""
    deadline = time.monotonic() + 60
    while placed.end == "unconfirmed" and time.monotonic() < deadline:
        if placed.kind.ends in ("upstream", "moderated"):
            return
        time.sleep(0.2)
        read(run, placed)
    while not placed.ended and time.monotonic() < deadline:
        time.sleep(0.2)
        read(run, placed)


def skip(run: Run, placed: Placed) -> None:
    """Let as much time pass for one task as its state is patient, unless it moves just now."""
    table = run.system.client("dynamodb")
    name, key = run.system.outputs["TasksTableName"], {"pk": {"S": f"task#{placed.task_id}"}}
    row = table.get_item(TableName=name, Key=key, ConsistentRead=True).get("Item", {})
    instants = [each for each in INSTANTS if each in row]
    seconds = _patience_s(placed, row.get("state", {}).get("S", ""))
    if not seconds or "due_at" not in row:
        return
    placed.skipped = True
    values: dict[str, Any] = {":stamp": row["write_token"], ":back": {"N": str(-1000 * seconds)}}
    moved = ", ".join(f"{each} = {each} + :back" for each in instants)
    try:
        table.update_item(
            TableName=name,
            Key=key,
            UpdateExpression=f"SET {moved}",
            ConditionExpression="stamp = :stamp",
            ExpressionAttributeValues=values,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise


def _patience_s(placed: Placed, state: str) -> int:
    """What has to pass for the next step; an order that PoYo is still to get waits in real time."""
    if state == "pending":
        return placed.kind.skip_s if placed.kind.ends == "unavailable" else 0
    return HOUR_S if state in ("submitting", "unknown") else max(BAD_S, placed.kind.skip_s)
