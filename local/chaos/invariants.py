"""The promises, each held against the evidence: a list of offenders a promise, empty when kept."""

from dataclasses import dataclass

from local.chaos.observations import Evidence
from local.chaos.run import Answer, Kill, Placed, Run
from local.chaos.scenarios import DOUBLE, FAULTY, FINISHED, PLAIN

MOST_EXTRA_LOOKS = 1.1
FEWEST_DOUBLED = 10  # an average over fewer says more of the sweep's minute than of the callbacks
FAILED_UPSTREAM = ("upstream", "moderated")
SOFT = ("unconfirmed", "timed_out", "result_expired")  # these ends may improve
REFUSED = {kind.name for kind in FAULTY if kind.ends == "unavailable"}
ON_THE_WAY = ("api", "webhook", "gateway")  # whose death a caller notices


@dataclass(frozen=True)
class Verdict:
    """Offenders by promise, and the extra looks that one doubled callback cost on average."""

    offenders: dict[str, list[str]]
    extra_looks: float | None

    @property
    def good(self) -> bool:
        return not any(self.offenders.values())


def judge(run: Run, evidence: Evidence, changed: list[str]) -> Verdict:
    """`changed` are the tasks that strangers moved."""
    extra = extra_looks(run, evidence)
    accepted = [placed for placed in run.orders if placed.task_ids]
    allowed = extra is None or extra <= MOST_EXTRA_LOOKS
    offenders = {
        "never accepted": [_name(placed) for placed in run.orders if not placed.task_ids],
        "two tasks for one key": [_name(p) for p in run.orders if len(p.task_ids) > 1],
        "lost": [_name(placed) for placed in accepted if not placed.ended],
        "paid twice": [_name(p) for p in accepted if evidence.created(p) > 1],
        "paid for nobody": _orphans(run, evidence),
        "ended otherwise": [
            _name(p) for p in accepted if p.ended and p.end not in allowed_ends(run, evidence, p)
        ],
        "changed after the end": [_name(placed) for placed in accepted if _moved(placed)],
        "not PoYo's image": _wrong_images(accepted, evidence),
        "strangers let in": [*run.let_in, *(f"{task} changed" for task in changed)],
        "secrets in logs": evidence.leaks,
        "unexplained 5xx": [_line(a) for a in run.answers if not explained(run, a)],
        "unhandled errors": evidence.unhandled,
        "too many looks": [] if allowed else [f"{extra:.2f} for each doubled callback"],
    }
    return Verdict(offenders, extra)


def allowed_ends(run: Run, evidence: Evidence, placed: Placed) -> set[str]:
    """How the order may have ended, given what PoYo saw of it and whom we killed."""
    usual = placed.kind.ends
    if evidence.created(placed):
        lost_callback = usual in FAILED_UPSTREAM and placed.rung_late
        return {usual, "unconfirmed"} if lost_callback else {usual}
    killed = any(_strikes(kill, placed.began, placed.over) for kill in run.kills)
    events = [line["event"] for line in (placed.task or {}).get("history", [])]
    if "retried" in events:  # then it was a worker's to send
        killed = killed or any(kill.name.startswith("worker") for kill in run.kills)
    return {usual, "unconfirmed"} if killed else {usual}


def extra_looks(run: Run, evidence: Evidence) -> float | None:
    """Status reads beyond those of an undoubled task, for each further callback that was sent.

    None where too few were sent for an average.
    """
    calm = [placed for placed in run.orders if placed.kind.name in (PLAIN.name, DOUBLE.name)]
    single: list[int] = []
    extra: list[int] = []
    further = 0
    for placed in calm:
        for theirs in evidence.theirs.get(placed.task_id, []):
            copies = sum(sent["variant"] == "copy" for sent in theirs["callbacks"])
            (extra if copies else single).append(theirs["status_reads"])
            further += copies
    if further < FEWEST_DOUBLED:
        return None
    usual = sum(single) / len(single) if single else 1.0
    return (sum(extra) - usual * len(extra)) / further


def explained(run: Run, answer: Answer) -> bool:
    """Whether a 5xx, or none at all, is what the order asked for or what a kill does."""
    if answer.status is not None and answer.status < 500:
        return True
    if answer.code:  # our own words: then only the order can be the reason
        return answer.code == "unavailable" and answer.kind in REFUSED
    return any(_strikes(kill, answer.began, answer.over) for kill in run.kills)


def _strikes(kill: Kill, began: float, over: float) -> bool:
    return kill.name.split()[0] in ON_THE_WAY and kill.began <= over and began <= kill.over


def _orphans(run: Run, evidence: Evidence) -> list[str]:
    known = set().union(*(placed.task_ids for placed in run.orders))
    return [task_id for task_id in evidence.theirs if task_id not in known]


def _moved(placed: Placed) -> bool:
    """Whether a final end was not final; a soft failure may improve."""
    first = placed.first_end
    if first is None or (first["error"] or {}).get("code") in SOFT:
        return False
    return first != placed.task


def _wrong_images(accepted: list[Placed], evidence: Evidence) -> list[str]:
    """Finished without PoYo's picture in the bucket, or an image of a task that has none."""
    wrong = []
    for placed in accepted:
        kept = evidence.kept.get(f"images/{placed.task_id}/0")
        drawn = [theirs["sha256"] for theirs in evidence.theirs.get(placed.task_id, [])]
        shown = [file["sha256"] for file in (placed.task or {}).get("files", [])]
        if [kept] != drawn or drawn != shown if placed.end == FINISHED else bool(kept or shown):
            wrong.append(_name(placed))
    return wrong


def _name(placed: Placed) -> str:
    ids = " and ".join(sorted(placed.task_ids)) or "no task"
    return f"order {placed.n} ({placed.kind.name}): {ids}, {placed.end}"


def _line(answer: Answer) -> str:
    spent = answer.over - answer.began
    return f"{answer.what} ({answer.kind}): {answer.status} {answer.code} after {spent:.1f} s"
