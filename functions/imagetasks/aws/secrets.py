"""The three secrets: keys of PoYo and of our own callers, of the callback URLs and of browser tokens."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from imagetasks import telemetry
from imagetasks.aws import translated
from imagetasks.errors import SecretInvalid, SecretUnavailable
from imagetasks.tasks.caller import OWNER_SEPARATOR

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

MAX_AGE_S = 30.0  # a removed key stops working so soon; each function reads a secret as often
HARD_MAX_AGE_S = 840.0  # nobody knows what has changed since, so that an older value is not used,
INVOCATION_S = 60.0  # except by an invocation that began with it: 15 minutes at most together
REFRESH_AFTER_S = 5.0  # a series of 401 from PoYo causes at most one read in five seconds
MIN_TOKEN_KEY_CHARS = 32  # HS256 needs a key as long as its hash (RFC 7518, section 3.2)
KEY = re.compile(r"[!-~]+")  # the characters that an Authorization header can carry


@dataclass(slots=True, eq=False, repr=False)
class CachedSecret:
    """A JSON secret, read again when it is older than 30 s. If that fails, the operator has an alarm and
    the last value is used until it is 15 minutes old: an old key is better than none for a while.

    The wall clock says how old it is: the monotonic one may stop while Lambda keeps the function frozen
    (https://github.com/hashicorp/vault-lambda-extension/pull/150).
    """

    client: SecretsManagerClient
    arn: str
    clock: Callable[[], float] = time.time
    _values: Mapping[str, Any] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _tried_at: float = float("-inf")
    _granted_at: float = float("-inf")
    _refreshed_at: float = float("-inf")

    @classmethod
    def from_env(cls, client: SecretsManagerClient, variable: str) -> CachedSecret:
        """The secret whose ARN is in the environment variable named `variable`."""
        return cls(client, os.environ[variable])

    def get(self, *, max_age_s: float = MAX_AGE_S) -> Mapping[str, Any]:
        """The secret, read again if the last try is more than `max_age_s` seconds ago. Raises
        SecretInvalid or SecretUnavailable when it can be used no longer."""
        now = self.clock()
        if now < self._tried_at:  # the clock was set back: nobody knows how old the value is
            self._read_at = self._tried_at = self._granted_at = self._refreshed_at = float("-inf")
        old = now - self._read_at > HARD_MAX_AGE_S
        expired = old and now - self._granted_at > INVOCATION_S
        if expired or now - self._tried_at > max_age_s:
            self._tried_at = now
            try:
                self._values, self._read_at = self._fetch(), now
            except (SecretInvalid, SecretUnavailable) as error:
                telemetry.alarm("secret_refresh_failed", **telemetry.described(error))
                if expired:
                    raise
        if now - self._read_at <= HARD_MAX_AGE_S:
            self._granted_at = now
        return self._values

    def force_refresh(self) -> None:
        """Read the secret regardless of its age, at most once every 5 s. Called after PoYo rejected
        the key with 401."""
        if self.clock() - self._refreshed_at > REFRESH_AFTER_S:
            self._refreshed_at = self.clock()
            self.get(max_age_s=-1)

    def _fetch(self) -> Mapping[str, Any]:
        """The current value. Raises SecretInvalid if it is no JSON object, and SecretUnavailable."""
        try:
            values = json.loads(self.client.get_secret_value(SecretId=self.arn)["SecretString"])
        except (ClientError, BotoCoreError) as error:
            raise translated(error, SecretUnavailable) from error
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise SecretInvalid(f"{self.arn} is not a JSON object")
        return values


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ApiKeys:
    """`{"poyo_api_key": "sk-…", "server_keys": {"<name>": "<SHA-256 of the key in hex>" or a list of
    them}, "notification_signing_keys": {"<name>": "…"}}`"""

    secret: CachedSecret

    @classmethod
    def from_env(cls, client: SecretsManagerClient) -> ApiKeys:
        """The secret named by API_SECRET_ARN."""
        return cls(CachedSecret.from_env(client, "API_SECRET_ARN"))

    def poyo_key(self) -> str:
        """PoYo's API key, without quotes and newlines that were pasted with it. Raises
        SecretInvalid."""
        key = _text(self.secret.get().get("poyo_api_key")).strip().strip("\"'").strip()
        if not KEY.fullmatch(key):
            raise SecretInvalid("poyo_api_key is no key: put one with `imagetasks stack keys poyo`")
        return key

    def refresh_key(self, rejected: str) -> bool:
        """Whether there is another key than the one that PoYo rejected; refreshes if needed."""
        try:
            if self.poyo_key() == rejected:
                self.secret.force_refresh()
            return self.poyo_key() != rejected
        except SecretInvalid:
            return False

    def notification_signing_key(self, owner: str) -> str:
        """The key that signs notifications to callers with `owner`'s server key; empty for none.
        Raises SecretInvalid for a value that is no text."""
        keys = self.secret.get().get("notification_signing_keys") or {}
        if not isinstance(keys, dict):
            raise SecretInvalid("notification_signing_keys is no JSON object")
        return _optional(keys, owner.partition(OWNER_SEPARATOR)[0])

    def owner_for_key(self, key: str) -> str | None:
        """The name of the server key `key`, or None; every name is compared. A name that contains the
        separator is refused: it would act for a user of another name."""
        digest = _digest(key).encode()
        entries = self._server_keys().items()
        matching = [name for name, hashes in entries if _contains(hashes, digest)]
        return next((name for name in matching if name and OWNER_SEPARATOR not in name), None)

    def has_server_key(self, name: str, key_id: str) -> bool:
        """Whether the server key with this id is still one of `name`."""
        return key_id in map(_key_id, _several(self._server_keys().get(name)))

    def _server_keys(self) -> Mapping[str, Any]:
        names = self.secret.get().get("server_keys")
        return names if isinstance(names, dict) else {}


def server_key_id(key: str) -> str:
    """The id of a server key: another key under the same name has another one. It tells nothing of the key."""
    return _key_id(_digest(key))


def _key_id(stored: Any) -> str:
    """The id of the server key whose hash is `stored`."""
    return _digest(f"imagetasks server key id v1\0{stored}")[:32]


def _digest(text: str) -> str:
    """SHA-256 in hex, as the secret holds it of a server key."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _several(hashes: Any) -> list[Any]:
    """The hashes of a name, of which it has one or a list."""
    return hashes if isinstance(hashes, list) else [hashes]


def _contains(hashes: Any, digest: bytes) -> bool:
    """Whether one of the hashes of a name is `digest`; all of them are compared."""
    equal = [
        hmac.compare_digest(str(each).encode(errors="replace"), digest) for each in _several(hashes)
    ]
    return any(equal)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SigningKeys:
    """`{"current": "k1", "k1": "…", "k2": "…"}`: keys by id, of which one signs and all verify."""

    secret: CachedSecret

    def current(self) -> tuple[str, str]:
        """Id and value of the key that signs. Raises SecretInvalid."""
        kid = str(self.secret.get().get("current", ""))
        keys = self.all()
        if not keys.get(kid):
            raise SecretInvalid(f"current names {kid!r}, which is not one of {sorted(keys)}")
        return kid, keys[kid]

    def all(self) -> Mapping[str, str]:
        """Every key that may have signed, by its id. Only a text is a key: anybody could sign with
        the "None" that null would become."""
        values = self.secret.get()
        others = {"current", "poyo_callback_signing_key"}
        return {name: _text(key) for name, key in values.items() if name not in others}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CallbackKeys(SigningKeys):
    """Keys of the callback URLs, and `"poyo_callback_signing_key": "…"` (optional)."""

    @classmethod
    def from_env(cls, client: SecretsManagerClient) -> CallbackKeys:
        """The secret named by CALLBACK_SECRET_ARN."""
        return cls(CachedSecret.from_env(client, "CALLBACK_SECRET_ARN"))

    def poyo_callback_signing_key(self) -> str:
        """The key that PoYo signs its callbacks with; empty if it is not configured. Raises
        SecretInvalid for a value that is no text."""
        return _optional(self.secret.get(), "poyo_callback_signing_key").strip()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TokenKeys(SigningKeys):
    """Keys of the browser tokens. A shorter one could be guessed from a token: it is none."""

    @classmethod
    def from_env(cls, client: SecretsManagerClient) -> TokenKeys:
        """The secret named by TOKEN_SECRET_ARN."""
        return cls(CachedSecret.from_env(client, "TOKEN_SECRET_ARN"))

    def all(self) -> Mapping[str, str]:
        """Every key that may have signed a token, by its id."""
        keys = SigningKeys.all(self).items()
        return {kid: key for kid, key in keys if len(key) >= MIN_TOKEN_KEY_CHARS}


def _text(value: object) -> str:
    """The value of a key, empty unless it is a text."""
    return value if isinstance(value, str) else ""


def _optional(values: Mapping[str, Any], name: str) -> str:
    """The value of a key that may be missing or null. Raises SecretInvalid if it is no text, because
    without the key nothing would be signed or verified."""
    value = values.get(name)
    if not isinstance(value, str | None):
        raise SecretInvalid(f"{name} is no text")
    return value or ""
