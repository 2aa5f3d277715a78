"""Instructions of a cold start: each function of this checkout against the same of another one.

`python -m benchmarks.cold_start OTHER_CHECKOUT` counts both in one run with callgrind and prints the
ratio. Instructions repeat on a noisy machine; seconds do not. Each count is one interpreter that
imports the handler with the variables of the template, from the source and bytecode in `functions/`
and the packages of this checkout's development environment. Needs valgrind.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from benchmarks.report import Row, deliver, parser, show

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".local" / "envs" / "dev" / "bin" / "python"
HANDLERS = ("webhook", "sweep", "notify", "worker", "api")
# Every name that a version of the template has used, so that any two checkouts can be compared.
VARIABLES = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "TABLE_NAME": "tasks",
    "BUCKET_NAME": "images",
    "QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/tasks",
    "NOTIFICATION_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/notifications",
    "WAITING_CONCURRENCY": "5",
    "STACK_DAILY_CREDITS": "0",
    "OWNER_DAILY_CREDITS": "0",
    "ORDERS_PAUSED": "false",
    "MODELS": "gpt-image-*",
    "API_SECRET_ARN": "arn:api",
    "CALLBACK_SECRET_ARN": "arn:callback",
    "TOKEN_SECRET_ARN": "arn:token",
    "POYO_BASE_URL": "https://api.poyo.ai",
    "PUBLIC_URL": "https://img.example",
    "DOWNLOAD_HOSTS": "cdn.doculator.org",
    "NOTIFICATION_HOSTS": "*",
    "FIRST_POLL_SECONDS": "90",
    "POYO_SUBMITS_PER_10S": "20",
    "FILE_HOSTS": "cdn.doculator.org",
    "CALLBACK_HOSTS": "*",
    "FIRST_LOOK_SECONDS": "90",
    "SUBMITS_PER_10S": "20",
}
COUNTED = re.compile(r"Collected : (\d+)")


def instructions(functions: Path, statement: str) -> int:
    """Instructions of an interpreter that runs `statement` beside the code in `functions`. It runs
    once before it is counted, so that every package has its bytecode."""
    environment = {**os.environ, **VARIABLES, "PYTHONPATH": str(functions), "PYTHONHASHSEED": "0"}
    subprocess.run([str(PYTHON), "-c", statement], env=environment, check=True)  # noqa: S603
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(  # noqa: S603
            [
                "/usr/bin/valgrind",
                "--tool=callgrind",
                f"--callgrind-out-file={folder}/out",
                str(PYTHON),
                "-c",
                statement,
            ],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    found = COUNTED.search(run.stderr)
    if found is None:
        raise RuntimeError(run.stderr[-500:])
    return int(found[1])


def measure(other: Path) -> list[Row]:
    """Instructions of the interpreter alone, and of each handler here and there."""
    for functions in (ROOT / "functions", other / "functions"):
        subprocess.run([str(PYTHON), "-m", "compileall", "-q", str(functions)], check=True)  # noqa: S603
    alone = instructions(ROOT / "functions", "pass") / 1e6
    rows = [Row(number=1, measure="interpreter alone", value=alone, unit="M instructions")]
    for handler in HANDLERS:
        before = instructions(other / "functions", f"import {handler}") / 1e6
        after = instructions(ROOT / "functions", f"import {handler}") / 1e6
        rows.append(
            Row(
                number=1,
                measure=f"cold start of {handler}",
                value=after,
                unit="M instructions",
                baseline=f"other checkout: {show(before)}",
                ratio=after / before,
            )
        )
    return rows


if __name__ == "__main__":
    arguments = parser(__doc__)
    arguments.add_argument("other", type=Path, metavar="OTHER_CHECKOUT")
    chosen = arguments.parse_args()
    deliver(measure(chosen.other), chosen.json)
