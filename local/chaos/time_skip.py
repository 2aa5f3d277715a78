"""Skips time for one task, where the task only waits for time to pass.

All instants in its item are moved back by the skipped time. That is exactly the item that the task would
have after waiting. Everything else in the item, and all code that ends the task, is real.
"""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from local.chaos.run import PlacedOrder, Run
from local.chaos.scenarios import HOUR_S, LONGEST_BACKOFF_S

FURTHER_INSTANTS = ("not_before", "due_since")  # beside all whose names end in `_at`


def instants(item: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The attributes of a task's item that are instants."""
    numbers = (name for name, value in item.items() if "N" in value)
    return [each for each in numbers if each.endswith("_at") or each in FURTHER_INSTANTS]


def skip_time(run: Run, placed: PlacedOrder) -> None:
    """Skip the time that the task's state waits for, unless the task changes at this moment."""
    table = run.system.client("dynamodb")
    name, key = run.system.outputs["TasksTableName"], {"pk": {"S": f"task#{placed.task_id}"}}
    item = table.get_item(TableName=name, Key=key, ConsistentRead=True).get("Item", {})
    seconds = _seconds_to_skip(placed, item.get("state", {}).get("S", ""))
    if not seconds or "due_at" not in item:
        return
    placed.time_skipped = True
    values: dict[str, Any] = {
        ":write_token": item["write_token"],
        ":back": {"N": str(-1000 * seconds)},
    }
    moved = ", ".join(f"{each} = {each} + :back" for each in instants(item))
    try:
        table.update_item(
            TableName=name,
            Key=key,
            UpdateExpression=f"SET {moved}",
            ConditionExpression="write_token = :write_token",
            ExpressionAttributeValues=values,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise


def _seconds_to_skip(placed: PlacedOrder, state: str) -> int:
    """Return the time until the next step; an order not sent to PoYo yet waits in real time."""
    scenario = placed.scenario
    if state == "pending":
        return scenario.skip_s if scenario.end == "unavailable" else 0
    return HOUR_S if state in ("submitting", "unknown") else max(LONGEST_BACKOFF_S, scenario.skip_s)
