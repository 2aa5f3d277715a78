"""PoYo's signature: the published test vector is valid, every change of it is not."""

import pytest

from imagetasks.poyo.signature import headers as signature_headers
from imagetasks.poyo.signature import verify

# PoYo's page on callbacks publishes this test vector.
KEY = "whsec_test_0123456789abcdef"
POYO_ID = "TESTTASK00000001"
TIMESTAMP = "1783680000"
SIGNATURE = "qqzOEP5mSb02XNuqZNFOUhvhuj+hSHI3GW7s2UaOpCU="
HEADERS = {"x-webhook-timestamp": TIMESTAMP, "x-webhook-signature": SIGNATURE}


def test_published_test_vector_is_valid() -> None:
    assert verify(KEY, POYO_ID, HEADERS)


def test_notification_headers_carry_the_published_signature() -> None:
    assert signature_headers(KEY, POYO_ID, int(TIMESTAMP)) == {
        "X-Webhook-Timestamp": TIMESTAMP,
        "X-Webhook-Signature": SIGNATURE,
    }


@pytest.mark.parametrize("key", [KEY, "", "ключ"])
def test_receiver_that_verifies_poyos_callbacks_accepts_our_notifications(key: str) -> None:
    received = {name.lower(): value for name, value in signature_headers(key, "task", 1).items()}

    assert verify(key, "task", received)
    assert not verify(key, "another", received)
    assert not verify(f"{key}x", "task", received)


@pytest.mark.parametrize(
    ("key", "poyo_id", "changed"),
    [
        ("whsec_other", POYO_ID, {}),
        (KEY, "TESTTASK00000002", {}),
        (KEY, POYO_ID, {"x-webhook-timestamp": "1783680001"}),
        (KEY, POYO_ID, {"x-webhook-signature": SIGNATURE[:-1]}),
        (KEY, POYO_ID, {"x-webhook-signature": ""}),
        (KEY, POYO_ID, {"x-webhook-signature": "ü" * 44}),
        (KEY, POYO_ID, {"x-webhook-timestamp": "\ud83d"}),
    ],
)
def test_changed_key_id_timestamp_or_signature_is_invalid(
    key: str, poyo_id: str, changed: dict[str, str]
) -> None:
    assert not verify(key, poyo_id, HEADERS | changed)


def test_missing_headers_are_invalid() -> None:
    assert not verify(KEY, POYO_ID, {})
