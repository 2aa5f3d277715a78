"""Browser tokens in tests: minted by the API, or put together by hand as an attacker would."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imagetasks.aws.table import Table
from imagetasks.aws.token_repository import TokenRepository
from imagetasks.tasks.caller import Token, token_from_item, token_pk, token_to_item
from imagetasks.tasks.conditional_write import Condition, PutItem, absent
from tests.support.api import Api
from tests.support.emulated_aws import TOKEN_KEYS
from tests.support.lambdas import HandlerResponse

HASHES = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}
REMOVED = "removed"  # a header or claim that a forged token does not have


def mint(api: Api, user: str = "ann", max_credits: float = 10, **further: Any) -> Any:
    """The body of a new token of the user."""
    headers = {name: further.pop(name) for name in ("key", "x_owner") if name in further}
    body = {"owner": user, "max_credits": max_credits} | further
    response = api.request("POST", "/v1/tokens", body, **headers)
    assert response.status == 201, response.body
    return response.json


def send(api: Api, token: str, method: str, path: str, body: object = None, **headers: Any) -> Any:
    """The response to a request with this token."""
    response: HandlerResponse = api.request(method, path, body, key=token, **headers)
    return response


def decoded(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token, without any check."""
    header, claims, _ = token.split(".")
    return _json(header), _json(claims)


def encoded(
    header: Mapping[str, Any], claims: Mapping[str, Any], key: str = TOKEN_KEYS["k1"]
) -> str:
    """A JWT with any header and claims. Its signature is an HMAC of the header's algorithm, SHA-256 for
    others; empty for `none`."""
    signed = f"{_base64(json.dumps(header))}.{_base64(json.dumps(claims))}"
    algorithm = header.get("alg", "HS256")
    hashed = HASHES.get(algorithm, hashlib.sha256)
    signature = hmac.new(key.encode(), signed.encode(), hashed).digest()
    return f"{signed}.{_base64(b'' if algorithm == 'none' else signature)}"


def forged(
    token: str,
    *,
    header: Mapping[str, Any] | None = None,
    key: str = TOKEN_KEYS["k1"],
    **claims: Any,
) -> str:
    """The token with other header fields and claims, signed by `key`; REMOVED drops one."""
    old_header, old_claims = decoded(token)
    return encoded(_changed(old_header, header or {}), _changed(old_claims, claims), key)


def change_item(api: Api, token_id: str, **changed: Any) -> None:
    """Change attributes of the token's item."""
    table = Table(api.cloud.client("dynamodb"), api.cloud.table_name)
    token = replace(token_from_item(table.get(token_pk(token_id))), **changed)
    item = token_to_item(token)
    if token.revoked_at is not None:
        item["revoked_at"] = token.revoked_at
    table.put(PutItem(item=item, condition=Condition((absent("never"),))))


def remove_item(api: Api, token_id: str) -> None:
    """Remove the token's item, as DynamoDB does after its end."""
    key = {"pk": {"S": token_pk(token_id)}}
    api.cloud.client("dynamodb").delete_item(TableName=api.cloud.table_name, Key=key)


def stored(api: Api, token_id: str) -> Token | None:
    """The token as its item says."""
    return TokenRepository(Table(api.cloud.client("dynamodb"), api.cloud.table_name)).get(token_id)


def put_secret(api: Api, secret: str, values: Mapping[str, Any]) -> None:
    """Write a secret, and let the handler read it now."""
    api.cloud.client("secretsmanager").put_secret_value(
        SecretId=secret, SecretString=json.dumps(values)
    )
    dependencies = api.handler_module.dependencies
    dependencies.token_keys.secret.get(max_age_s=-1)
    dependencies.api_keys.secret.get(max_age_s=-1)


def _changed(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in {**old, **changes}.items() if v != REMOVED}


def _base64(content: str | bytes) -> str:
    raw = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _json(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
