"""Faults of submits; each effect decides whether to accept the order and how to respond."""

# ruff: noqa: ARG001  # all effects in a table have the same signature

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from local.poyo_simulator.account import invalid_key_error, rate_limit_error
from local.poyo_simulator.fault_rules import InjectedFault
from local.poyo_simulator.responses import HttpResponse, PoyoError, invalid

BAD_GATEWAY = HttpResponse(
    502,
    "<html><head><title>502 Bad Gateway</title></head>"
    "<body><center><h1>502 Bad Gateway</h1></center><hr><center>cloudflare</center></body></html>",
    content_type="text/html",
)
DROPPED = HttpResponse(drop_connection=True)


@dataclass(frozen=True)
class SubmitSteps:
    """What an effect may do: accept the order, and finish its task before it responds."""

    accept: Callable[[], Awaitable[HttpResponse]]
    finish_with_callback: Callable[[], Awaitable[None]]


async def _drop(fault: InjectedFault, steps: SubmitSteps) -> HttpResponse:
    await steps.accept()
    return DROPPED


async def _drop_before(fault: InjectedFault, steps: SubmitSteps) -> HttpResponse:
    return DROPPED


async def _timeout(fault: InjectedFault, steps: SubmitSteps) -> HttpResponse:
    """Wait in real seconds, because the client's timeout is in real seconds too."""
    response = await steps.accept()
    await asyncio.sleep(fault.number("seconds"))
    return response


async def _garbage(fault: InjectedFault, steps: SubmitSteps) -> HttpResponse:
    await steps.accept()
    return HttpResponse(200, '{"code":200,"data":{"task_id":"')


async def _bad_gateway(fault: InjectedFault, steps: SubmitSteps) -> HttpResponse:
    if fault.flag("created"):
        await steps.accept()
    return BAD_GATEWAY


async def _rate_limited(fault: InjectedFault, steps: SubmitSteps) -> HttpResponse:
    raise rate_limit_error(fault.number("seconds"))


async def _unavailable(fault: InjectedFault, steps: SubmitSteps) -> HttpResponse:
    return HttpResponse(503, "", content_type="text/plain")


async def _invalid_key(fault: InjectedFault, steps: SubmitSteps) -> HttpResponse:
    raise invalid_key_error()


async def _no_credits(fault: InjectedFault, steps: SubmitSteps) -> HttpResponse:
    raise PoyoError(402, "insufficient_credits_error", "Insufficient credits")


async def _code_400(fault: InjectedFault, steps: SubmitSteps) -> HttpResponse:
    return HttpResponse(200, invalid("Invalid request").response().body)


async def _moderated(fault: InjectedFault, steps: SubmitSteps) -> HttpResponse:
    message = "The prompt violates our content policy"
    raise PoyoError(400, "content_moderation_error", message)


async def _callback_early(fault: InjectedFault, steps: SubmitSteps) -> HttpResponse:
    response = await steps.accept()
    await steps.finish_with_callback()
    return response


SUBMIT_FAULTS: dict[str, Callable[[InjectedFault, SubmitSteps], Awaitable[HttpResponse]]] = {
    "submit-drop": _drop,
    "submit-drop-before": _drop_before,
    "submit-timeout": _timeout,
    "submit-garbage": _garbage,
    "submit-502-html": _bad_gateway,
    "submit-429": _rate_limited,
    "submit-503": _unavailable,
    "submit-401": _invalid_key,
    "submit-402": _no_credits,
    "submit-200-code-400": _code_400,
    "submit-moderated": _moderated,
    "callback-early": _callback_early,
}
