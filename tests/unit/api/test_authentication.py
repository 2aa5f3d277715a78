"""Who calls: the owner that a server key and a user stand for."""

from __future__ import annotations

from typing import cast

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from imagetasks.api.authentication import authenticate
from imagetasks.aws.secrets import ApiKeys


class Keys:
    """Server keys whose name is the key itself."""

    def owner_for_key(self, key: str) -> str:
        return key


def owner(key: str, user: str) -> str:
    headers = {"authorization": f"Bearer {key}", "x-owner": user}
    return authenticate(APIGatewayProxyEventV2({"headers": headers}), cast(ApiKeys, Keys()))


def test_no_two_pairs_of_key_and_user_are_the_same_owner() -> None:
    assert owner("shop", "ann") == "shop/ann"
    assert owner("shopa", "nn") != owner("shop", "ann")
