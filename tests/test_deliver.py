"""A client's own callback: signed, sent once, and never to where a stranger must not lead us."""

import pytest

from imagetasks.poyo import signed
from imagetasks.signature import sign

KEY = "whsec_test_0123456789abcdef"
VECTOR = "qqzOEP5mSb02XNuqZNFOUhvhuj+hSHI3GW7s2UaOpCU="


# What proves that it was us


def test_the_published_check_vector_is_what_we_sign() -> None:
    assert sign(KEY, "TESTTASK00000001", 1783680000) == {
        "X-Webhook-Timestamp": "1783680000",
        "X-Webhook-Signature": VECTOR,
    }


@pytest.mark.parametrize("key", [KEY, "", "ключ"])
def test_what_we_sign_is_what_a_receiver_of_poyos_callbacks_accepts(key: str) -> None:
    headers = {name.lower(): value for name, value in sign(key, "task", 1).items()}

    assert signed(key, "task", headers)
    assert not signed(key, "another", headers)
    assert not signed(f"{key}x", "task", headers)
