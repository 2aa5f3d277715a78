"""`make sam-local`: sends every event to `sam local invoke` and to the deployed functions.

python -m local.sam_local            compare the responses and print a table
python -m local.sam_local --serve    only start the container engine, for `sam local …` by hand
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

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


class Stopped(BaseException):
    """One of STOP_SIGNALS was received."""


def main() -> int:
    """Exit status: 0 if no response differs or there is no engine, 1 if any differs, 130 for Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local.sam_local")
    parser.add_argument("--serve", action="store_true", help="only start the engine, until Ctrl-C")
    serve = parser.parse_args().serve
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    try:
        return _serve() if serve else _compare()
    except engines.NoEngine as error:
        say(f"\nSKIPPED, nothing was compared: {error}")
        return 0
    except Stopped:
        say("\nstopped; no process is left")
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
        pairs = run.send_events(system, docker_host)
    different = sum(bool(pair.differences) for pair in pairs)
    say(run.table(pairs))
    verdict = f"{different} differ" if different else "none differs"
    say(
        f"\n{len(pairs)} responses, {verdict}; {time.monotonic() - began:.0f} s, logs in {run.STATE}"
    )
    return 1 if different else 0


@contextmanager
def _processes() -> Iterator[Processes]:
    """The engine's programs, which stop with the block; their logs remain."""
    processes = Processes(run.STATE / "engine")
    try:
        yield processes
    finally:
        processes.stop()


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in STOP_SIGNALS:  # a second Ctrl-C must not interrupt the stop, which takes seconds
        signal.signal(number, signal.SIG_IGN)
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
