"""The balance of the account at PoYo, read with the stored key."""

from __future__ import annotations

from decimal import Decimal

from cli.findings import balance, poyo_key
from cli.http_request import fetch
from cli.stack import CommandError, Stack, command_line
from imagetasks.errors import PoyoUnavailable
from imagetasks.poyo import responses
from imagetasks.poyo.transport import HttpResponse


def ask_balance(stack: Stack, key: str) -> HttpResponse | str:
    """PoYo's response, or the name of the exception if there was none."""
    url = f"{stack.parameter('PoyoBaseUrl')}/api/user/balance"
    return fetch("GET", url, {"Authorization": f"Bearer {key}"})


def read_balance(stack: Stack) -> Decimal:
    """The credits that the account has. Raises CommandError without a key or a readable balance."""
    key = poyo_key(stack.secret("ApiSecretArn"))
    if not key:
        raise CommandError(f"no PoYo key is stored: {command_line('keys', stack.name)} poyo")
    response = ask_balance(stack, key)
    finding = balance(response)
    if isinstance(response, str) or responses.is_unauthorized(response):
        raise CommandError(f"{finding.message}: {finding.todo}")
    try:
        return responses.parse_balance(response)
    except PoyoUnavailable as error:
        raise CommandError(f"{finding.message}: {finding.todo}") from error
