"""The two secrets: what opens PoYo and our own API, and what opens the callback door."""

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

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from imagetasks.errors import SecretInvalid, SecretUnavailable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

MAX_AGE_S = 300.0
OWNER_SEPARATOR = "/"  # between a server key's name and the user it acts for
REFRESH_AFTER_S = 60.0  # a stranger's unknown key id costs at most one call a minute
RENEW_AFTER_S = 5.0  # PoYo saying 401 for long costs at most one call in five seconds
KEY = re.compile(r"[!-~]+")  # what an Authorization header can carry
CONFIG = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)


@dataclass(slots=True)
class CachedSecret:
    """A JSON secret, read once and again when it is older than five minutes."""

    client: SecretsManagerClient
    arn: str
    clock: Callable[[], float] = time.monotonic
    _values: Mapping[str, Any] = field(default_factory=dict)
    _read_at: float = float("-inf")
    _refreshed_at: float = float("-inf")

    @classmethod
    def from_env(cls, variable: str) -> CachedSecret:
        """The secret whose ARN is in the environment variable named `variable`."""
        return cls(boto3.client("secretsmanager", config=CONFIG), os.environ[variable])

    def get(self, *, max_age_s: float = MAX_AGE_S) -> Mapping[str, Any]:
        """The secret, at most `max_age_s` seconds old. Raises SecretInvalid, SecretUnavailable."""
        if self.clock() - self._read_at > max_age_s:
            self._values, self._read_at = self._fetched(), self.clock()
        return self._values

    def force_refresh(self) -> None:
        """Read it again however young it is, once in five seconds: it did not open PoYo's door."""
        if self.clock() - self._refreshed_at > RENEW_AFTER_S:
            self._refreshed_at = self.clock()
            self.get(max_age_s=-1)

    def _fetched(self) -> Mapping[str, Any]:
        """What is there now; an old key is better than no service."""
        try:
            text = self.client.get_secret_value(SecretId=self.arn)["SecretString"]
            values = json.loads(text)
        except (ClientError, BotoCoreError) as error:
            if not self._values:
                raise SecretUnavailable(type(error).__name__) from error
            return self._values
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, dict):
            return values
        if not self._values:
            raise SecretInvalid(f"{self.arn} is not a JSON object")
        return self._values


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """`{"poyo_api_key": "sk-…", "server_keys": {"<name>": "<SHA-256 of the key, hex>", or several},
    "notification_signing_keys": {"<name>": "…"}}`"""

    secret: CachedSecret

    @classmethod
    def from_env(cls) -> ApiKeys:
        """The secret named by API_SECRET_ARN."""
        return cls(CachedSecret.from_env("API_SECRET_ARN"))

    def poyo_key(self) -> str:
        """PoYo's API key, without the quotes and newlines of a careless paste."""
        key = str(self.secret.get().get("poyo_api_key") or "").strip().strip("\"'").strip()
        if not KEY.fullmatch(key):
            raise SecretInvalid("poyo_api_key is no key: put one with `python -m cli.keys poyo`")
        return key

    def refresh_key(self, refused: str) -> bool:
        """PoYo called the key `refused` wrong: whether there is another one, read again if need be."""
        try:
            if self.poyo_key() == refused:
                self.secret.force_refresh()
            return self.poyo_key() != refused
        except SecretInvalid:
            return False

    def notification_signing_key(self, owner: str) -> str:
        """What callbacks to the callers with `owner`'s server key are signed with; empty: nothing."""
        keys = self.secret.get().get("notification_signing_keys")
        kept = keys.get(owner.partition(OWNER_SEPARATOR)[0]) if isinstance(keys, dict) else ""
        return str(kept or "")

    def owner_for_key(self, key: str) -> str | None:
        """The name of the server key `key`, None for a stranger; every name is compared."""
        return self._named(key, MAX_AGE_S) or self._named(key, REFRESH_AFTER_S)

    def _named(self, key: str, max_age_s: float) -> str | None:
        digest = hashlib.sha256(key.encode(errors="replace")).hexdigest().encode()
        names = self.secret.get(max_age_s=max_age_s).get("server_keys")
        kept = names.items() if isinstance(names, dict) else ()
        matching = [name for name, each in kept if _any_is(each, digest)]
        return matching[0] if matching else None


def _any_is(kept: Any, digest: bytes) -> bool:
    """Whether one of the hashes that a name has is `digest`; all are compared."""
    hashes = kept if isinstance(kept, list) else [kept]
    same = [hmac.compare_digest(str(each).encode(errors="replace"), digest) for each in hashes]
    return any(same)


@dataclass(frozen=True, slots=True)
class CallbackKeys:
    """`{"current": "k1", "k1": "…", "k2": "…", "poyo_callback_signing_key": "…, when there is one"}`"""

    secret: CachedSecret

    @classmethod
    def from_env(cls) -> CallbackKeys:
        """The secret named by CALLBACK_SECRET_ARN."""
        return cls(CachedSecret.from_env("CALLBACK_SECRET_ARN"))

    def current(self) -> tuple[str, str]:
        """Id and key that new callback URLs are made with."""
        kid = str(self.secret.get().get("current", ""))
        keys = self.all()
        if not keys.get(kid):
            raise SecretInvalid(f"current names {kid!r}, which is not one of {sorted(keys)}")
        return kid, keys[kid]

    def all(self, *, max_age_s: float = MAX_AGE_S) -> Mapping[str, str]:
        """Every key that opens the door, by its id."""
        values = self.secret.get(max_age_s=max_age_s)
        others = {"current", "poyo_callback_signing_key"}
        return {name: str(key) for name, key in values.items() if name not in others}

    def keys_for(self, kid: str) -> Mapping[str, str]:
        """Every key, read again (at most once a minute) when none has the id `kid`."""
        keys = self.all()
        return keys if kid in keys else self.all(max_age_s=REFRESH_AFTER_S)

    def poyo_callback_signing_key(self) -> str:
        """PoYo's signing key, empty when it is not configured."""
        return str(self.secret.get().get("poyo_callback_signing_key", "")).strip()
