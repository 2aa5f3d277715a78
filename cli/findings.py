"""Turns what the doctor has read into findings. Pure functions: no network, no AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cli.stack import Values
from imagetasks.aws.secrets import MIN_TOKEN_KEY_CHARS
from imagetasks.errors import PoyoUnavailable
from imagetasks.poyo import responses
from imagetasks.poyo.transport import HttpResponse

HEALTHY_STATUSES = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
SHA_256 = re.compile(r"[0-9a-f]{64}")
SERVER_KEY_NAME = re.compile(r"[a-z0-9-]{1,40}")
POYO_KEY = re.compile(r"[!-~]{8,}")
LOW_BALANCE = Decimal(200)  # credits: about one US dollar, or a hundred of the cheapest images
OPERATING = "docs/operating.md"
DEPLOY_RELEASE = f"deploy with a ReleaseSha: see Deploying a new version in {OPERATING}"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `todo` is the next step for the operator, empty if all is well."""

    check: str
    message: str
    todo: str = ""
    failed: bool = True  # with a `todo`: False makes it a warning

    def __str__(self) -> str:
        label = ("FAIL" if self.failed else "warn") if self.todo else "ok"
        next_step = f"\n{'':<18} -> {self.todo}" if self.todo else ""
        return f"{label:<6} {self.check:<10} {self.message}{next_step}"


Findings = Iterator[Finding]


def stack_status(name: str, status: str, resources: Mapping[str, str]) -> Finding:
    """Whether the stack and each resource (logical id to status) are completely deployed."""
    incomplete = [each for each, state in resources.items() if not state.endswith("_COMPLETE")]
    if status in HEALTHY_STATUSES and not incomplete:
        return Finding("stack", f"{name} is {status}, {len(resources)} resources")
    todo = "read the stack's events in CloudFormation, then deploy again"
    return Finding("stack", f"{name} is {status}{join(incomplete)}", todo)


def function_settings(name: str, deployed: Values, live: Values) -> Finding:
    """Whether `live` has the deployed settings. Names the differing settings, never their values."""
    differing = [key for key in {**deployed, **live} if deployed.get(key) != live.get(key)]
    if not differing:
        return Finding("functions", f"{name} runs with the deployed settings")
    return Finding("functions", f"`live` of {name} has another{join(differing)}", DEPLOY_RELEASE)


def public_url(parameter: str, used: str) -> Finding:
    """Whether the API builds callback URLs with the PublicUrl that was deployed."""
    if parameter == used:
        return Finding("public", f"PublicUrl is {parameter or 'empty: the URL of API Gateway'}")
    message = f"PublicUrl is {parameter or 'empty'}, but the API uses {used or 'its own URL'}"
    return Finding("public", message, DEPLOY_RELEASE)


def poyo_key(values: Values) -> str:
    """PoYo's key without quotes that were pasted with it; empty if there is no valid one."""
    key = str(values.get("poyo_api_key") or "").strip().strip("\"'").strip()
    return key if POYO_KEY.fullmatch(key) else ""


def api_keys(values: Values) -> Findings:
    """Whether the secret holds PoYo's key and valid hashes of the callers' keys."""
    if poyo_key(values):
        yield Finding("keys", "PoYo's key is stored")
    else:
        yield Finding("keys", "no PoYo key is stored", "imagetasks stack keys poyo")
    stored = values.get("server_keys")
    server_keys = stored if isinstance(stored, dict) else {}
    invalid = sum(not _is_hashed(each) for each in server_keys.values())
    if any(not SERVER_KEY_NAME.fullmatch(name) for name in server_keys):
        todo = "names have a-z, 0-9 and `-`: put each key under such a name, in the secret itself"
        yield Finding("keys", "a server key has an impossible name and may be refused", todo)
    if invalid:
        todo = "`imagetasks stack keys server list`, then `server remove` and `server add` each"
        message = f"server keys: {invalid} of {len(server_keys)} are not SHA-256 hashes"
        yield Finding("keys", message, todo)
    elif server_keys:
        yield Finding("keys", f"server keys: {len(server_keys)}")
    else:
        yield Finding("keys", "no caller has a key", "imagetasks stack keys server add NAME")


def callback_keys(values: Values) -> Findings:
    """Whether `current` names a callback key."""
    yield _signing_keys(values, "callback", min_chars=1)


def token_keys(values: Values) -> Findings:
    """Whether `current` names a token key, and one that is long enough to be used."""
    yield _signing_keys(values, "token", min_chars=MIN_TOKEN_KEY_CHARS)


def _signing_keys(values: Values, kind: str, *, min_chars: int) -> Finding:
    """Prints no names: one may be a misplaced key."""
    settings = ("current", "poyo_callback_signing_key")
    keys = {name: key for name, key in values.items() if name not in settings}
    current = values.get("current")
    key = keys.get(current) if isinstance(current, str) else None
    if isinstance(key, str) and len(key) >= min_chars:
        return Finding("keys", f"{kind} keys: {len(keys)}, one of them in use")
    todo = f"`imagetasks stack keys {kind} list` (`add` if there is none), then `{kind} use`"
    if isinstance(key, str) and key:
        return Finding("keys", f"the {kind} key in use has less than {min_chars} characters", todo)
    return Finding("keys", f"`current` names none of the {kind} keys", todo)


def balance(response: HttpResponse | str) -> Finding:
    """Whether PoYo accepts the key and the account has credits left."""
    if isinstance(response, str):
        return Finding("poyo", f"no response: {response}", "check PoyoBaseUrl and PoYo's status")
    if responses.is_unauthorized(response):
        todo = "`imagetasks stack keys poyo` with a valid one"
        return Finding("poyo", "PoYo rejects the stored key", todo)
    try:
        credits_left = responses.parse_balance(response)
    except PoyoUnavailable:
        todo = "check PoyoBaseUrl, PoYo's status and the account"
        return Finding("poyo", f"PoYo responds {response.status} without a balance", todo)
    if credits_left < LOW_BALANCE:
        message, empty = f"{credits_left:.0f} credits are left", credits_left <= 0
        return Finding("poyo", message, "top up the account", failed=empty)
    return Finding("poyo", f"the key works, {credits_left:.0f} credits are left")


def health(name: str, response: HttpResponse | str) -> Finding:
    """Whether /health at the URL is answered by our own function."""
    body = {} if isinstance(response, str) else _json_object(response)
    if not isinstance(response, str) and (response.status, body.get("status")) == (200, "ok"):
        return Finding("api", f"{name} responds")
    todo = {
        "ApiUrl": "look for errors in the log of ApiFunction; check the account's Lambda limit",
        "PublicUrl": "check that its name leads to ApiUrl with all paths, and its certificate",
    }[name]
    return Finding("api", f"{name}: {_describe(response)}", todo)


def callback(response: HttpResponse | str) -> Finding:
    """Whether our own function rejects a forged callback, and not a proxy or firewall before it."""
    body = {} if isinstance(response, str) else _json_object(response)
    if not isinstance(response, str) and (response.status, body.get("code")) == (404, "not_found"):
        return Finding("callbacks", "the callback route is reachable and rejects a forged callback")
    if body.get("code") in ("service_unavailable", "internal"):
        todo = (
            "read the error of `callback_not_enqueued` in the log of WebhookFunction;"
            " check that it can read its secret"
        )
    else:
        todo = "PoYo must reach POST /callbacks/…, past every firewall and login in front of it"
    message = f"a forged callback is not rejected by WebhookFunction: {_describe(response)}"
    return Finding("callbacks", message, todo)


def unknown_key(response: HttpResponse | str) -> Finding:
    """Whether ApiFunction rejects an unknown server key, which it can only if it reads its secret."""
    body = {} if isinstance(response, str) else _json_object(response)
    if not isinstance(response, str) and (response.status, body.get("code")) == (
        401,
        "unauthorized",
    ):
        return Finding("secrets", "the API reads its secret and rejects an unknown key")
    todo = f"see AwsCallRejectedAlarm and SecretRefreshFailedAlarm in {OPERATING}"
    return Finding("secrets", f"an unknown key is not rejected: {_describe(response)}", todo)


def sweep_ran(ran: bool) -> Finding:
    """Whether a sweep has completed within the last five minutes."""
    if ran:
        return Finding("sweep", "it ran within the last five minutes")
    todo = f"just deployed? wait a minute; otherwise see SweepNotRunningAlarm in {OPERATING}"
    return Finding("sweep", "it has not run for five minutes", todo)


def table_recovery(backups: Values, table: str) -> Finding:
    """Whether the table can be restored to any earlier second."""
    if backups.get("PointInTimeRecoveryStatus") == "ENABLED":
        return Finding("table", "point-in-time recovery is on")
    return Finding("table", "point-in-time recovery is off", f"switch it on for {table}")


def bucket_private(blocks: Values, status: Values, bucket: str) -> Finding:
    """Whether the bucket is private and stays private if a policy or ACL is misconfigured."""
    if status.get("IsPublic") or len(blocks) < 4 or not all(blocks.values()):
        todo = f"block all public access to {bucket}"
        return Finding("bucket", "it is, or could become, public", todo)
    return Finding("bucket", "public access is blocked")


def join(names: Sequence[str]) -> str:
    """The sorted names, each with a space before it."""
    return "".join(f" {name}" for name in sorted(names))


def _is_hashed(stored: object) -> bool:
    hashes = stored if isinstance(stored, list) else [stored]
    return bool(hashes) and all(isinstance(one, str) and SHA_256.fullmatch(one) for one in hashes)


def _json_object(response: HttpResponse) -> Values:
    try:
        body = json.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _describe(response: HttpResponse | str) -> str:
    return (
        f"no response, {response}"
        if isinstance(response, str)
        else f"the response is {response.status}"
    )
