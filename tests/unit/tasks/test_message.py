"""TaskMessage: which SQS bodies are task messages."""

import json
from dataclasses import asdict

import pytest

from imagetasks.tasks.message import TaskMessage


@pytest.mark.parametrize("poyo_id", [None, "BFJI1885TB0ROHQM"])
@pytest.mark.parametrize("due_since", [None, 1_790_000_000_000])
def test_message_is_read_from_its_json(poyo_id: str | None, due_since: int | None) -> None:
    message = TaskMessage(task_id="t", source="callback", poyo_id=poyo_id, due_since=due_since)

    assert TaskMessage.from_json(json.dumps(asdict(message))) == message


def test_message_without_a_poyo_id_and_with_unknown_keys_is_read() -> None:
    body = '{"task_id": "t", "source": "sweep", "added_by": "a newer version"}'

    assert TaskMessage.from_json(body) == TaskMessage(task_id="t", source="sweep")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "not json",
        "{}",
        '"x"',
        '{"task_id": "t"}',
        '{"source": "sweep"}',
        "[]",
        "7",
        "null",
    ],
)
def test_any_other_body_raises_an_error_that_the_worker_catches(body: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        TaskMessage.from_json(body)
