"""The JavaScript client in Node, with browser tokens, on the deployed stack."""

import base64
import json
import re
import subprocess
import uuid
from pathlib import Path

import pytest
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


@pytest.mark.parametrize("page", ["clients/js/README.md", "docs/clients.md"])
def test_first_program_of_the_page_prints_the_images_address(
    page: str, stack: System, tmp_path: Path
) -> None:
    blocks = re.findall(r"```js\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    program = blocks[0].replace("http://127.0.0.1:8787", stack.url)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "imagetasks").symlink_to(ROOT / "clients" / "js")
    (tmp_path / "order.mjs").write_text(program.replace("local-server-key", stack.api_key))

    done = subprocess.run(
        ["node", "order.mjs"],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    address = done.stdout.split()[-1]
    assert requests.get(address, timeout=30).content.startswith(b"\x89PNG")
