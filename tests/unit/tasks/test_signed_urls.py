"""Signed URLs: the token of a task or file is valid for it, and every other token is not."""

import base64
import hashlib
import hmac
import string

import pytest

from imagetasks.tasks import signed_urls
from imagetasks.tasks.task import derive_task_id

KEYS = {"k1": "first-key", "k2": "second-key", "empty": ""}
TASK_ID = derive_task_id("owner", "key")
TOKEN = signed_urls.callback_token("first-key", TASK_ID)


def test_callback_path_has_a_valid_token() -> None:
    path = signed_urls.callback_path("k1", KEYS["k1"], TASK_ID)

    assert path == f"/callbacks/poyo/k1/{TASK_ID}/{TOKEN}"
    assert signed_urls.verify_callback(KEYS, "k1", TASK_ID, TOKEN)


def test_token_is_43_characters_of_base64url() -> None:
    assert len(TOKEN) == 43
    assert set(TOKEN) <= set(string.ascii_letters + string.digits + "-_")


@pytest.mark.parametrize("position", range(43))
def test_token_with_one_changed_character_is_invalid(position: int) -> None:
    for other in string.ascii_letters + string.digits + "-_":
        forged = TOKEN[:position] + other + TOKEN[position + 1 :]

        assert signed_urls.verify_callback(KEYS, "k1", TASK_ID, forged) is (forged == TOKEN)


@pytest.mark.parametrize(
    ("kid", "task_id", "token"),
    [
        ("k2", TASK_ID, TOKEN),
        ("k3", TASK_ID, TOKEN),
        ("", TASK_ID, TOKEN),
        ("k1", derive_task_id("owner", "other"), TOKEN),
        ("k1", TASK_ID.upper(), TOKEN),
        ("k1", TASK_ID[:-1], TOKEN),
        ("k1", "", TOKEN),
        ("k1", TASK_ID, ""),
        ("k1", TASK_ID, TOKEN[:-1]),
        ("k1", TASK_ID, TOKEN + "A"),
        ("k1", TASK_ID, TOKEN + "="),
        ("k1", TASK_ID, TOKEN + "\n"),
        ("k1", TASK_ID, TOKEN.upper()),
        ("k1", TASK_ID, "ü" * 43),
        ("k1", TASK_ID, "A" * 10_000),
        ("k1", TASK_ID + "\0", TOKEN),
        ("k1", f"{TASK_ID}/", TOKEN),
        ("empty", TASK_ID, signed_urls.callback_token("", TASK_ID)),
        ("k3", TASK_ID, signed_urls.callback_token("", TASK_ID)),
    ],
)
def test_any_other_key_task_or_token_is_invalid(kid: str, task_id: str, token: str) -> None:
    assert not signed_urls.verify_callback(KEYS, kid, task_id, token)


def test_both_keys_are_valid_during_a_rotation_and_only_the_new_one_afterwards() -> None:
    older = signed_urls.callback_token("first-key", TASK_ID)
    newer = signed_urls.callback_token("second-key", TASK_ID)

    assert signed_urls.verify_callback(KEYS, "k1", TASK_ID, older)
    assert signed_urls.verify_callback(KEYS, "k2", TASK_ID, newer)
    assert not signed_urls.verify_callback({"k2": "second-key"}, "k1", TASK_ID, older)


def test_token_without_the_callback_purpose_is_invalid() -> None:
    without_purpose = hmac.digest(b"first-key", TASK_ID.encode(), hashlib.sha256)

    assert not signed_urls.verify_callback(
        KEYS, "k1", TASK_ID, base64.urlsafe_b64encode(without_purpose).decode().rstrip("=")
    )


FILE_KEY = "a1" * 20
FILE_TOKEN = signed_urls.file_token(FILE_KEY, 0)


def test_file_path_has_a_valid_token() -> None:
    assert signed_urls.file_path(FILE_KEY, TASK_ID, 0) == f"/files/{TASK_ID}/0/{FILE_TOKEN}"
    assert signed_urls.verify_file(FILE_KEY, 0, FILE_TOKEN)


@pytest.mark.parametrize(
    ("key", "n", "token"),
    [
        (FILE_KEY, 1, FILE_TOKEN),
        ("b2" * 20, 0, FILE_TOKEN),
        (FILE_KEY, 0, FILE_TOKEN[:-1]),
        (FILE_KEY, 0, ""),
        (FILE_KEY, 0, "ü" * 43),
        (FILE_KEY, 0, signed_urls.callback_token(FILE_KEY, "0")),
        ("", 0, signed_urls.file_token("", 0)),
    ],
)
def test_file_token_is_invalid_for_any_other_file_or_key(key: str, n: int, token: str) -> None:
    assert not signed_urls.verify_file(key, n, token)
