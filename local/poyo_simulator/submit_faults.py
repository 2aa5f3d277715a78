"""What can be wrong with a submit: each effect wraps the acceptance it may or may not call."""

# ruff: noqa: ARG001  # the effects of one table are all called alike

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from local.poyo_simulator.account import too_many, wrong_key
from local.poyo_simulator.fault_rules import Use
from local.poyo_simulator.responses import Answer, PoyoError, invalid

BAD_GATEWAY = Answer(
    502,
    "<html><head><title>502 Bad Gateway</title></head>"
    "<body><center><h1>502 Bad Gateway</h1></center><hr><center>cloudflare</center></body></html>",
    content_type="text/html",
)
HANG_UP = Answer(hang_up=True)


@dataclass(frozen=True)
class Steps:
    """What an effect may do: accept the order, and then ring before it is answered."""

    accept: Callable[[], Awaitable[Answer]]
    ring_first: Callable[[], Awaitable[None]]


async def _drop(use: Use, steps: Steps) -> Answer:
    await steps.accept()
    return HANG_UP


async def _drop_before(use: Use, steps: Steps) -> Answer:
    return HANG_UP


async def _timeout(use: Use, steps: Steps) -> Answer:
    """Real seconds: the timeout that this is to trip is real, too."""
    answer = await steps.accept()
    await asyncio.sleep(use.number("seconds"))
    return answer


async def _garbage(use: Use, steps: Steps) -> Answer:
    await steps.accept()
    return Answer(200, '{"code":200,"data":{"task_id":"')


async def _bad_gateway(use: Use, steps: Steps) -> Answer:
    if use.flag("created"):
        await steps.accept()
    return BAD_GATEWAY


async def _rate_limited(use: Use, steps: Steps) -> Answer:
    raise too_many(use.number("seconds"))


async def _unavailable(use: Use, steps: Steps) -> Answer:
    return Answer(503, "", content_type="text/plain")


async def _wrong_key(use: Use, steps: Steps) -> Answer:
    raise wrong_key()


async def _no_credits(use: Use, steps: Steps) -> Answer:
    raise PoyoError(402, "insufficient_credits_error", "Insufficient credits")


async def _code_400(use: Use, steps: Steps) -> Answer:
    return Answer(200, invalid("Invalid request").answer().body)


async def _moderated(use: Use, steps: Steps) -> Answer:
    message = "The prompt violates our content policy"
    raise PoyoError(400, "content_moderation_error", message)


async def _callback_early(use: Use, steps: Steps) -> Answer:
    answer = await steps.accept()
    await steps.ring_first()
    return answer


SUBMIT_FAULTS: dict[str, Callable[[Use, Steps], Awaitable[Answer]]] = {
    "submit-drop": _drop,
    "submit-drop-before": _drop_before,
    "submit-timeout": _timeout,
    "submit-garbage": _garbage,
    "submit-502-html": _bad_gateway,
    "submit-429": _rate_limited,
    "submit-503": _unavailable,
    "submit-401": _wrong_key,
    "submit-402": _no_credits,
    "submit-200-code-400": _code_400,
    "submit-moderated": _moderated,
    "callback-early": _callback_early,
}
