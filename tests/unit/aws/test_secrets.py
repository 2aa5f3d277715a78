"""Secrets: read seldom, read again when it helps, and wrong ones named before they cost money."""

import hashlib
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from imagetasks.aws.secrets import ApiKeys, CachedSecret, CallbackKeys
from imagetasks.errors import SecretInvalid, SecretUnavailable
from tests.support.fakes import FakeSecretsClient, ManualClock, client_error


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


GOOD = {"poyo_api_key": "sk-1", "server_keys": {"alice": digest("a"), "bob": digest("b")}}
CALLBACKS = {"current": "k2", "k1": "one", "k2": "two", "poyo_callback_signing_key": " whsec "}


def secret(value: object) -> tuple[CachedSecret, FakeSecretsClient, ManualClock]:
    client, clock = FakeSecretsClient(value), ManualClock()
    return CachedSecret(cast(Any, client), "arn", clock.seconds), client, clock


def test_a_secret_is_read_once_in_five_minutes() -> None:
    kept, client, clock = secret(GOOD)

    for _ in range(4):
        kept.get()
        clock.forward(99)
    assert client.reads == 1
    kept.get()

    assert client.reads == 2


@pytest.mark.parametrize(
    "failure", [client_error("Throttling"), EndpointConnectionError(endpoint_url="x")]
)
def test_an_old_secret_is_better_than_none_and_none_says_so(failure: Exception) -> None:
    kept, client, clock = secret(GOOD)
    assert kept.get()["poyo_api_key"] == "sk-1"
    clock.forward(400)
    client.value = failure
    assert kept.get()["poyo_api_key"] == "sk-1"

    without, _, _ = secret(failure)
    with pytest.raises(SecretUnavailable):
        without.get()


@pytest.mark.parametrize("value", ["", "not json", "[]", '"text"', "null", "7", "{", "[" * 100_000])
def test_a_secret_that_is_no_object_is_named_and_not_shown(value: str) -> None:
    kept, _, _ = secret(value)

    with pytest.raises(SecretInvalid) as invalid:
        kept.get()

    assert str(invalid.value).startswith("arn ")


def test_a_secret_that_was_spoilt_later_leaves_the_old_one_in_use() -> None:
    kept, client, clock = secret(GOOD)
    kept.get()
    clock.forward(400)
    client.value = "spoilt"

    assert kept.get() == GOOD


@pytest.mark.parametrize("pasted", ["sk-1", " sk-1\n", '"sk-1"', "'sk-1'\n", '"sk-1\n"', "\tsk-1"])
def test_a_careless_paste_of_poyos_key_is_mended(pasted: str) -> None:
    kept, _, _ = secret(GOOD | {"poyo_api_key": pasted})

    assert ApiKeys(kept).poyo_key() == "sk-1"


@pytest.mark.parametrize("key", ["", "  ", '""', None, "sk-…", "sk-1 sk-2", "sk-1\nsk-2", {"a": 1}])
def test_what_cannot_be_a_key_is_said_before_it_is_sent(key: object) -> None:
    kept, _, _ = secret(GOOD | {"poyo_api_key": key})

    with pytest.raises(SecretInvalid, match=r"cli\.keys"):
        ApiKeys(kept).poyo_key()


def test_a_server_key_gives_its_name_and_a_strangers_none() -> None:
    keys = ApiKeys(secret(GOOD)[0])

    assert (keys.owner_for_key("a"), keys.owner_for_key("b")) == ("alice", "bob")
    for stranger in ("", "A", "a ", digest("a"), "alice", "\ud83d", "ü"):
        assert keys.owner_for_key(stranger) is None


@pytest.mark.parametrize("listed", [None, [], "text", 7, {}, {"alice": None}, {"alice": "ü"}])
def test_a_spoilt_list_of_server_keys_lets_nobody_in(listed: object) -> None:
    keys = ApiKeys(secret(GOOD | {"server_keys": listed})[0])

    for key in ("a", "", "None", "ü"):
        assert keys.owner_for_key(key) is None


def test_a_new_server_key_is_known_within_a_minute_and_a_flood_costs_one_read() -> None:
    kept, client, clock = secret(GOOD)
    keys = ApiKeys(kept)
    keys.owner_for_key("a")
    client.value = GOOD | {"server_keys": {"carol": digest("c")}}

    for _ in range(50):
        assert keys.owner_for_key("c") is None
    assert client.reads == 1
    clock.forward(61)

    assert keys.owner_for_key("c") == "carol"
    assert client.reads == 2


def test_a_rotated_poyo_key_is_found_and_a_wrong_one_costs_one_read_in_five_seconds() -> None:
    kept, client, clock = secret(GOOD)
    keys = ApiKeys(kept)
    key = keys.poyo_key()
    for _ in range(10):
        assert not keys.refresh_key(key)
    assert client.reads == 2
    clock.forward(6)
    assert not keys.refresh_key(key)
    client.value = GOOD | {"poyo_api_key": "sk-2"}
    clock.forward(6)

    assert keys.refresh_key(key)
    assert keys.poyo_key() == "sk-2"


def test_a_key_rotated_just_after_it_was_read_is_found_at_the_first_refusal() -> None:
    kept, client, _ = secret(GOOD)
    keys = ApiKeys(kept)
    key = keys.poyo_key()
    client.value = GOOD | {"poyo_api_key": "sk-2"}

    assert keys.refresh_key(key)


def test_a_key_that_was_read_again_while_poyo_refused_it_has_been_renewed() -> None:
    kept, client, clock = secret(GOOD)
    keys = ApiKeys(kept)
    key = keys.poyo_key()
    client.value = GOOD | {"poyo_api_key": "sk-2"}
    clock.forward(301)

    assert keys.refresh_key(key)
    assert client.reads == 2


def test_a_key_that_is_gone_is_no_new_key() -> None:
    kept, client, clock = secret(GOOD)
    keys = ApiKeys(kept)
    key = keys.poyo_key()
    client.value = GOOD | {"poyo_api_key": ""}
    clock.forward(6)

    assert not keys.refresh_key(key)


def test_callback_urls_are_made_with_the_current_key_and_every_key_opens() -> None:
    keys = CallbackKeys(secret(CALLBACKS)[0])

    assert keys.current() == ("k2", "two")
    assert keys.all() == {"k1": "one", "k2": "two"}
    assert keys.poyo_callback_signing_key() == "whsec"


@pytest.mark.parametrize(
    "value", [{}, {"current": "k1"}, {"current": "k9", "k1": "x"}, {"current": "k1", "k1": ""}]
)
def test_a_current_key_that_is_not_there_is_named(value: object) -> None:
    with pytest.raises(SecretInvalid, match="current"):
        CallbackKeys(secret(value)[0]).current()


def test_settings_are_no_keys() -> None:
    keys = CallbackKeys(secret(CALLBACKS)[0])

    assert not {"current", "poyo_callback_signing_key"} & set(keys.keys_for("current"))


def test_an_unknown_key_id_costs_at_most_one_read_a_minute() -> None:
    kept, client, clock = secret(CALLBACKS)
    keys = CallbackKeys(kept)
    keys.all()
    for second in range(120):
        for stranger in ("k9", "", "../k1"):
            keys.keys_for(f"{stranger}{second}")
        keys.keys_for("k1")
        clock.forward(1)

    assert client.reads <= 3


def test_a_new_key_id_is_known_when_it_is_first_used() -> None:
    kept, client, clock = secret(CALLBACKS)
    keys = CallbackKeys(kept)
    keys.all()
    client.value = CALLBACKS | {"k3": "three"}
    clock.forward(61)

    assert keys.keys_for("k3")["k3"] == "three"
