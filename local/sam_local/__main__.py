"""`make sam-local`: the real `sam local invoke` on every event, held against the deployed functions.

python -m local.sam_local            tell both the same story, compare, print a table
python -m local.sam_local --serve    only the container engine, for `sam local …` by hand
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from requests import RequestException

from local.processes import Processes
from local.progress import StepFailed, say
from local.sam_local import engines, run
from local.sam_local.engine import EngineFailed

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


class Ended(BaseException):
    """Somebody asked for the end."""


def main() -> int:
    """Exit status: 0 when all answers agree or no engine is to be had, 1 when not, 130 for Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local.sam_local")
    parser.add_argument("--serve", action="store_true", help="only the engine, until Ctrl-C")
    serve = parser.parse_args().serve
    for number in ENDING:
        signal.signal(number, _end)
    try:
        return _serve() if serve else _compare()
    except engines.NoEngine as lacking:
        say(f"\nSKIPPED, nothing was compared: {lacking}")
        return 0
    except Ended:
        say("\nstopped; nothing was left running")
        return 0 if serve else INTERRUPTED
    except (StepFailed, EngineFailed, BotoCoreError, ClientError, RequestException) as error:
        print(f"sam-local: {error}", file=sys.stderr)
        return 1


def _serve() -> NoReturn:
    with _processes() as processes, engines.for_sam(processes) as docker_host:
        say(f"\nready: export DOCKER_HOST={docker_host}\nCtrl-C stops it")
        processes.wait()


def _compare() -> int:
    began = time.monotonic()
    with (
        _processes() as processes,
        engines.for_sam(processes) as docker_host,
        run.system() as system,
    ):
        pairs = run.both(system, docker_host)
    different = sum(bool(pair.differences) for pair in pairs)
    say(run.table(pairs))
    said = f"{different} differ" if different else "none differs"
    say(f"\n{len(pairs)} answers, {said}; {time.monotonic() - began:.0f} s, logs in {run.STATE}")
    return 1 if different else 0


@contextmanager
def _processes() -> Iterator[Processes]:
    """The engine's programs, ended with the block; their logs stay."""
    processes = Processes(run.STATE / "engine")
    try:
        yield processes
    finally:
        processes.stop()


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in ENDING:  # the ending is not to be interrupted; it takes seconds at most
        signal.signal(number, signal.SIG_IGN)
    raise Ended


if __name__ == "__main__":
    sys.exit(main())
