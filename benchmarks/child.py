"""The measured process: loads one handler and calls it as often as standard input asks.

`python -m benchmarks.child MODULE EVENTS` answers each line with a number of calls by one JSON line:
CPU milliseconds of this process for each call, each result, and the peak of its memory in MB. It
imports nothing but the standard library before the handler.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any


class Context:
    """The context object of an invocation."""

    function_name = "function"
    function_version = "1"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:function"
    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        """Enough for every step."""
        return 60_000


def peak_mb() -> float:
    """The most memory that this process has had, in MiB. On Linux `ru_maxrss` begins with the memory of
    the process that started this one, so it is not used."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return float(status.partition("VmHWM:")[2].split()[0]) / 1024


def call_once(module: str, events: str) -> None:
    """Load the handler and call it with the first event. Raises RuntimeError if it answers with an error."""
    handler = importlib.import_module(module).handler
    result = handler(json.loads(Path(events).read_text())[0], Context())
    if result.get("statusCode", 200) != 200:
        raise RuntimeError(f"{module} answered {result}")


def main(module: str, events: Path) -> None:
    """Serve until standard input ends. What the handler logs goes to the null device."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    handler = importlib.import_module(module).handler
    waiting = itertools.cycle(json.loads(events.read_text()))
    for line in sys.stdin:
        cpu_ms: list[float] = []
        results: list[Any] = []
        for event in itertools.islice(waiting, int(line)):
            began = time.process_time_ns()
            results.append(handler(event, Context()))
            cpu_ms.append((time.process_time_ns() - began) / 1e6)
        answer = {"cpu_ms": cpu_ms, "results": results, "peak_mb": peak_mb()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
