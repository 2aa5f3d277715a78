"""What can be wrong with a submit: each effect wraps the acceptance it may or may not call."""

# ruff: noqa: ARG001  # the effects of one table are all called alike

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from local.poyo.account import too_many, wrong_key
from local.poyo.answers import Answer, PoyoError, invalid
from local.poyo.rules import Use

Accept = Callable[[], Awaitable[Answer]]
BAD_GATEWAY = Answer(
    502,
    "<html><head><title>502 Bad Gateway</title></head>"
    "<body><center><h1>502 Bad Gateway</h1></center><hr><center>cloudflare</center></body></html>",
    content_type="text/html",
)
HANG_UP = Answer(hang_up=True)


class Desk(Protocol):
    """The part of a submit's desk that an effect may use."""

    async def ring_first(self) -> None: ...


async def _drop(desk: Desk, use: Use, accept: Accept) -> Answer:
    await accept()
    return HANG_UP


async def _drop_before(desk: Desk, use: Use, accept: Accept) -> Answer:
    return HANG_UP


async def _timeout(desk: Desk, use: Use, accept: Accept) -> Answer:
    """Real seconds: the timeout that this is to trip is real, too."""
    answer = await accept()
    await asyncio.sleep(use.number("seconds"))
    return answer


async def _garbage(desk: Desk, use: Use, accept: Accept) -> Answer:
    await accept()
    return Answer(200, '{"code":200,"data":{"task_id":"')


async def _bad_gateway(desk: Desk, use: Use, accept: Accept) -> Answer:
    if use.flag("created"):
        await accept()
    return BAD_GATEWAY


async def _rate_limited(desk: Desk, use: Use, accept: Accept) -> Answer:
    raise too_many(use.number("seconds"))


async def _unavailable(desk: Desk, use: Use, accept: Accept) -> Answer:
    return Answer(503, "", content_type="text/plain")


async def _wrong_key(desk: Desk, use: Use, accept: Accept) -> Answer:
    raise wrong_key()


async def _no_credits(desk: Desk, use: Use, accept: Accept) -> Answer:
    raise PoyoError(402, "insufficient_credits_error", "Insufficient credits")


async def _code_400(desk: Desk, use: Use, accept: Accept) -> Answer:
    return Answer(200, invalid("Invalid request").answer().body)


async def _moderated(desk: Desk, use: Use, accept: Accept) -> Answer:
    message = "The prompt violates our content policy"
    raise PoyoError(400, "content_moderation_error", message)


async def _callback_early(desk: Desk, use: Use, accept: Accept) -> Answer:
    answer = await accept()
    await desk.ring_first()
    return answer


SUBMIT_FAULTS: dict[str, Callable[[Desk, Use, Accept], Awaitable[Answer]]] = {
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
