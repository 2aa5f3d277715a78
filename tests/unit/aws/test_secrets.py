"""Secrets: they are cached, read again when that can help, and invalid ones are named before a submit."""

import hashlib
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from imagetasks.aws.secrets import ApiKeys, CachedSecret, CallbackKeys
from imagetasks.errors import SecretInvalid, SecretUnavailable
from tests.support.fakes import FakeSecretsClient, ManualClock, client_error


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


API_SECRET = {"poyo_api_key": "sk-1", "server_keys": {"alice": digest("a"), "bob": digest("b")}}
CALLBACK_SECRET = {
    "current": "k2",
    "k1": "one",
    "k2": "two",
    "poyo_callback_signing_key": " whsec ",
}


def cached_secret(value: object) -> tuple[CachedSecret, FakeSecretsClient, ManualClock]:
    client, clock = FakeSecretsClient(value), ManualClock()
    return CachedSecret(cast(Any, client), "arn", clock.seconds), client, clock


def test_secret_is_read_once_in_five_minutes() -> None:
    secret, client, clock = cached_secret(API_SECRET)

    for _ in range(4):
        secret.get()
        clock.forward(99)
    assert client.reads == 1
    secret.get()

    assert client.reads == 2


@pytest.mark.parametrize(
    "failure", [client_error("Throttling"), EndpointConnectionError(endpoint_url="x")]
)
def test_cached_secret_is_used_when_secrets_manager_fails_and_without_one_it_raises(
    failure: Exception,
) -> None:
    secret, client, clock = cached_secret(API_SECRET)
    assert secret.get()["poyo_api_key"] == "sk-1"
    clock.forward(400)
    client.value = failure
    assert secret.get()["poyo_api_key"] == "sk-1"

    uncached, _, _ = cached_secret(failure)
    with pytest.raises(SecretUnavailable):
        uncached.get()


@pytest.mark.parametrize("value", ["", "not json", "[]", '"text"', "null", "7", "{", "[" * 100_000])
def test_secret_that_is_no_json_object_is_named_and_not_shown(value: str) -> None:
    secret, _, _ = cached_secret(value)

    with pytest.raises(SecretInvalid) as invalid:
        secret.get()

    assert str(invalid.value).startswith("arn ")


def test_invalid_new_value_leaves_the_old_one_in_use() -> None:
    secret, client, clock = cached_secret(API_SECRET)
    secret.get()
    clock.forward(400)
    client.value = "invalid"

    assert secret.get() == API_SECRET


@pytest.mark.parametrize("pasted", ["sk-1", " sk-1\n", '"sk-1"', "'sk-1'\n", '"sk-1\n"', "\tsk-1"])
def test_quotes_and_white_space_around_poyos_key_are_removed(pasted: str) -> None:
    secret, _, _ = cached_secret(API_SECRET | {"poyo_api_key": pasted})

    assert ApiKeys(secret).poyo_key() == "sk-1"


@pytest.mark.parametrize("key", ["", "  ", '""', None, "sk-…", "sk-1 sk-2", "sk-1\nsk-2", {"a": 1}])
def test_impossible_poyo_key_raises_secret_invalid_before_it_is_sent(key: object) -> None:
    secret, _, _ = cached_secret(API_SECRET | {"poyo_api_key": key})

    with pytest.raises(SecretInvalid, match=r"cli\.keys"):
        ApiKeys(secret).poyo_key()


def test_server_key_has_its_owner_and_an_unknown_key_has_none() -> None:
    keys = ApiKeys(cached_secret(API_SECRET)[0])

    assert (keys.owner_for_key("a"), keys.owner_for_key("b")) == ("alice", "bob")
    for unknown in ("", "A", "a ", digest("a"), "alice", "\ud83d", "ü"):
        assert keys.owner_for_key(unknown) is None


@pytest.mark.parametrize("server_keys", [None, [], "text", 7, {}, {"alice": None}, {"alice": "ü"}])
def test_invalid_list_of_server_keys_has_no_owner(server_keys: object) -> None:
    keys = ApiKeys(cached_secret(API_SECRET | {"server_keys": server_keys})[0])

    for key in ("a", "", "None", "ü"):
        assert keys.owner_for_key(key) is None


def test_new_server_key_is_valid_within_a_minute_and_unknown_keys_cost_one_read() -> None:
    secret, client, clock = cached_secret(API_SECRET)
    keys = ApiKeys(secret)
    keys.owner_for_key("a")
    client.value = API_SECRET | {"server_keys": {"carol": digest("c")}}

    for _ in range(50):
        assert keys.owner_for_key("c") is None
    assert client.reads == 1
    clock.forward(61)

    assert keys.owner_for_key("c") == "carol"
    assert client.reads == 2


def test_refresh_finds_a_rotated_poyo_key_and_a_wrong_key_costs_one_read_in_five_seconds() -> None:
    secret, client, clock = cached_secret(API_SECRET)
    keys = ApiKeys(secret)
    key = keys.poyo_key()
    for _ in range(10):
        assert not keys.refresh_key(key)
    assert client.reads == 2
    clock.forward(6)
    assert not keys.refresh_key(key)
    client.value = API_SECRET | {"poyo_api_key": "sk-2"}
    clock.forward(6)

    assert keys.refresh_key(key)
    assert keys.poyo_key() == "sk-2"


def test_refresh_finds_a_key_that_was_rotated_just_after_it_was_read() -> None:
    secret, client, _ = cached_secret(API_SECRET)
    keys = ApiKeys(secret)
    key = keys.poyo_key()
    client.value = API_SECRET | {"poyo_api_key": "sk-2"}

    assert keys.refresh_key(key)


def test_refresh_reads_an_expired_secret_once_and_finds_the_new_key() -> None:
    secret, client, clock = cached_secret(API_SECRET)
    keys = ApiKeys(secret)
    key = keys.poyo_key()
    client.value = API_SECRET | {"poyo_api_key": "sk-2"}
    clock.forward(301)

    assert keys.refresh_key(key)
    assert client.reads == 2


def test_removed_key_is_no_new_key() -> None:
    secret, client, clock = cached_secret(API_SECRET)
    keys = ApiKeys(secret)
    key = keys.poyo_key()
    client.value = API_SECRET | {"poyo_api_key": ""}
    clock.forward(6)

    assert not keys.refresh_key(key)


def test_callback_secret_has_the_current_key_all_keys_and_the_signing_key() -> None:
    keys = CallbackKeys(cached_secret(CALLBACK_SECRET)[0])

    assert keys.current() == ("k2", "two")
    assert keys.all() == {"k1": "one", "k2": "two"}
    assert keys.poyo_callback_signing_key() == "whsec"


@pytest.mark.parametrize(
    "value", [{}, {"current": "k1"}, {"current": "k9", "k1": "x"}, {"current": "k1", "k1": ""}]
)
def test_missing_current_key_raises_secret_invalid(value: object) -> None:
    with pytest.raises(SecretInvalid, match="current"):
        CallbackKeys(cached_secret(value)[0]).current()


def test_settings_of_the_callback_secret_are_no_keys() -> None:
    keys = CallbackKeys(cached_secret(CALLBACK_SECRET)[0])

    assert not {"current", "poyo_callback_signing_key"} & set(keys.keys_for("current"))


def test_unknown_key_id_costs_at_most_one_read_a_minute() -> None:
    secret, client, clock = cached_secret(CALLBACK_SECRET)
    keys = CallbackKeys(secret)
    keys.all()
    for second in range(120):
        for unknown in ("k9", "", "../k1"):
            keys.keys_for(f"{unknown}{second}")
        keys.keys_for("k1")
        clock.forward(1)

    assert client.reads <= 3


def test_new_key_id_is_read_when_it_is_first_used() -> None:
    secret, client, clock = cached_secret(CALLBACK_SECRET)
    keys = CallbackKeys(secret)
    keys.all()
    client.value = CALLBACK_SECRET | {"k3": "three"}
    clock.forward(61)

    assert keys.keys_for("k3")["k3"] == "three"


def test_repr_of_keys_contains_no_key() -> None:
    secret, _, _ = cached_secret(API_SECRET | {"k1": "canary-key", "current": "k1"})
    secret.get()

    for holder in (secret, ApiKeys(secret), CallbackKeys(secret)):
        assert "sk-1" not in repr(holder)
        assert "canary-key" not in repr(holder)
