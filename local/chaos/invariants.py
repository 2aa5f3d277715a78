"""The invariants of a run, each checked against the observations: a list of violations for each."""

from dataclasses import dataclass

from local.chaos.observations import Observations
from local.chaos.run import ApiResponse, Kill, PlacedOrder, Run
from local.chaos.scenarios import DOUBLE, FAULTY, FINISHED, PLAIN

MAX_EXTRA_POLLS = 1.1
MIN_DOUBLED = 10  # with fewer, the average depends on when the sweep runs, not on the callbacks
FAILED_UPSTREAM = ("upstream", "moderated")
RECOVERABLE = (  # may still become finished
    "unconfirmed",
    "timed_out",
    "upstream",
    "moderated",
    "bad_result",
    "result_expired",
)
UNAVAILABLE = {scenario.name for scenario in FAULTY if scenario.end == "unavailable"}
SERVING = ("api", "webhook", "gateway")  # a caller notices when one of these is killed


@dataclass(frozen=True)
class Verdict:
    """Violations by invariant, and the average number of extra polls for one doubled callback."""

    violations: dict[str, list[str]]
    extra_polls: float | None

    @property
    def good(self) -> bool:
        return not any(self.violations.values())


def check(run: Run, observed: Observations, changed: list[str]) -> Verdict:
    """Check all invariants; `changed` are the tasks that an attack changed."""
    extra = extra_polls(run, observed)
    accepted = [placed for placed in run.orders if placed.task_ids]
    allowed = extra is None or extra <= MAX_EXTRA_POLLS
    violations = {
        "never accepted": [_name(placed) for placed in run.orders if not placed.task_ids],
        "two tasks for one key": [_name(p) for p in run.orders if len(p.task_ids) > 1],
        "never ended": [_name(placed) for placed in accepted if not placed.ended],
        "paid twice": [_name(p) for p in accepted if observed.created(p) > 1],
        "paid without a task": _unknown_tasks(run, observed),
        "unexpected end": [
            _name(p) for p in accepted if p.ended and p.end not in allowed_ends(run, observed, p)
        ],
        "changed after the end": [_name(placed) for placed in accepted if _changed(placed)],
        "not PoYo's image": _wrong_images(accepted, observed),
        "successful attacks": [*run.successful_attacks, *(f"{task} changed" for task in changed)],
        "secrets in logs": observed.leaks,
        "unexplained 5xx": [_line(r) for r in run.responses if not explained(run, r)],
        "unhandled errors": observed.unhandled_errors,
        "too many polls": [] if allowed else [f"{extra:.2f} for each doubled callback"],
    }
    return Verdict(violations, extra)


def allowed_ends(run: Run, observed: Observations, placed: PlacedOrder) -> set[str]:
    """Return the ends that are correct for an order, given PoYo's events and the kills."""
    expected = placed.scenario.end
    if expected == "result_expired" and placed.time_skipped:
        return {
            expected,
            "timed_out",
        }  # if PoYo did not answer the one poll that follows a skipped day
    if observed.created(placed):
        lost_callback = expected in FAILED_UPSTREAM and placed.late_callback
        return {expected, "unconfirmed"} if lost_callback else {expected}
    killed = any(_affects(kill, placed.began, placed.over) for kill in run.kills)
    events = [line["event"] for line in (placed.task or {}).get("history", [])]
    if "retried" in events:  # then a worker submitted it
        killed = killed or any(kill.name.startswith("worker") for kill in run.kills)
    return {expected, "unconfirmed"} if killed else {expected}


def extra_polls(run: Run, observed: Observations) -> float | None:
    """Return the polls beyond those of a task with one callback, for each additional callback.

    None if too few additional callbacks were sent for an average.
    """
    names = (PLAIN.name, DOUBLE.name)
    fault_free = [placed for placed in run.orders if placed.scenario.name in names]
    single: list[int] = []
    doubled: list[int] = []
    additional = 0
    for placed in fault_free:
        for task in observed.poyo_tasks.get(placed.task_id, []):
            copies = sum(sent["variant"] == "copy" for sent in task["callbacks"])
            (doubled if copies else single).append(task["status_reads"])
            additional += copies
    if additional < MIN_DOUBLED:
        return None
    normal = sum(single) / len(single) if single else 1.0
    return (sum(doubled) - normal * len(doubled)) / additional


def explained(run: Run, response: ApiResponse) -> bool:
    """Return whether a 5xx or a broken connection is due to the order's fault or to a kill."""
    if response.status is not None and response.status < 500:
        return True
    if response.code:  # a problem+json from our own code: only the order can be the reason
        return response.code == "unavailable" and response.scenario in UNAVAILABLE
    return any(_affects(kill, response.began, response.over) for kill in run.kills)


def _affects(kill: Kill, began: float, over: float) -> bool:
    return kill.name.split()[0] in SERVING and kill.began <= over and began <= kill.over


def _unknown_tasks(run: Run, observed: Observations) -> list[str]:
    known = set().union(*(placed.task_ids for placed in run.orders))
    return [task_id for task_id in observed.poyo_tasks if task_id not in known]


def _changed(placed: PlacedOrder) -> bool:
    """Return whether a task changed after its end; only a recoverable failure may change. The check of a
    second PoYo id, which a callback named, is recorded after the end, too: that moves `updated_at` alone."""
    first = placed.first_end
    if first is None or (first["error"] or {}).get("code") in RECOVERABLE:
        return False
    return any(
        first[name] != (placed.task or {}).get(name) for name in first if name != "updated_at"
    )


def _wrong_images(accepted: list[PlacedOrder], observed: Observations) -> list[str]:
    """Return finished tasks without PoYo's image in the bucket, and other tasks with an image."""
    wrong = []
    for placed in accepted:
        stored = observed.stored_images.get(f"images/{placed.task_id}/0")
        drawn = [task["sha256"] for task in observed.poyo_tasks.get(placed.task_id, [])]
        shown = [file["sha256"] for file in (placed.task or {}).get("files", [])]
        if [stored] != drawn or drawn != shown if placed.end == FINISHED else bool(stored or shown):
            wrong.append(_name(placed))
    return wrong


def _name(placed: PlacedOrder) -> str:
    ids = " and ".join(sorted(placed.task_ids)) or "no task"
    return f"order {placed.n} ({placed.scenario.name}): {ids}, {placed.end}"


def _line(response: ApiResponse) -> str:
    seconds = response.over - response.began
    outcome = f"{response.status} {response.code} after {seconds:.1f} s"
    return f"{response.what} ({response.scenario}): {outcome}"
