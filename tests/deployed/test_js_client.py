"""The JavaScript client in Node, with browser tokens, on the deployed stack."""

import base64
import json
import subprocess
import uuid
from pathlib import Path

import requests

from local.system import System
from tests.fixtures.images import png

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 180


def test_client_orders_uploads_follows_many_lists_and_deletes_with_browser_tokens(
    stack: System,
) -> None:
    subprocess.run([ROOT / "scripts" / "require.sh", "node", "nodejs"], check=True)
    given = {
        "url": stack.url,
        "key": stack.api_key,
        "owner": f"js-{uuid.uuid4()}",
        "image": base64.b64encode(png()).decode(),
    }

    done = subprocess.run(
        ["node", Path(__file__).parent / "js_client_journey.mjs"],
        input=json.dumps(given),
        text=True,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    edit, [first, again, refused] = found["edit"], found["ordered"]
    assert (found["issued"], found["quote"]) == (1, 2)
    assert found["updates"][-1] == edit["status"] == "finished"
    assert [each[0] for each in found["enqueued"]] == [edit["task_id"]]
    assert edit["input"]["image_urls"][0].startswith("upload://")
    assert requests.get(edit["image"], timeout=30).content.startswith(b"\x89PNG")
    assert first == again
    assert found["last"] == {first: "finished", refused: "failed"}
    assert found["missing"] == ["a" * 26]
    assert found["invalid"] == ["ValidationError", ["/input/size"]]
    assert found["failed"] == ["TaskFailedError", "moderated"]
    assert sorted(found["listed"]) == sorted([first, refused, edit["task_id"]])
    assert found["deleted"] == ["ApiError", "no_such_task", first]
    assert found["used"] >= 1
