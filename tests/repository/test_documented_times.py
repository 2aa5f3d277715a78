"""Every time that README, SECURITY and the pages in docs/ state is the one that the code, the template
or a named fact has. `docs/decisions.md` is a dated record, `docs/models.md` is made from data,
`docs/scale.md` is compared with its computation by test_scale.py, `docs/performance.md` has figures, the others are about tools and other services."""

from __future__ import annotations

import math
import re
from dataclasses import fields
from pathlib import Path

import pytest

from cli import snapshots
from imagetasks import telemetry
from imagetasks.api import pagination, token_request, usage_request
from imagetasks.aws import image_bucket, secrets, task_queue, upload_bucket
from imagetasks.limits import Limits
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.tasks import caller
from imagetasks.tasks.budgets import MAX_DURATION_MS
from imagetasks_client import Patience
from tests.simulation import scheduler, short_day
from tests.support.template import TEMPLATE, properties

ROOT = Path(__file__).parents[2]
LEFT_OUT = {
    "scale.md",
    "decisions.md",
    "models.md",
    "moving.md",
    "sam-local.md",
    "simulated-poyo.md",
    "performance.md",
}
PAGES = {
    path.name: " ".join(path.read_text().split())
    for path in (ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md")))
    if path.name not in LEFT_OUT
}
LIMITS = Limits()
UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
WORDS = {"half an": 0.5, "a quarter of an": 0.25, "an": 1, "a": 1}
WORDS |= {
    word: number
    for number, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], 1
    )
} | {"fifteen": 15, "eighteen": 18, "twenty": 20}
# "a second", "a minute" and "a day" are rates or ordinals more often than durations.
TIME = re.compile(
    rf"(?<![\w.])(?!a (?:second|minute)\b)({'|'.join([*WORDS, '[0-9]+'])})[ -]"
    rf"({'|'.join(UNITS)})s?\b|(?<![\w.])([0-9]+) (s)\b",
    re.IGNORECASE,
)
DAY_S, HOUR_S, MINUTE_S = 86_400, 3_600, 60


def alarm_s(name: str) -> float:
    """For how long the alarm's metric must be bad."""
    alarm = properties(name)
    return float(alarm["Period"]) * float(alarm["EvaluationPeriods"])


def upload_days() -> int:
    """After how many days the bucket deletes an upload."""
    [days] = re.findall(r"ExpirationInDays: (\d+)", TEMPLATE.read_text())
    return int(days)


SECRET_S = secrets.MAX_AGE_S
SECRET_MAX_S = secrets.HARD_MAX_AGE_S + secrets.INVOCATION_S
GATEWAY_S = 30.0  # AWS: an HTTP API's integration timeout
CANARY_S = 5 * MINUTE_S  # of CodeDeploy's Canary10Percent5Minutes
[NOTIFY_S] = [float(str(f.default)) for f in fields(NotificationSender) if f.name == "total_s"]


def javascript_ms(module: str, before: str) -> int:
    """The number after `before` in a module of the JavaScript client."""
    text = (ROOT / "clients" / "js" / "src" / f"{module}.js").read_text()
    return int(re.findall(rf"{re.escape(before)}([\d_]+)", text)[0])


# Text as a page has it, with its one time, and where that time comes from (in seconds).
PINNED: tuple[tuple[str, float], ...] = (
    ("says so and tries again for two minutes", Patience().repeat_for_s),
    ("deletes the file after a day", telemetry.FILE_LIFETIME_S),
    ("it fails after an hour", LIMITS.unconfirmed_after_s),
    ("accepts from your account in 10 seconds", LIMITS.window_s),
    ("gets a tenth of the traffic for five minutes", CANARY_S),
    ("valid for about two hours", round(image_bucket.PRESIGNED_S / HOUR_S) * HOUR_S),
    ("a removed key stops working within 30 seconds", SECRET_S),
    ("cannot be read, after 15 minutes", SECRET_MAX_S),
    ("denies its result half an hour after the callback", LIMITS.callback_trust_s),
    ("A simulated day has six hours", short_day.DAY_S),
    ("A run starts ten minutes before midnight", DAY_S - scheduler.BEGIN_MS // 1000 % DAY_S),
    ("`wait` (0 to 20 seconds)", pagination.MAX_WAIT_S),
    ("PoYo refused the order for half an hour", LIMITS.unavailable_after_s),
    ("as many orders wait as PoYo accepts in half an hour", LIMITS.max_queue_s),
    ("only if half an hour of PoYo's capacity is taken", LIMITS.max_queue_s),
    ("Half an hour after the first one an order fails as", LIMITS.unavailable_after_s),
    ("20 in any ten seconds", LIMITS.window_s),
    ("the first in line, 10 s after the last failure", LIMITS.probe_backoff_s[0]),
    ("then 20, 40 and at most 60 s", LIMITS.probe_backoff_s[1]),
    # The next two are asserted in tests/integration/workflows, too.
    ("the next probe is sent within 65 s", LIMITS.probe_backoff_s[1] + LIMITS.fast_retry_s[0]),
    ("the hundredth waiting order within 150 s", 150),
    ("Failures that are ten minutes old", LIMITS.failure_counts_s),
    ("waited for the circuit breaker, for half an hour", LIMITS.unavailable_after_s),
    ("are waiting than PoYo accepts in half an hour", LIMITS.max_queue_s),
    ("(about 3,400 with 20 submits in ten seconds)", LIMITS.window_s),
    ("for a day it delivered no file", LIMITS.file_gone_after_s),
    ("confirmed the task within an hour", LIMITS.unconfirmed_after_s),
    ("PoYo did not finish within a day", LIMITS.timed_out_after_s),
    ("the same presigned URL for an hour", image_bucket.PRESIGNED_S // 2 // HOUR_S * HOUR_S),
    ("again after 1, 2, 4, 8 and 10 minutes", LIMITS.notification_waits_s[-1]),
    ("Respond with a 2xx within ten seconds", NOTIFY_S),
    ("Within ten minutes, send a form", upload_bucket.FORM_TTL_S),
    ("created it, and is deleted after a day", upload_days() * DAY_S),
    ("deleted after one to three days", 3 * DAY_S),  # PoYo's pages contradict each other
    ("the credentials of a role for one hour", HOUR_S),  # AWS's default for a role
    ("proposes new actions one week after their release", 7 * DAY_S),  # .github/dependabot.yml
    ("(20 in 10 s)", LIMITS.window_s),
    ("A claim expires after five minutes", LIMITS.claim_s),
    ("may still be under way (60 s)", LIMITS.submit_lease_s),
    ("valid for one or two hours", round(image_bucket.PRESIGNED_S / HOUR_S) * HOUR_S),
    ("no sweep ran for five minutes", 5 * MINUTE_S),  # cli/findings.py
    ("waited for more than twenty minutes", properties("OldestMessageAlarm")["Threshold"]),
    ("a quarter of an hour can be on purpose", task_queue.MAX_DELAY_S),
    ("after a day PoYo deletes their images", telemetry.FILE_LIFETIME_S),
    ("at least five times in each of two minutes", alarm_s("ApiServerErrorsAlarm")),
    ("The sweep has not run for a quarter of an hour", alarm_s("SweepNotRunningAlarm")),
    ("have been due for a quarter of an hour", properties("TasksOverdueAlarm")["Threshold"]),
    ("raises the alarm once in six hours", LIMITS.poll_alarm_s),
    ("and times out after a day", LIMITS.timed_out_after_s),
    ("no callback came within an hour", LIMITS.unconfirmed_after_s),
    ("showed no result for a day", LIMITS.timed_out_after_s),
    ("refused or could not be reached for half an hour", LIMITS.unavailable_after_s),
    (
        "could not be copied for eighteen hours",
        telemetry.FILE_LIFETIME_S - float(properties("ImageAtRiskAlarm")["Threshold"]),
    ),
    ("PoYo deletes files after a day", telemetry.FILE_LIFETIME_S),
    ("retries the copy for three days", LIMITS.file_lost_after_s),
    ("For a day PoYo's status was `finished`", LIMITS.file_gone_after_s),
    ("in two of five minutes", alarm_s("ReconcileFailedAlarm")),
    ("notice nothing for a quarter of an hour", SECRET_MAX_S),
    ("traffic to a new version for five minutes", CANARY_S),
    ("use a changed secret within 30 seconds", SECRET_S),
    ("reads a secret once in 30 seconds", SECRET_S),
    ("at most once in five seconds", secrets.REFRESH_AFTER_S),
    ("used until it is 15 minutes old", SECRET_MAX_S),
    (
        "delete the old one after ten minutes",
        10 * MINUTE_S,
    ),  # advice, longer than any function lives
    ("both work, the new one within 30 seconds", SECRET_S),
    ("the old key stops working within 30 seconds", SECRET_S),
    ("the old key and every browser token that it issued stop working within 30 seconds", SECRET_S),
    ("were older than 40 days at the last run", snapshots.WINDOW_DAYS * DAY_S),
    ("(15 minutes if Secrets Manager", SECRET_MAX_S),
    ("from then on (after 30 seconds at most)", SECRET_S),
    ("cause a poll in 30 s at most", LIMITS.callback_gap_s),
    ("callback_url, once, within ten seconds", NOTIFY_S),
    ("costs six attempts of ten seconds", NOTIFY_S),
    ("more than one ended task in 12 seconds", 6 * NOTIFY_S / 5),
    (
        "notification queue for a quarter of an hour",
        properties("NotificationsLateAlarm")["Threshold"],
    ),
    ("each attempt then takes ten seconds", NOTIFY_S),
    ("fifteen minutes later run `callback use", SECRET_MAX_S),
    ("fifteen minutes are too long", SECRET_MAX_S),
    ("`30d`), 366 days at most", MAX_DURATION_MS // 1000),
    ("both included: at most 92 days", usage_request.MAX_DAYS * DAY_S),
    ("they are the seven days until `to`", usage_request.DEFAULT_DAYS * DAY_S),
    ("a browser token and no key; it ends within an hour", token_request.TTL_S[1]),
    ("issued for one user, for an hour at most", token_request.TTL_S[1]),
    ("within 30 seconds after that key was removed", SECRET_S),
    ("was removed a week after its end", caller.KEPT_S // (7 * DAY_S) * 7 * DAY_S),
    ("fifteen minutes later run `token use", SECRET_MAX_S),
    (
        "and after two hours, when every token",
        math.ceil((token_request.TTL_S[1] + SECRET_MAX_S) / HOUR_S) * HOUR_S,
    ),
    ("within 30 seconds every token that it signed is refused", SECRET_S),
    ("They are refused within 30 seconds", SECRET_S),
    ("and after five days", LIMITS.callback_extends_s + LIMITS.file_lost_after_s),
    ("earlier versions are gone two days later", 2 * DAY_S),  # NoncurrentDays, then S3's daily run
    ("final after 30 days", 30 * DAY_S),  # AWS's default window of DeleteSecret
    ("or are unavailable for half an hour", 30 * MINUTE_S),  # tests/simulation/themes.py
    (
        "during all six attempts (25 minutes)",
        sum(LIMITS.notification_waits_s) // MINUTE_S * MINUTE_S,
    ),
    # faq.md, production.md, limits.md
    ("after a day without news from PoYo", LIMITS.timed_out_after_s),
    ("PoYo's own links end after a day", telemetry.FILE_LIFETIME_S),
    ("API Gateway ends a request after 30 seconds", GATEWAY_S),
    ("Use `?wait=` of at most 20 seconds", pagination.MAX_WAIT_S),
    ("PoYo itself deletes its file after a day", telemetry.FILE_LIFETIME_S),
    ("| `?wait=` | 20 seconds |", pagination.MAX_WAIT_S),
    ("| a response | API Gateway ends it after 30 seconds |", GATEWAY_S),
    ("send an upload's form | ten minutes |", upload_bucket.FORM_TTL_S),
    ("| life of an upload | a day |", upload_days() * DAY_S),
    ("redirects to | about two hours |", round(image_bucket.PRESIGNED_S / HOUR_S) * HOUR_S),
    ("| PoYo refuses a submit | half an hour |", LIMITS.unavailable_after_s),
    ("no callback comes | an hour |", LIMITS.unconfirmed_after_s),
    ("| PoYo does not finish | a day |", LIMITS.timed_out_after_s),
    ("| PoYo's file cannot be copied | a day |", LIMITS.file_gone_after_s),
    ("may still become an image is watched | a week |", LIMITS.reopen_within_s),
    (
        "six attempts within half an hour",
        math.ceil(sum(LIMITS.notification_waits_s) / 1800) * 1800,
    ),
    ("a period of 366 days at most", MAX_DURATION_MS // 1000),
    ("a life of at most an hour", token_request.TTL_S[1]),
    ("at least 60 seconds", token_request.TTL_S[0]),
    ("`PoyoSubmitsPer10s`: 20 in 10 seconds for one account", LIMITS.window_s),
    ("| as many as PoYo accepts in half an hour |", LIMITS.max_queue_s),
    ("| PoYo deletes it after a day |", telemetry.FILE_LIFETIME_S),
    ("for one minute (`retry.timeout`)", javascript_ms("transport", "timeout: ") // 1000),
    ("for two minutes (`Patience`)", Patience().repeat_for_s),
    ("for half an hour (`timeout`)", javascript_ms("tasks", "WAIT_MS = ") // 1000),
)


def seconds(time: re.Match[str]) -> float:
    """The duration that a page states."""
    if time[4]:
        return float(time[3])
    number = WORDS.get(time[1].lower())
    return (float(time[1]) if number is None else number) * UNITS[time[2]]


def is_pinned(page: str, time: re.Match[str]) -> bool:
    """Whether a text of `PINNED` that contains this time is there."""
    return any(
        time.start() - text_before >= 0 and page.startswith(text, time.start() - text_before)
        for text, _ in PINNED
        for text_before in [each.start() for each in TIME.finditer(text)]
    )


@pytest.mark.parametrize(("text", "value"), PINNED, ids=[text for text, _ in PINNED])
def test_pinned_text_is_on_a_page_and_states_the_value_of_the_code(text: str, value: float) -> None:
    [time] = TIME.finditer(text)

    assert seconds(time) == float(value)
    assert any(text in page for page in PAGES.values())


def test_every_time_on_a_page_is_pinned() -> None:
    unpinned = [
        (name, page[max(0, time.start() - 40) : time.end() + 20])
        for name, page in PAGES.items()
        for time in TIME.finditer(page)
        if not is_pinned(page, time)
    ]

    assert unpinned == []
