"""`make run`: runs the whole system on this machine, in the foreground, until Ctrl-C."""

import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from requests import RequestException

from local import invoke, sample, sample_token
from local.cors import LOCALHOST
from local.env_file import read_env_file
from local.processes import ROOT
from local.progress import StepFailed, say, step
from local.setting_parsers import BadSetting
from local.settings import Settings, from_environment
from local.system import System, running
from local.warm_up import warm_up

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NO_CALLBACKS = """
  {upstream} cannot send callbacks to this machine. The sweep polls it for the results instead, first
  after {seconds} s, then repeatedly. To receive callbacks, point a tunnel at {url} and set PUBLIC_URL
  to the tunnel's URL. {upstream} charges for every task, also for the sample (DEMO=0 skips it)."""

SUMMARY = """\
  page     {url}/
  key      {key}
  token    {token}
  pages    {pages}
  PoYo     {poyo}
  stop     Ctrl-C; the next start has no tasks and images of this one"""
SIMULATED = """\
simulated on {url}: costs nothing, and its images are placeholders.
           A mark in a prompt injects a fault: [[fault:status-500=3]], [[fault:callback-none]], …
           docs/simulated-poyo.md lists them."""


class Stopped(BaseException):
    """A signal requested the end of the program."""


def main() -> int:
    """Exit status: 0 after Ctrl-C, 1 if a step failed, 2 for an invalid setting."""
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    began = time.monotonic()
    try:
        settings = from_environment(read_env_file(ROOT / ".env") | dict(os.environ))
        state = ROOT / ".local" / "run" / str(settings.port)
        say("imagetasks on this machine")
        with running(settings, state) as system:
            try:
                _show(system, began)
                system.processes.wait()
            except Stopped:
                say("\nstopping, which takes a few seconds")
                raise
    except Stopped:
        say("\nstopped; no process is left running")
        return 0
    except BadSetting as error:
        print(f"imagetasks: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has closed it, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (StepFailed, BotoCoreError, ClientError, RequestException) as error:
        print(f"imagetasks: {error}", file=sys.stderr)
        return 1


def _show(system: System, began: float) -> None:
    settings = system.settings
    invoke.write_environment(system, ROOT / "events" / "env.json")
    with step("functions started"):
        warm_up(system)
    say(f"  {'everything is up':<52} {time.monotonic() - began:5.1f} s")
    if not _can_receive_callbacks(settings):
        upstream, seconds = settings.poyo_base_url, settings.first_poll_seconds
        say(NO_CALLBACKS.format(upstream=upstream, seconds=seconds, url=system.url))
    if settings.demo:
        try:
            sample.run(system, ROOT / ".local" / "sample.png")
        except StepFailed as error:  # the system itself runs and can be inspected
            say(f"    the sample FAILED: {error}")
    say(sample.next_commands(system))
    say(f"ready: {system.url}")
    token = sample_token.described(system)
    facts = {"token": token, "pages": _pages(settings), "poyo": _poyo(settings)}
    say(SUMMARY.format(url=system.url, key=system.api_key, **facts))


def _pages(settings: Settings) -> str:
    """Which pages may call the API from a browser."""
    if settings.cors_origins == LOCALHOST:
        return "any page of this machine: http(s)://localhost, 127.0.0.1 or [::1], any port"
    return settings.cors_origins or "none (CORS_ORIGINS=none)"


def _poyo(settings: Settings) -> str:
    """Which PoYo makes the images, and what it costs."""
    if not settings.simulated:
        return f"{settings.poyo_base_url}: every order costs credits of its account"
    return SIMULATED.format(url=settings.poyo_base_url)


def _can_receive_callbacks(settings: Settings) -> bool:
    """A PoYo on this machine reaches any PUBLIC_URL; any other PoYo needs a public one."""
    return settings.upstream_is_local or not settings.public_url_is_local


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    # A second signal must not interrupt the clean-up, which takes a few seconds.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
