"""The table that a run prints."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from local.chaos.invariants import MAX_EXTRA_POLLS, Verdict
from local.chaos.observations import Observations
from local.chaos.run import PlacedOrder, Run

MAX_LISTED = 20  # violations of one invariant


def table(run: Run, observed: Observations, verdict: Verdict) -> str:
    """Return the outcome of the orders, the number of violations, and the durations."""
    lines = [*_outcome(run, observed), *_invariants(run, observed, verdict), "", *_times(run)]
    return "\n".join(lines)


def violations(verdict: Verdict) -> str:
    """Return every violated invariant with its violations."""
    lines = []
    for invariant, found in verdict.violations.items():
        lines += (
            [f"  {invariant}:", *(f"    {each}" for each in found[:MAX_LISTED])] if found else []
        )
        if len(found) > MAX_LISTED:
            lines.append(f"    and {len(found) - MAX_LISTED} more")
    return "\n".join(lines)


def _outcome(run: Run, observed: Observations) -> list[str]:
    accepted = [placed for placed in run.orders if placed.task_ids]
    ends = Counter(placed.end for placed in accepted if placed.ended)
    reasons = {end: count for end, count in ends.items() if end != "finished"}
    waited = [p for p in accepted if p.time_skipped and (p.end == "unconfirmed" or p.late_callback)]
    paid = [placed for placed in waited if observed.created(placed)]
    recovered = [placed for placed in paid if placed.end == "finished"]
    skipped = sum(placed.time_skipped for placed in accepted)
    return [
        _row("accepted", len(accepted), f"of {len(run.orders)} orders"),
        _row("finished", ends["finished"]),
        _row("failed", sum(reasons.values()), _counts(reasons)),
        _row(
            "waited an hour", len(waited), f"{len(paid)} paid, {len(recovered)} of them recovered"
        ),
        _row("time skipped for", skipped),
        _row("killed (-9)", len(run.kills), _counts(Counter(kill.name for kill in run.kills))),
        _row("dead letters", observed.dead_letters),
        _row("alarms", sum(observed.alarms.values()), _counts(observed.alarms)),
    ]


def _invariants(run: Run, observed: Observations, verdict: Verdict) -> list[str]:
    remarks = {
        "successful attacks": f"of {run.attacks} attempts",
        "secrets in logs": f"in {observed.logs_searched} logs",
        "unexplained 5xx": f"in {len(run.responses)} responses",
    }
    polls = "-" if verdict.extra_polls is None else f"{verdict.extra_polls:.2f}"
    return [
        *(
            _row(name, len(found), remarks.get(name, ""))
            for name, found in verdict.violations.items()
        ),
        _row("extra polls", polls, f"for each doubled callback; at most {MAX_EXTRA_POLLS}"),
    ]


def _times(run: Run) -> list[str]:
    """Return seconds by fault; the durations to the end exclude orders with skipped time."""
    head = f"  {'seconds, by fault':<46}{'n':>4}{'submit p50':>12}{'p95':>7}{'to end p50':>12}{'p95':>7}"
    groups: dict[str, list[PlacedOrder]] = {}
    for placed in run.orders:
        groups.setdefault(placed.scenario.name, []).append(placed)
    everything = _time_row(run, "all", run.orders)
    return [head, everything, *(_time_row(run, name, groups[name]) for name in sorted(groups))]


def _time_row(run: Run, name: str, orders: list[PlacedOrder]) -> str:
    names = {placed.scenario.name for placed in orders}
    posts = [
        r for r in run.responses if r.what == "POST order" and r.scenario in names and r.status
    ]
    submits = [post.over - post.began for post in posts]
    durations = [seconds for placed in orders for seconds in _duration(placed)]
    first, second = _p(submits, 50, 2), _p(submits, 95, 2)
    third, fourth = _p(durations, 50, 1), _p(durations, 95, 1)
    return f"  {name:<46}{len(orders):>4}{first:>12}{second:>7}{third:>12}{fourth:>7}"


def _duration(placed: PlacedOrder) -> Iterable[float]:
    """Yield the seconds from created to finished, by the task's own timestamps."""
    task = placed.task
    if placed.time_skipped or placed.late_callback or task is None or task["finished_at"] is None:
        return []
    ended, created = (datetime.fromisoformat(task[name]) for name in ("finished_at", "created_at"))
    return [(ended - created).total_seconds()]


def _p(values: list[float], percent: int, digits: int) -> str:
    if not values:
        return "-"
    return f"{sorted(values)[min(len(values) - 1, len(values) * percent // 100)]:.{digits}f}"


def _row(name: str, value: object, remark: str = "") -> str:
    return f"  {name:<22}{value:>6}  {remark}".rstrip()


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
