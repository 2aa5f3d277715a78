"""What the doctor makes of what it found: values go in, findings come out, nobody is asked."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from cli.stack import Values

sys.path.insert(0, str(Path(__file__).parent.parent / "functions"))  # the functions' own modules

from imagetasks.errors import PoyoUnavailable
from imagetasks.poyo import client
from imagetasks.poyo.reply import HttpResponse

GOOD_STATUS = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
HASH = re.compile(r"[0-9a-f]{64}")
KEY = re.compile(r"[!-~]{8,}")
FEW_CREDITS = Decimal(200)  # about a dollar, or a hundred of the cheapest images
PAGE = "docs/operating.md"
RELEASE = f"deploy with a ReleaseSha: see Deploying a new version in {PAGE}"


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing stands; `todo` is what to do next, and empty when all is well."""

    about: str
    says: str
    todo: str = ""
    grave: bool = True

    def __str__(self) -> str:
        label = ("WRONG" if self.grave else "warn") if self.todo else "ok"
        further = f"\n{'':<18} -> {self.todo}" if self.todo else ""
        return f"{label:<6} {self.about:<10} {self.says}{further}"


Findings = Iterator[Finding]


def standing(name: str, status: str, resources: Mapping[str, str]) -> Finding:
    """The stack by CloudFormation's words for it and for each of its resources."""
    open_still = [each for each, said in resources.items() if not said.endswith("_COMPLETE")]
    if status in GOOD_STATUS and not open_still:
        return Finding("stack", f"{name} is {status}, {len(resources)} resources")
    todo = "look at its events in CloudFormation, then deploy again"
    return Finding("stack", f"{name} is {status}{listed(open_still)}", todo)


def settled(name: str, deployed: Values, used: Values) -> Finding:
    """Whether a function runs with what was deployed; which settings differ, not what they are."""
    differing = [key for key in {**deployed, **used} if deployed.get(key) != used.get(key)]
    if not differing:
        return Finding("functions", f"{name} runs as it was deployed")
    return Finding("functions", f"`live` of {name} has another{listed(differing)}", RELEASE)


def public(parameter: str, used: str) -> Finding:
    """Whether callbacks are ordered to where the parameter says."""
    if parameter == used:
        return Finding("public", f"PublicUrl is {parameter or 'empty: the address of API Gateway'}")
    said = f"PublicUrl is {parameter or 'empty'}, the API goes by {used or 'its own address'}"
    return Finding("public", said, RELEASE)


def poyo_key(values: Values) -> str:
    """PoYo's key without the quotes of a careless paste; empty when there is none."""
    key = str(values.get("poyo_api_key") or "").strip().strip("\"'").strip()
    return key if KEY.fullmatch(key) else ""


def api_keys(values: Values) -> Findings:
    """PoYo's key, and the hashes of the callers' keys."""
    if poyo_key(values):
        yield Finding("keys", "PoYo's key is there")
    else:
        yield Finding("keys", "there is no PoYo key", "python -m cli.keys poyo")
    kept = values.get("server_keys")
    named = kept if isinstance(kept, dict) else {}
    spoilt = sum(not _hashed(each) for each in named.values())
    if spoilt:
        todo = "`python -m cli.keys server list`, then `server remove` and `server add` each"
        yield Finding("keys", f"server keys: {spoilt} of {len(named)} are no SHA-256", todo)
    elif named:
        yield Finding("keys", f"server keys: {len(named)}")
    else:
        yield Finding("keys", "no caller has a key", "python -m cli.keys server add NAME")


def callback_keys(values: Values) -> Findings:
    """What callback URLs are made with. Names are not repeated: one may be a key, misplaced."""
    settings = ("current", "poyo_callback_signing_key")
    keys = {name: key for name, key in values.items() if name not in settings}
    current = values.get("current")
    if isinstance(current, str) and isinstance(keys.get(current), str) and keys[current]:
        yield Finding("keys", f"callback keys: {len(keys)}, one of them in use")
    else:
        todo = "`python -m cli.keys callback list` (`add` if there is none), then `callback use`"
        yield Finding("keys", "`current` names none of the callback keys", todo)


def balance(reply: HttpResponse | str) -> Finding:
    """What PoYo says of the account."""
    if isinstance(reply, str):
        return Finding("poyo", f"no answer: {reply}", "is PoyoBaseUrl right? is PoYo up?")
    if client.is_unauthorized(reply):
        return Finding("poyo", "PoYo refuses our key", "`python -m cli.keys poyo` with a valid one")
    try:
        left = client.parse_balance(reply)
    except PoyoUnavailable:
        todo = "is PoyoBaseUrl right? is PoYo up? does the account stand?"
        return Finding("poyo", f"PoYo answers {reply.status} and tells no balance", todo)
    if left < FEW_CREDITS:
        return Finding("poyo", f"{left:.0f} credits are left", "top up the account", left <= 0)
    return Finding("poyo", f"the key works, {left:.0f} credits are left")


def health(name: str, reply: HttpResponse | str) -> Finding:
    """Whether it is our function that answers there."""
    if not isinstance(reply, str) and (reply.status, _json(reply).get("status")) == (200, "ok"):
        return Finding("api", f"{name} answers")
    todo = {
        "ApiUrl": "errors in the log of ApiFunction? is the account at its Lambda limit?",
        "PublicUrl": "does its name lead to ApiUrl, with all paths? is its certificate valid?",
    }[name]
    return Finding("api", f"{name}: {_said(reply)}", todo)


def callback(reply: HttpResponse | str) -> Finding:
    """Whether a forged callback is refused by us, and not by somebody in front of us."""
    said = {} if isinstance(reply, str) else _json(reply)
    if not isinstance(reply, str) and (reply.status, said.get("code")) == (404, "not_found"):
        return Finding("callbacks", "the door is there and refuses a forged one")
    if said.get("code") in ("unavailable", "internal"):
        todo = "`not_rung` in the log of WebhookFunction names the error; can it read its secret?"
    else:
        todo = "PoYo must reach POST /callbacks/…, past every firewall and login in front of it"
    return Finding("callbacks", f"it is not we who refuse a forged one: {_said(reply)}", todo)


def swept(ran: bool) -> Finding:
    """Whether the sweep did lately what its schedule wants."""
    if ran:
        return Finding("sweep", "it ran within five minutes")
    todo = f"just deployed? wait a minute; else see SweepNotRunningAlarm in {PAGE}"
    return Finding("sweep", "it has not run for five minutes", todo)


def alarms(names: Mapping[str, str], found: Sequence[Values], topic: str) -> Findings:
    """Each alarm by its name in the template: there, switched on, told to `topic`, and quiet."""
    known = {names[each["AlarmName"]]: each for each in found if each["AlarmName"] in names}
    gone = [name for name in names.values() if name not in known]
    off = [name for name, each in known.items() if not each["ActionsEnabled"]]
    dumb = [name for name, each in known.items() if topic and topic not in each["AlarmActions"]]
    loud = [name for name, each in known.items() if each["StateValue"] == "ALARM"]
    for wrong, which, todo in (
        ("are gone", gone, "deploy again"),
        ("are switched off", off, "aws cloudwatch enable-alarm-actions --alarm-names …"),
        ("tell nobody", dumb, "deploy again: AlarmEmail is set"),
        ("went off", loud, f"each has its paragraph in {PAGE}"),
    ):
        if which:
            yield Finding("alarms", f"{wrong}:{listed(which)}", todo)
    if not (gone or loud):
        yield Finding("alarms", f"all {len(known)} are there and quiet")


def mail(subscriptions: Sequence[Values]) -> Finding:
    """Whether somebody has said yes to being mailed."""
    if any(each["SubscriptionArn"].startswith("arn:") for each in subscriptions):
        return Finding("alarms", "somebody is mailed")
    todo = "follow the link in the mail that AWS sent to AlarmEmail"
    return Finding("alarms", "nobody has agreed to be mailed", todo)


def recoverable(backups: Values, table: str) -> Finding:
    """Whether the table can be had back after an accident."""
    if backups.get("PointInTimeRecoveryStatus") == "ENABLED":
        return Finding("table", "it can be had back as it was at any second")
    return Finding("table", "point-in-time recovery is off", f"switch it on for {table}")


def closed(blocks: Values, status: Values, bucket: str) -> Finding:
    """Whether strangers can read the bucket, or could after one more mistake."""
    if status.get("IsPublic") or len(blocks) < 4 or not all(blocks.values()):
        todo = f"block all public access to {bucket}"
        return Finding("bucket", "it is, or could become, public", todo)
    return Finding("bucket", "strangers cannot read it")


def listed(names: Sequence[str]) -> str:
    """Names behind what is said of them."""
    return "".join(f" {name}" for name in sorted(names))


def _hashed(kept: object) -> bool:
    each = kept if isinstance(kept, list) else [kept]
    return bool(each) and all(isinstance(one, str) and HASH.fullmatch(one) for one in each)


def _json(reply: HttpResponse) -> Values:
    try:
        said = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _said(reply: HttpResponse | str) -> str:
    return f"no answer, {reply}" if isinstance(reply, str) else f"the answer is {reply.status}"
