"""`sam deploy` over an existing stack: what runs afterwards, and what happens to a hundred tasks meanwhile.

The emulated cloud differs from AWS in three points, which are therefore not tested here. It has no CodeDeploy,
so every alias changes at once; test_template_versions.py reads from the template that canaries are requested and which
alarms roll them back. It gives SAM the defaults of the template's parameters, so a release is
named by the default of `ReleaseSha` in a copy of the built template. It does not roll back by alarms.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import pytest

from local import build, stack
from local.chaos.system_under_test import temporary_state
from local.settings import from_environment
from local.system import running
from tests.conftest import SUBMITS_PER_10S, environment
from tests.support.updated_stack import NAMES, Order, UpdatedStack, our_task_id
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("deploys")  # one worker deploys this stack, once

# A task without a callback ends at PoYo before its first poll, so that one poll finds its result however slow
# the machine is. A poll of a running task doubles the wait for the next one: minutes after a few polls.
PROCESSING_S, FIRST_POLL_S = ("3", "15"), 20
SIMULATOR_OPTIONS = (
    "--seconds", *PROCESSING_S,
    "--callback-first-wait", "10",  # a busy machine gets no burst of repeated callbacks
    "--rate", "0",
)  # fmt: skip
CUSTOMERS = 3
TIMEOUT_S = 240  # of each wait, for a busy machine; an idle one takes half a minute
# The marks in the prompts of the hundred orders, the number of orders with each, and how they end.
STUCK = "[[fault:stuck-running]]"  # PoYo finishes it only on request, after the update
KINDS = {
    "": (12, "finished"),
    STUCK: (18, "finished"),
    "[[fault:callback-none]]": (40, "finished"),  # only the sweep finds the result
    "[[fault:callback-double]]": (4, "finished"),
    "[[fault:submit-429 seconds=8]]": (8, "finished"),  # `pending` for 8 to 18 s
    f"[[fault:submit-drop]]{STUCK}": (8, "finished"),  # `unknown` until its callback arrives
    "[[fault:submit-timeout seconds=8]]": (4, "finished"),  # `submitting` meanwhile
    "[[fault:fail-moderation]]": (6, "failed"),
}
OPEN = {"submitting", "pending", "unknown", "running"}


def orders() -> list[Order]:
    """All kinds evenly mixed, always in the same order."""
    positioned = [
        (n / count, Order(f"{mark} Lighthouse {n + 1}", ends))
        for mark, (count, ends) in KINDS.items()
        for n in range(count)
    ]
    return [order for _, order in sorted(positioned, key=lambda each: each[0])]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdatedStack]:
    """A new stack whose submits never wait for PoYo's limit; its PoYo takes seconds for a task."""
    folder = tmp_path_factory.mktemp("deploys")
    settings = from_environment(environment(FIRST_POLL_SECONDS=str(FIRST_POLL_S)))
    settings = replace(settings, poyo_submits_per_10s=SUBMITS_PER_10S)
    with (
        temporary_state(folder / "logs") as state,
        running(settings, state, simulator=SIMULATOR_OPTIONS) as system,
    ):
        with build.read_lock():
            shutil.copytree(build.ARTEFACT, state / "built")
        deployed = UpdatedStack(system, state / "built")
        deployed.shorten_visibility_timeout()
        yield deployed


SECOND = f"{stack.NAME}-second"


def test_second_stack_can_be_deployed_into_the_same_account(deployed: UpdatedStack) -> None:
    """The last test of this module looks whether the schedules have started both sweeps."""
    system = deployed.system
    with build.read_lock():
        second = stack.deploy(system.processes, system.cloud, system.settings, name=SECOND)
    stack.restore_concurrency(system.cloud)

    assert not set(second.outputs.values()) & set(system.outputs.values())


def test_first_deployment_publishes_version_1_of_every_function(deployed: UpdatedStack) -> None:
    formation = deployed.system.client("cloudformation")
    [found] = formation.describe_stacks(StackName=stack.NAME)["Stacks"]
    gateway = deployed.system.client("apigatewayv2")
    integrations = gateway.get_integrations(ApiId=deployed.system.stack.api_id)["Items"]

    assert found["StackStatus"] == "CREATE_COMPLETE"
    assert deployed.versions() == dict.fromkeys(NAMES, "1")
    assert {each["IntegrationUri"].rpartition(":")[2] for each in integrations} == {"live"}


@dataclass
class History:
    """The orders, and the stack as observed before, between and after its two updates.

    `logs` holds the whole log of the sweep's version behind the alias.
    """

    orders: list[Order]
    layers: dict[str, set[str]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    during_update: Counter[str] = field(default_factory=Counter)

    def observe(self, deployed: UpdatedStack, when: str) -> None:
        """Record layers, versions and the sweep's log after a successful invocation."""
        self.layers[when], self.versions[when] = deployed.layers("live"), deployed.versions()
        assert any(deployed.sweep() for _ in range(5))
        self.logs[when] = deployed.log("SweepFunction", self.versions[when]["SweepFunction"])


@pytest.fixture(scope="module")
def history(deployed: UpdatedStack) -> History:
    """Another layer without a release; then one with a release, while a hundred tasks are open."""
    history = History(orders())
    history.observe(deployed, "before")
    deployed.deploy("two")
    history.observe(deployed, "without a release")
    history.layers["latest"] = deployed.layers("$LATEST")
    with ThreadPoolExecutor(CUSTOMERS) as customers, ThreadPoolExecutor(1) as operator:
        list(customers.map(deployed.order, history.orders[:70]))
        wait_until_some_ended(deployed)
        update = operator.submit(deployed.deploy, "three", "a" * 64)
        remaining = iter(history.orders[70:])
        placing: list[Future[None]] = []
        while not update.done() or len(placing) < 30:
            placing += [customers.submit(deployed.order, order) for order in islice(remaining, 1)]
            if not update.done():
                history.during_update |= deployed.states()
            time.sleep(0.3)
        for each in (update, *placing):
            each.result()
    history.observe(deployed, "released")
    deployed.call_functions(history.orders[0])
    wait_until_all_ended(deployed, history)
    return history


def wait_until_some_ended(deployed: UpdatedStack) -> None:
    """Return once tasks have finished and failed; most tasks are open then."""
    deadline = time.monotonic() + TIMEOUT_S
    while not {"finished", "failed"} <= set(deployed.states()):
        assert time.monotonic() < deadline
        time.sleep(0.5)


def wait_until_all_ended(deployed: UpdatedStack, history: History) -> None:
    """Invoke the sweep, and finish stuck tasks once PoYo has them, until every task has ended; the
    tests name those that have not."""
    stuck = {each.task_id for each in history.orders if STUCK in each.prompt}
    deadline = time.monotonic() + TIMEOUT_S
    while OPEN & set(deployed.states()) and time.monotonic() < deadline:
        deployed.finish_at_poyo(stuck)
        deployed.sweep()
        time.sleep(1)


def test_another_layer_without_a_release_does_not_run(history: History) -> None:
    """The deployment succeeds, but the aliases still point to the old versions."""
    assert history.layers["latest"] != history.layers["before"]
    assert history.layers["without a release"] == history.layers["before"]
    assert history.versions["without a release"] == history.versions["before"]
    assert "layer two" not in history.logs["without a release"]


def test_another_layer_with_a_release_runs_behind_every_alias(
    deployed: UpdatedStack, history: History
) -> None:
    assert history.versions["released"] == dict.fromkeys(NAMES, "2")
    assert history.layers["released"] not in (history.layers["before"], history.layers["latest"])
    assert "layer three" in history.logs["released"]
    assert deployed.invoke("DriftFunction")  # its schedule would only tomorrow
    for name in NAMES:
        assert "layer three" in deployed.log(name, "2"), name
        assert "layer t" not in deployed.log(name, "1"), name


def test_tasks_are_in_every_lasting_state_during_the_update(history: History) -> None:
    """Except a recoverable failure, which takes an hour; `submitting` lasts seconds and may be missed."""
    assert set(history.during_update) >= {"pending", "unknown", "running", "finished", "failed"}
    assert history.during_update.total() >= 50


def test_no_caller_notices_the_update(history: History) -> None:
    assert [order.responses for order in history.orders if order.responses != [202]] == []


@pytest.fixture(scope="module")
def tasks(deployed: UpdatedStack, history: History) -> dict[str, dict[str, Any]]:
    """Every task as the API returns it in the end, by its id."""
    return {order.task_id: deployed.task(order) for order in history.orders}


def test_no_task_is_lost_and_every_task_ends_as_expected(
    deployed: UpdatedStack, history: History, tasks: dict[str, dict[str, Any]]
) -> None:
    ended = {task_id: task["status"] for task_id, task in tasks.items()}

    assert len(ended) == len(history.orders) == 100
    assert ended == {order.task_id: order.ends for order in history.orders}
    assert deployed.messages("TaskDeadLetterQueueUrl") == 0


def test_no_task_is_paid_twice(deployed: UpdatedStack, history: History) -> None:
    """PoYo has one task for each of ours, and received one submit that created it."""
    tasks = Counter(our_task_id(each["callback_url"]) for each in deployed.poyo("tasks")["tasks"])
    submits = deployed.poyo("log?kind=submit")["events"]
    created = Counter(our_task_id(each["callback_url"]) for each in submits if each["created"])

    assert tasks == created == Counter({order.task_id: 1 for order in history.orders})


def test_every_image_is_stored_with_the_bytes_of_poyo(
    deployed: UpdatedStack, history: History, tasks: dict[str, dict[str, Any]]
) -> None:
    at_poyo = {
        our_task_id(each["callback_url"]): each["sha256"]
        for each in deployed.poyo("tasks")["tasks"]
    }
    finished = [order.task_id for order in history.orders if order.ends == "finished"]
    stored = {task_id: [file["sha256"] for file in tasks[task_id]["files"]] for task_id in finished}

    assert stored == {task_id: [at_poyo[task_id]] for task_id in finished}


def test_the_new_version_finishes_tasks_that_the_old_version_accepted(
    deployed: UpdatedStack, history: History
) -> None:
    before = deployed.log("ApiFunction", "1")
    after = deployed.log("WorkerFunction", "2")
    taken_over = [
        order.task_id
        for order in history.orders
        if order.task_id in before and order.task_id in after and order.ends == "finished"
    ]

    assert len(taken_over) >= 10


@pytest.mark.parametrize("name", [stack.NAME, SECOND])
def test_each_stack_in_one_account_is_swept_by_a_schedule_of_its_own(
    deployed: UpdatedStack, name: str
) -> None:
    formation = deployed.system.client("cloudformation")

    def physical(logical_id: str) -> str:
        found = formation.describe_stack_resource(StackName=name, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    schedule = deployed.system.client("scheduler").get_schedule(
        Name=physical("SweepFunctionEveryMinute")
    )
    assert schedule["Target"]["Arn"] == physical("SweepFunctionAliaslive")

    logs, group = deployed.system.client("logs"), physical("SweepLogs")
    until(
        lambda: logs.filter_log_events(logGroupName=group, filterPattern='"sweep_completed"'),
        lambda found: bool(found["events"]),
    )
