"""The table that a run prints."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from local.chaos.invariants import MOST_EXTRA_LOOKS, Verdict
from local.chaos.observations import Evidence
from local.chaos.run import Placed, Run

SHOWN = 20  # offenders of one promise


def table(run: Run, evidence: Evidence, verdict: Verdict) -> str:
    """What became of the orders, the zeros, and where time went."""
    lines = [*_outcome(run, evidence), *_promises(run, evidence, verdict), "", *_times(run)]
    return "\n".join(lines)


def offenders(verdict: Verdict) -> str:
    """Every promise that was broken, by whom."""
    lines = []
    for promise, broken in verdict.offenders.items():
        lines += [f"  {promise}:", *(f"    {each}" for each in broken[:SHOWN])] if broken else []
        if len(broken) > SHOWN:
            lines.append(f"    and {len(broken) - SHOWN} more")
    return "\n".join(lines)


def _outcome(run: Run, evidence: Evidence) -> list[str]:
    accepted = [placed for placed in run.orders if placed.task_ids]
    ends = Counter(placed.end for placed in accepted if placed.ended)
    reasons = {end: count for end, count in ends.items() if end != "finished"}
    hour = [p for p in accepted if p.skipped and (p.end == "unconfirmed" or p.rung_late)]
    paid = [placed for placed in hour if evidence.created(placed)]
    healed = [placed for placed in paid if placed.end == "finished"]
    return [
        _row("accepted", len(accepted), f"of {len(run.orders)} orders"),
        _row("finished", ends["finished"]),
        _row("failed", sum(reasons.values()), _counts(reasons)),
        _row("waited an hour", len(hour), f"{len(paid)} paid, {len(healed)} of them healed late"),
        _row("time skipped for", sum(placed.skipped for placed in accepted)),
        _row("killed (-9)", len(run.kills), _counts(Counter(kill.name for kill in run.kills))),
        _row("dead letters", evidence.dead_letters),
        _row("operator paged", sum(evidence.pages.values()), _counts(evidence.pages)),
    ]


def _promises(run: Run, evidence: Evidence, verdict: Verdict) -> list[str]:
    remarks = {
        "strangers let in": f"of {run.strangers} tries",
        "secrets in logs": f"in {evidence.searched} logs",
        "unexplained 5xx": f"in {len(run.answers)} answers",
    }
    looks = "-" if verdict.extra_looks is None else f"{verdict.extra_looks:.2f}"
    return [
        *(_row(name, len(by), remarks.get(name, "")) for name, by in verdict.offenders.items()),
        _row("extra looks", looks, f"for each doubled callback; at most {MOST_EXTRA_LOOKS}"),
    ]


def _times(run: Run) -> list[str]:
    """Seconds by fault; orders whose time was skipped are left out of the second pair."""
    head = f"  {'seconds, by fault':<46}{'n':>4}{'submit p50':>12}{'p95':>7}{'to end p50':>12}{'p95':>7}"
    groups: dict[str, list[Placed]] = {}
    for placed in run.orders:
        groups.setdefault(placed.kind.name, []).append(placed)
    everything = _time_row(run, "all", run.orders)
    return [head, everything, *(_time_row(run, name, groups[name]) for name in sorted(groups))]


def _time_row(run: Run, name: str, orders: list[Placed]) -> str:
    kinds = {placed.kind.name for placed in orders}
    posts = [a for a in run.answers if a.what == "POST order" and a.kind in kinds and a.status]
    answers = [post.over - post.began for post in posts]
    lives = [life for placed in orders for life in _life(placed)]
    first, second = _p(answers, 50, 2), _p(answers, 95, 2)
    return f"  {name:<46}{len(orders):>4}{first:>12}{second:>7}{_p(lives, 50, 1):>12}{_p(lives, 95, 1):>7}"


def _life(placed: Placed) -> Iterable[float]:
    """From accepted to its end, by the task's own account."""
    task = placed.task
    if placed.skipped or placed.rung_late or task is None or task["finished_at"] is None:
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
