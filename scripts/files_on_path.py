"""`python -m scripts.files_on_path`: how many of our own files a reader opens to follow a request.

Runs the real handlers against an emulated AWS and a scripted PoYo in this process and records each
file of functions/ in which a function runs; generated methods of a dataclass count for the file of
the class. Three paths: an order from its event until the POST leaves for PoYo, a callback from its
event until the image is in the bucket (webhook and worker together), a whole sweep. A fourth line
counts the modules of ours with code that a cold start of the webhook imports.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess  # nosec B404  # starts our own interpreter only
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parent.parent
FUNCTIONS = ROOT / "functions"
sys.path[:0] = [str(FUNCTIONS), str(ROOT)]

from imagetasks.tasks import signed_urls  # noqa: E402
from tests.fixtures.images import png  # noqa: E402
from tests.support.api import loaded_api  # noqa: E402
from tests.support.aws_over_http import loaded_webhook  # noqa: E402
from tests.support.emulated_aws import CALLBACK_KEY, aws  # noqa: E402
from tests.support.environment import TestEnvironment  # noqa: E402
from tests.support.fakes import POYO_ID, task  # noqa: E402
from tests.support.lambdas import Context, http_event, invoke, load_handler  # noqa: E402
from tests.support.scripted_server import responding, scripted_server  # noqa: E402


@dataclass
class Recorder:
    """Records the files in which functions run, until a function named `last` starts in `file`."""

    file: str = ""
    last: str = ""
    files: set[str] = field(default_factory=set)
    ended: bool = False

    def run(self, action: Callable[[], object]) -> None:
        """Record while `action` runs."""
        sys.setprofile(self._on_event)
        try:
            action()
        finally:
            sys.setprofile(None)

    def _on_event(self, frame: FrameType, event: str, _: Any) -> None:
        file = frame.f_globals.get("__file__") or ""
        if self.ended or event != "call" or not file.startswith(str(FUNCTIONS)):
            return
        relative, name = str(Path(file).relative_to(FUNCTIONS)), frame.f_code.co_name
        self.ended = (relative, name) == (self.file, self.last)
        if name != "<module>":
            self.files.add(relative)


def order_path() -> set[str]:
    """Files from the event of an order until the POST leaves for PoYo."""
    recorder = Recorder("imagetasks/poyo/transport.py", "send")
    with loaded_api() as api:
        api.create(idempotency_key="the first reads the secrets")
        recorder.run(lambda: api.create(idempotency_key="the second"))
    return recorder.files


def callback_path() -> set[str]:
    """Files from the event of a callback until the image is in the bucket."""
    finish = "imagetasks/tasks/transition_writes.py"
    recorder = Recorder(finish, "finish")
    with aws() as cloud, scripted_server(responding("200 OK", png())) as files:
        status = {
            "task_id": POYO_ID,
            "status": "finished",
            "files": [{"file_url": f"{files.url}/image.png"}],
        }
        body = json.dumps({"code": 200, "data": status}).encode()
        mine = TestEnvironment(cloud).put(task(state="running", poyo_id=POYO_ID))
        path = signed_urls.callback_path("k1", CALLBACK_KEY, mine.task_id)
        with (
            scripted_server(responding("200 OK", body)) as poyo,
            load_handler(
                "worker", cloud, POYO_BASE_URL=poyo.url, DOWNLOAD_HOSTS=files.url
            ) as worker,
            loaded_webhook(cloud) as (webhook, _),
        ):
            recorder.run(lambda: invoke(webhook, http_event("POST", path, body=body)))
            [message] = cloud.messages()
            records = [{"messageId": "1", "eventSource": "aws:sqs", "body": json.dumps(message)}]
            recorder.run(lambda: worker.handler({"Records": records}, Context()))
    return recorder.files - {finish}


def sweep_path() -> set[str]:
    """Files from the event of a sweep with one due task to its end."""
    recorder = Recorder()
    with aws() as cloud, load_handler("sweep", cloud) as sweep:
        TestEnvironment(cloud).put(task(state="running", poyo_id=POYO_ID))
        recorder.run(lambda: sweep.handler({}, Context()))
    return recorder.files


def imported_modules(handler: str) -> set[str]:
    """Files of ours with code that a cold start of `handler` imports, beside its own."""
    program = (
        f"import sys, {handler}; print(*(module.__file__ for module in sys.modules.values()"
        " if getattr(module, '__file__', None)), sep='\\n')"
    )
    with aws() as cloud:
        variables = cloud.environment()
    run = subprocess.run(  # noqa: S603  # nosec B603  # our own interpreter and program
        [sys.executable, "-c", program],
        env={
            **os.environ,
            **variables,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",  # nosec B105  # of no account: nothing is called
            "PYTHONPATH": str(FUNCTIONS),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    own = (Path(line) for line in run.stdout.splitlines() if line.startswith(str(FUNCTIONS)))
    named = {str(path.relative_to(FUNCTIONS)) for path in own if has_code(path)}
    return named - {f"{handler}.py"}


def has_code(path: Path) -> bool:
    """Whether a module has more than a docstring."""
    return len(ast.parse(path.read_text()).body) > 1


def main() -> None:
    """Print each path: the number of its files and their names."""
    paths = {
        "order": order_path(),
        "callback": callback_path(),
        "sweep": sweep_path(),
        "modules that webhook imports": imported_modules("webhook"),
    }
    for name, files in paths.items():
        print(f"{name}: {len(files)}")
        for file in sorted(files):
            print(f"    {file}")


if __name__ == "__main__":
    main()
