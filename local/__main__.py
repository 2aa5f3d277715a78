"""`make run`: the whole system on this machine, in the foreground, until Ctrl-C."""

import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from requests import RequestException

from local import invoke, sample
from local.processes import ROOT
from local.progress import StepFailed, say
from local.settings import BadSetting, Settings, from_environment, read_env_file
from local.system import System, running

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NO_BELL = """
  {upstream} cannot ring this machine, so callbacks will not come: the sweep finds the results,
  first after {seconds} s, then again and again. To hear callbacks, point a tunnel at {url} and
  set PUBLIC_URL to it. Every task, the sample included, is paid for there (DEMO=0 skips it)."""


class Ended(BaseException):
    """Somebody asked for the end."""


def main() -> int:
    """Exit status: 0 after Ctrl-C, 1 when a step failed, 2 for a setting that cannot be used."""
    for number in ENDING:
        signal.signal(number, _end)
    began = time.monotonic()
    try:
        settings = from_environment(read_env_file(ROOT / ".env") | dict(os.environ))
        state = ROOT / ".local" / "run" / str(settings.port)
        say("imagetasks, the whole of it on this machine")
        with running(settings, state) as system:
            _show(system, began)
            system.processes.wait()
    except Ended:
        say("\nstopped; nothing was left running")
        return 0
    except BadSetting as error:
        print(f"imagetasks: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (StepFailed, BotoCoreError, ClientError, RequestException) as error:
        print(f"imagetasks: {error}", file=sys.stderr)
        return 1


def _show(system: System, began: float) -> None:
    settings = system.settings
    invoke.write_environment(system, ROOT / "events" / "env.json")
    say(f"  {'everything is up':<52} {time.monotonic() - began:5.1f} s")
    if not _can_ring(settings):
        upstream, seconds = settings.poyo_base_url, settings.first_look_seconds
        say(NO_BELL.format(upstream=upstream, seconds=seconds, url=system.url))
    if settings.demo:
        try:
            sample.run(system, ROOT / ".local" / "sample.png")
        except StepFailed as error:  # the rest runs: somebody will want to look at it
            say(f"    the sample FAILED: {error}")
    say(sample.hints(system))
    say(f"  API_KEY is {system.api_key}; Ctrl-C stops everything")
    say(f"ready: {system.url}")


def _can_ring(settings: Settings) -> bool:
    """PoYo here rings here; PoYo elsewhere only where PUBLIC_URL leads in from outside."""
    return settings.upstream_is_here or not settings.public_is_here


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in ENDING:  # the ending is not to be interrupted; it takes seconds at most
        signal.signal(number, signal.SIG_IGN)
    raise Ended


if __name__ == "__main__":
    sys.exit(main())
