"""The callback URL is the key: one path opens, all its neighbours do not."""

import base64
import hashlib
import hmac
import string

import pytest

from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import derive_task_id

KEYS = {"k1": "first-key", "k2": "second-key", "empty": ""}
TASK_ID = derive_task_id("owner", "key")
MAC = signed_urls.callback_token("first-key", TASK_ID)


def test_the_path_that_is_handed_out_opens() -> None:
    path = signed_urls.callback_path("k1", KEYS["k1"], TASK_ID)

    assert path == f"/callbacks/poyo/k1/{TASK_ID}/{MAC}"
    assert signed_urls.verify_callback(KEYS, "k1", TASK_ID, MAC)


def test_a_mac_is_43_characters_of_a_url() -> None:
    assert len(MAC) == 43
    assert set(MAC) <= set(string.ascii_letters + string.digits + "-_")


@pytest.mark.parametrize("position", range(43))
def test_no_character_of_the_mac_can_be_another(position: int) -> None:
    for other in string.ascii_letters + string.digits + "-_":
        forged = MAC[:position] + other + MAC[position + 1 :]

        assert signed_urls.verify_callback(KEYS, "k1", TASK_ID, forged) is (forged == MAC)


@pytest.mark.parametrize(
    ("kid", "task_id", "presented"),
    [
        ("k2", TASK_ID, MAC),
        ("k3", TASK_ID, MAC),
        ("", TASK_ID, MAC),
        ("k1", derive_task_id("owner", "other"), MAC),
        ("k1", TASK_ID.upper(), MAC),
        ("k1", TASK_ID[:-1], MAC),
        ("k1", "", MAC),
        ("k1", TASK_ID, ""),
        ("k1", TASK_ID, MAC[:-1]),
        ("k1", TASK_ID, MAC + "A"),
        ("k1", TASK_ID, MAC + "="),
        ("k1", TASK_ID, MAC + "\n"),
        ("k1", TASK_ID, MAC.upper()),
        ("k1", TASK_ID, "ü" * 43),
        ("k1", TASK_ID, "A" * 10_000),
        ("k1", TASK_ID + "\0", MAC),
        ("k1", f"{TASK_ID}/", MAC),
        ("empty", TASK_ID, signed_urls.callback_token("", TASK_ID)),
        ("k3", TASK_ID, signed_urls.callback_token("", TASK_ID)),
    ],
)
def test_nothing_else_opens(kid: str, task_id: str, presented: str) -> None:
    assert not signed_urls.verify_callback(KEYS, kid, task_id, presented)


def test_while_keys_rotate_both_open_and_afterwards_one() -> None:
    older = signed_urls.callback_token("first-key", TASK_ID)
    newer = signed_urls.callback_token("second-key", TASK_ID)

    assert signed_urls.verify_callback(KEYS, "k1", TASK_ID, older)
    assert signed_urls.verify_callback(KEYS, "k2", TASK_ID, newer)
    assert not signed_urls.verify_callback({"k2": "second-key"}, "k1", TASK_ID, older)


def test_a_mac_made_for_another_purpose_does_not_open() -> None:
    bare = hmac.digest(b"first-key", TASK_ID.encode(), hashlib.sha256)

    assert not signed_urls.verify_callback(
        KEYS, "k1", TASK_ID, base64.urlsafe_b64encode(bare).decode().rstrip("=")
    )
