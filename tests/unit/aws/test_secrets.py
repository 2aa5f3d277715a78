"""Secrets: they are cached, read again when that can help, and invalid ones are named before a submit."""

import hashlib
import time
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from imagetasks.aws.secrets import ApiKeys, CachedSecret, CallbackKeys
from imagetasks.errors import SecretInvalid, SecretUnavailable
from tests.support.fakes import FakeSecretsClient, ManualClock, client_error
from tests.support.lambdas import captured_logs


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


def test_secret_is_read_once_in_thirty_seconds() -> None:
    secret, client, clock = cached_secret(API_SECRET)

    for _ in range(4):
        secret.get()
        clock.forward(10)
    assert client.reads == 1
    secret.get()

    assert client.reads == 2


def test_removed_server_key_stops_working_within_thirty_seconds() -> None:
    secret, client, clock = cached_secret(API_SECRET)
    keys = ApiKeys(secret)
    assert keys.owner_for_key("a") == "alice"
    client.value = API_SECRET | {"server_keys": {"bob": digest("b")}}

    clock.forward(31)

    assert keys.owner_for_key("a") is None


def test_age_is_counted_while_the_function_is_frozen() -> None:
    """The monotonic clock of a frozen function may stop."""
    assert CachedSecret(cast(Any, FakeSecretsClient({})), "arn").clock is time.time


@pytest.mark.parametrize("readable", [True, False])
def test_secret_is_read_again_when_the_clock_was_set_back(*, readable: bool) -> None:
    secret, client, clock = cached_secret(API_SECRET)
    keys = ApiKeys(secret)
    assert keys.owner_for_key("a") == "alice"
    client.value = API_SECRET | {"server_keys": {"bob": digest("b")}}

    clock.forward(-3600)

    if readable:
        assert keys.owner_for_key("a") is None
    else:
        client.value = client_error("AccessDeniedException")
        with pytest.raises(SecretUnavailable):
            keys.owner_for_key("a")


UNREADABLE = [
    client_error("Throttling"),
    client_error("AccessDeniedException"),
    EndpointConnectionError(endpoint_url="x"),
    "not json",
    "[]",
]


@pytest.mark.parametrize("failure", UNREADABLE, ids=repr)
def test_last_value_is_used_for_fifteen_minutes_and_each_failed_read_raises_an_alarm(
    failure: object,
) -> None:
    secret, client, clock = cached_secret(API_SECRET)
    secret.get()
    client.value = failure
    with captured_logs() as log:
        for _ in range(27):
            clock.forward(31)
            assert secret.get() == API_SECRET
        assert client.reads == 28
        assert log.getvalue().count("secret_refresh_failed") == 27
        clock.forward(64)  # 901 s

        with pytest.raises((SecretUnavailable, SecretInvalid)):
            secret.get()


def test_invocation_that_began_with_a_key_can_finish_with_it() -> None:
    """An order checks its keys, writes its item and only then uses them."""
    secret, client, clock = cached_secret(API_SECRET)
    secret.get()
    client.value = client_error("Throttling")
    clock.forward(839)
    assert secret.get() == API_SECRET

    for _ in range(6):
        clock.forward(10)
        assert secret.get() == API_SECRET
    clock.forward(1)  # 900 s

    with pytest.raises(SecretUnavailable):
        secret.get()


@pytest.mark.parametrize("failure", UNREADABLE, ids=repr)
def test_function_that_was_idle_for_fifteen_minutes_uses_no_old_value(failure: object) -> None:
    secret, client, clock = cached_secret(API_SECRET)
    secret.get()
    client.value = failure
    clock.forward(901)

    for _ in range(2):
        with pytest.raises((SecretUnavailable, SecretInvalid)):
            secret.get()
    client.value = API_SECRET

    assert secret.get() == API_SECRET


@pytest.mark.parametrize(
    ("failure", "passing"),
    [
        (client_error("Throttling"), True),
        (EndpointConnectionError(endpoint_url="x"), True),
        (client_error("AccessDeniedException"), False),
        (client_error("ResourceNotFoundException"), False),
    ],
)
def test_unreadable_secret_without_a_last_value_says_whether_that_passes(
    failure: Exception, passing: bool
) -> None:
    secret, _, _ = cached_secret(failure)

    with captured_logs() as log, pytest.raises(SecretUnavailable) as raised:
        secret.get()

    assert raised.value.passing is passing
    assert "secret_refresh_failed" in log.getvalue()


@pytest.mark.parametrize("value", ["", "not json", "[]", '"text"', "null", "7", "{", "[" * 100_000])
def test_secret_that_is_no_json_object_is_named_and_not_shown(value: str) -> None:
    secret, _, _ = cached_secret(value)

    with pytest.raises(SecretInvalid) as invalid:
        secret.get()

    assert str(invalid.value).startswith("arn ")


@pytest.mark.parametrize("pasted", ["sk-1", " sk-1\n", '"sk-1"', "'sk-1'\n", '"sk-1\n"', "\tsk-1"])
def test_quotes_and_white_space_around_poyos_key_are_removed(pasted: str) -> None:
    secret, _, _ = cached_secret(API_SECRET | {"poyo_api_key": pasted})

    assert ApiKeys(secret).poyo_key() == "sk-1"


@pytest.mark.parametrize("key", ["", "  ", '""', None, "sk-…", "sk-1 sk-2", "sk-1\nsk-2", {"a": 1}])
def test_impossible_poyo_key_raises_secret_invalid_before_it_is_sent(key: object) -> None:
    secret, _, _ = cached_secret(API_SECRET | {"poyo_api_key": key})

    with pytest.raises(SecretInvalid, match="stack keys"):
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


@pytest.mark.parametrize("name", ["alice/bob", "/", "alice/", ""])
def test_server_key_whose_name_would_act_for_another_owner_is_refused(name: str) -> None:
    secret, _, _ = cached_secret(
        API_SECRET | {"server_keys": {name: digest("c"), "dave": digest("d")}}
    )
    keys = ApiKeys(secret)

    assert keys.owner_for_key("c") is None
    assert keys.owner_for_key("d") == "dave"


def test_new_server_key_is_valid_within_thirty_seconds_and_unknown_keys_cost_no_read() -> None:
    secret, client, clock = cached_secret(API_SECRET)
    keys = ApiKeys(secret)
    keys.owner_for_key("a")
    client.value = API_SECRET | {"server_keys": {"carol": digest("c")}}

    for _ in range(50):
        assert keys.owner_for_key("c") is None
    assert client.reads == 1
    clock.forward(31)

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
    clock.forward(31)

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


@pytest.mark.parametrize("value", [None, 7, True, ["one"], {"a": 1}])
def test_value_that_is_no_text_is_no_key(value: object) -> None:
    """JSON's null would otherwise be the key "None", which anybody can sign with."""
    callback = CallbackKeys(cached_secret(CALLBACK_SECRET | {"k1": value, "k3": value})[0])
    api = ApiKeys(cached_secret(API_SECRET | {"poyo_api_key": value})[0])

    assert {name: key for name, key in callback.all().items() if key} == {"k2": "two"}
    with pytest.raises(SecretInvalid, match="poyo_api_key"):
        api.poyo_key()


@pytest.mark.parametrize("value", [7, True, ["one"], {"a": 1}])
def test_optional_key_that_is_no_text_raises_secret_invalid(value: object) -> None:
    """Without it nothing would be verified or signed."""
    callback = CallbackKeys(
        cached_secret(CALLBACK_SECRET | {"poyo_callback_signing_key": value})[0]
    )
    api = ApiKeys(cached_secret({"notification_signing_keys": {"alice": value}})[0])

    with pytest.raises(SecretInvalid, match="poyo_callback_signing_key"):
        callback.poyo_callback_signing_key()
    with pytest.raises(SecretInvalid, match="alice"):
        api.notification_signing_key("alice/user")
    assert api.notification_signing_key("bob") == ""


@pytest.mark.parametrize("value", ["text", 7, ["one"]])
def test_signing_keys_that_are_no_object_raise_secret_invalid(value: object) -> None:
    with pytest.raises(SecretInvalid, match="notification_signing_keys"):
        ApiKeys(cached_secret({"notification_signing_keys": value})[0]).notification_signing_key(
            "alice"
        )


@pytest.mark.parametrize("secret", [{}, {"poyo_callback_signing_key": None}])
def test_optional_key_may_be_missing_or_null(secret: dict[str, object]) -> None:
    empty = {"notification_signing_keys": None}

    assert CallbackKeys(cached_secret(secret)[0]).poyo_callback_signing_key() == ""
    assert ApiKeys(cached_secret(secret | empty)[0]).notification_signing_key("alice") == ""


def test_new_callback_key_is_known_within_thirty_seconds() -> None:
    secret, client, clock = cached_secret(CALLBACK_SECRET)
    keys = CallbackKeys(secret)
    keys.all()
    client.value = CALLBACK_SECRET | {"k3": "three"}
    clock.forward(31)

    assert keys.all()["k3"] == "three"


def test_repr_of_keys_contains_no_key() -> None:
    secret, _, _ = cached_secret(API_SECRET | {"k1": "canary-key", "current": "k1"})
    secret.get()

    for holder in (secret, ApiKeys(secret), CallbackKeys(secret)):
        assert "sk-1" not in repr(holder)
        assert "canary-key" not in repr(holder)
