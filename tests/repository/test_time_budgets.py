"""The time-outs of all calls on a path fit into the time-out of its function.

Each sum takes the configured values, so that raising one of them fails here. A call that hangs ends
its path with an error, so that a path is as long as its calls if each takes its whole time-out.
"""

from __future__ import annotations

from typing import Any

import pytest

from imagetasks.api import pagination
from imagetasks.aws import image_bucket
from imagetasks.aws.client import CLIENT_CONFIG
from imagetasks.limits import Limits
from imagetasks.outbound.connection import RESOLVE_S
from imagetasks.outbound.download import DownloadLimits
from imagetasks.outbound.notifications import NotificationSender
from imagetasks.poyo import live_catalog
from imagetasks.poyo.client import PoyoClient
from imagetasks.poyo.transport import CONNECT_S
from tests.support.environment import new_environment
from tests.support.lambdas import load_handler
from tests.support.template import properties

API_GATEWAY_S = 30  # the longest that API Gateway's HTTP API waits for a function
COLD_START_S = 5  # to read two secrets, to write the task and its place, over new connections
LIMITS = Limits()


def timeout_s(function: str) -> float:
    return float(properties(function)["Timeout"])


def poyo() -> PoyoClient:
    unused: Any = None
    return PoyoClient(send=unused, base_url="", key=unused, refresh_key=unused)


def longest_call_s(config: Any) -> float:
    """How long a call of a client with `config` lasts that hangs; botocore waits 1, 2, 4 … s at most
    before it tries again."""
    assert config.retries["mode"] == "standard"
    attempts = config.retries["total_max_attempts"]
    backoff_s = sum(2**n for n in range(attempts - 1))
    return float(attempts * (config.connect_timeout + config.read_timeout) + backoff_s)


CALL_S = longest_call_s(CLIENT_CONFIG)
S3_CALL_S = longest_call_s(image_bucket.CONFIG)


def test_every_client_has_these_time_outs() -> None:
    with new_environment() as env, load_handler("worker", env.cloud) as module:
        clients = module.clients
        made: dict[Any, Any] = {
            clients.repository.table.client: CLIENT_CONFIG,
            clients.updater.queue.client: CLIENT_CONFIG,
            clients.api_keys.secret.client: CLIENT_CONFIG,
            clients.callback_keys.secret.client: CLIENT_CONFIG,
            clients.images.client: image_bucket.CONFIG,
            clients.uploads.client: image_bucket.CONFIG,
        }
    for client, expected in made.items():
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (
            expected.connect_timeout,
            expected.read_timeout,
        )
        assert config.retries["total_max_attempts"] == 2


def test_limits_allow_for_what_the_clients_may_take() -> None:
    post_s = CONNECT_S + poyo().submit_read_s

    assert LIMITS.aws_call_s >= CALL_S
    assert LIMITS.submit_needs_s > post_s + CALL_S
    assert LIMITS.store_needs_s > S3_CALL_S + CALL_S


def test_api_has_time_to_submit_after_a_cold_start() -> None:
    assert timeout_s("ApiFunction") - LIMITS.submit_needs_s >= COLD_START_S
    assert timeout_s("ApiFunction") < API_GATEWAY_S


def test_worker_has_time_to_submit_again() -> None:
    read_s, secrets_s, count_s, retry_s = CALL_S, 2 * CALL_S, CALL_S, CALL_S
    before_s = read_s + secrets_s + count_s + retry_s

    assert before_s + LIMITS.submit_needs_s <= timeout_s("WorkerFunction")


def test_worker_has_time_to_poll_and_to_schedule_the_next_step() -> None:
    read_s, record_callback_s, secret_s = CALL_S, CALL_S, CALL_S
    status_s = CONNECT_S + poyo().status_read_s
    write_s, send_s = CALL_S, CALL_S
    polled_s = read_s + record_callback_s + secret_s + status_s

    assert polled_s + write_s + send_s <= timeout_s("WorkerFunction")
    # With an image: whether it is stored already is asked, then it is fetched in what is left.
    assert polled_s + S3_CALL_S + write_s + send_s <= timeout_s("WorkerFunction")


def test_download_ends_early_enough_to_store_the_image_and_to_say_so() -> None:
    usual_s = 3 * 1.0 + 5.0  # three calls to AWS and one poll, each slow but answered
    assert usual_s + DownloadLimits().total_s + LIMITS.store_needs_s <= timeout_s("WorkerFunction")


def test_notification_has_time() -> None:
    read_s, claim_s, send_s, secret_s, done_s = CALL_S, CALL_S, CALL_S, CALL_S, CALL_S
    post_s = RESOLVE_S + NotificationSender(hosts=()).total_s

    assert read_s + claim_s + send_s + secret_s + post_s + done_s <= timeout_s("NotifyFunction")


def test_longest_wait_leaves_time_for_the_last_read() -> None:
    assert timeout_s("ApiFunction") >= pagination.MAX_WAIT_S + CALL_S


def test_webhook_has_time_to_read_its_secret_twice_and_to_enqueue() -> None:
    assert timeout_s("WebhookFunction") >= 3 * CALL_S


def test_drift_function_reads_every_page_that_it_may() -> None:
    longest_s = live_catalog.MAX_PAGES * (CONNECT_S + live_catalog.READ_S)

    assert longest_s < timeout_s("DriftFunction")


def test_sweep_begins_nothing_that_it_could_not_end() -> None:
    with new_environment() as env, load_handler("sweep", env.cloud) as module:
        margin_s = module.SHUTDOWN_MARGIN_S

    assert margin_s >= 2 * CALL_S  # a claim and its message
    assert timeout_s("SweepFunction") - margin_s >= 4 * CALL_S  # some shards at least are read


@pytest.mark.parametrize("function", ["ApiFunction", "WorkerFunction"])
def test_sender_is_gone_when_its_lease_expires(function: str) -> None:
    assert LIMITS.submit_lease_s >= timeout_s(function)
