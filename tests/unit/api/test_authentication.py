"""Who calls: the owner that a server key and a user stand for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from imagetasks.api.api_gateway import HttpEvent
from imagetasks.api.authentication import authenticate
from imagetasks.api.dependencies import ApiDependencies


class Keys:
    """Server keys whose name is the key itself."""

    def owner_for_key(self, key: str) -> str:
        return key


def dependencies() -> ApiDependencies:
    return cast(ApiDependencies, SimpleNamespace(api_keys=Keys()))


def owner(key: str, user: str) -> str:
    headers = {"authorization": f"Bearer {key}", "x-owner": user}
    event = HttpEvent(
        "GET", "/v1/tasks", headers, {}, b"", domain_name="api.example", request_id="request"
    )
    return authenticate(event, dependencies(), "tasks:read").owner


def test_no_two_pairs_of_key_and_user_are_the_same_owner() -> None:
    assert owner("shop", "ann") == "shop/ann"
    assert owner("shopa", "nn") != owner("shop", "ann")
