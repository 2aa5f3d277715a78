"""The command line: ``python -m local.poyo_simulator``."""

import argparse
import asyncio
import errno
import logging
import signal
import sys
from decimal import Decimal

from local.poyo_simulator.clock import Clock
from local.poyo_simulator.server import serve_until
from local.poyo_simulator.settings import Settings
from local.poyo_simulator.simulator import Simulator


def main() -> int:
    options = _parser().parse_args()
    logging.raiseExceptions = False  # the parent may have closed our standard output
    level = logging.WARNING if options.quiet else logging.INFO
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("poyo").setLevel(level)
    try:
        asyncio.run(_run(options))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        print(f"port {options.port} is in use; choose another with --port", file=sys.stderr)
        return 2
    return 0


async def _run(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    simulator = Simulator(_settings(options), Clock(options.speed), options.seed)
    await serve_until(stop, simulator, options.port)


def _settings(options: argparse.Namespace) -> Settings:
    default_wait = 1.0 if options.callback_retries == 3 else 60.0
    wait = options.callback_first_wait
    return Settings(
        keys=tuple(options.key or Settings.keys),
        webhook_key=options.webhook_key,
        callback_retries=options.callback_retries,
        callback_first_wait=default_wait if wait is None else wait,
        seconds=(options.seconds[0], options.seconds[1]),
        file_hours=options.file_hours,
        rate=options.rate,
        rate_seconds=options.rate_seconds,
        credits=options.credits,
        wrapped=options.wrapped,
        idempotency=options.idempotency,
    )


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e12:
        raise argparse.ArgumentTypeError("must be a number, not negative")
    return value


def _credits(text: str) -> Decimal:
    return Decimal(str(_not_negative(text)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.poyo_simulator",
        description="A simulated PoYo on 127.0.0.1: image tasks, callbacks, files, and faults.",
        epilog="Defaults in parentheses. Times are those of its own clock; --speed makes it faster.",
    )
    add = parser.add_argument
    add("--port", type=int, default=8790, help="port on 127.0.0.1; 0 picks a free one (8790)")
    add("--key", action="append", help="bearer key to accept, repeatable (sk-local-poyo)")
    _add_callback_options(parser)
    _add_task_options(parser)
    add(
        "--speed",
        type=_not_negative,
        default=1.0,
        help="speed of the clock, as a multiple of real time (1)",
    )
    add("--seed", help="the same seed and submits give the same ids, durations and faults (random)")
    add("--quiet", action="store_true", help="do not print a line for each event")
    return parser


def _add_callback_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--webhook-key", help="sign callbacks with this key (unsigned)")
    add(
        "--callback-retries",
        type=int,
        default=5,
        help="PoYo retries 5 times; earlier it retried 3 times (5)",
    )
    add(
        "--callback-first-wait", type=_not_negative, help="seconds, doubling (60; with 3 retries 1)"
    )
    add("--wrapped", action="store_true", help="callbacks as {code, data}")


def _add_task_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--seconds",
        type=_not_negative,
        nargs=2,
        metavar=("MIN", "MAX"),
        default=Settings.seconds,
        help="duration of a task (2 6)",
    )
    add(
        "--file-hours",
        type=_not_negative,
        default=Settings.file_hours,
        help="hours after which a file expires (24)",
    )
    add(
        "--rate",
        type=int,
        default=Settings.rate,
        help="submits allowed in --rate-seconds; 0 is no limit (20)",
    )
    add("--rate-seconds", type=_not_negative, default=Settings.rate_seconds, help="see --rate (10)")
    add("--credits", type=_credits, default=Settings.credits, help="opening balance (10000)")
    add(
        "--idempotency",
        choices=("honour", "ignore"),
        default=Settings.idempotency,
        help="whether a repeated Idempotency-Key returns the same task (ignore)",
    )


if __name__ == "__main__":
    sys.exit(main())
