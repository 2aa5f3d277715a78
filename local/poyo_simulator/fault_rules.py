"""Which fault strikes when: rules from the control API, marks in prompts, and their dice."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.poyo_simulator.faults import Fault, Value, fault_named, parameter
from local.poyo_simulator.responses import bad_request
from local.poyo_simulator.seeded_random import dice

if TYPE_CHECKING:
    from local.poyo_simulator.orders import Order

MARK = re.compile(r"\[\[fault:([\w-]+)(?:=([^\s\]]+))?((?:\s+\w+=[^\s\]]+)*)\s*\]\]")
MATCHES = ("task_id", "prompt_contains", "model", "callback_contains")


@dataclass
class Rule:
    """One fault, how likely, how often at most, and for whom."""

    name: str
    fault: Fault
    parameters: dict[str, Value]
    rate: float = 1.0
    times: int | None = None
    match: dict[str, str] = field(default_factory=dict)
    used: int = 0

    def concerns(self, order: "Order", task_id: str) -> bool:
        match = self.match
        return (
            match.get("task_id", task_id) == task_id
            and match.get("model", order.model) == order.model
            and match.get("prompt_contains", "") in order.prompt
            and match.get("callback_contains", "") in (order.callback_url or "")
        )

    def view(self) -> dict[str, object]:
        limits = {"rate": self.rate, "times": self.times, "match": self.match, "used": self.used}
        return {"fault": self.fault.name, **limits, **self.parameters}


@dataclass(frozen=True)
class Use:
    """A fault that strikes now, with the parameters it was ordered with."""

    fault: str
    parameters: dict[str, Value]

    def number(self, name: str) -> float:
        return float(self.parameters[name])

    def text(self, name: str) -> str:
        return str(self.parameters[name])

    def flag(self, name: str) -> bool:
        return bool(self.parameters[name])


class Rules:
    """Answers which faults strike; the same seed and the same submits give the same answers."""

    def __init__(self, seed: str) -> None:
        self.rules: list[Rule] = []
        self._seed = seed
        self._thrown: Counter[tuple[str, str]] = Counter()
        self._struck: Counter[tuple[str, str]] = Counter()

    def strike(self, stage: str, order: "Order", task_id: str = "", state: str = "") -> list[Use]:
        """The faults that strike this event, each counted as used; prompt marks come first."""
        who = task_id or order.subject
        return [
            Use(rule.fault.name, rule.parameters)
            for rule in (*order.marks, *self.rules)
            if rule.fault.stage == stage
            and rule.fault.only_when in ("", state)
            and rule.concerns(order, task_id)
            and self._falls_on(rule, who)
        ]

    def _falls_on(self, rule: Rule, who: str) -> bool:
        key = (rule.name, who)
        per_task = float(rule.parameters.get("n", 0))
        if rule.times is not None and rule.used >= rule.times:
            return False
        if per_task and self._struck[key] >= per_task:
            return False
        self._thrown[key] += 1
        if dice(self._seed, *key, self._thrown[key]).random() >= rule.rate:
            return False
        rule.used += 1
        self._struck[key] += 1
        return True


def marked(prompt: str) -> tuple[Rule, ...]:
    """The faults a prompt asks for: ``[[fault:NAME]]``, ``=value``, or `` key=value`` inside."""
    return tuple(_mark(*found.groups()) for found in MARK.finditer(prompt))


def without_marks(prompt: str) -> str:
    return MARK.sub("", prompt).strip()


def _mark(name: str, first: str | None, rest: str) -> Rule:
    fault = fault_named(name)
    given = dict(pair.split("=", 1) for pair in rest.split())
    if first is not None:
        given[next(iter(fault.parameters), "value")] = first
    return Rule(f"mark:{name}", fault, _parameters(fault, given))


def read_rules(body: object) -> list[Rule]:
    """The rules in a control request; ``PoyoError`` says what is wrong with one."""
    if not isinstance(body, list):
        raise bad_request("send a list of rules")
    return [_rule(number, given) for number, given in enumerate(body)]


def _rule(number: int, given: object) -> Rule:
    if not isinstance(given, dict) or not isinstance(given.get("fault"), str):
        raise bad_request('a rule is an object with "fault"')
    fault = fault_named(given["fault"])
    rate, times, match = given.get("rate", 1.0), given.get("times"), given.get("match", {})
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise bad_request("rate must be a number from 0 to 1")
    if times is not None and (isinstance(times, bool) or not isinstance(times, int)):
        raise bad_request("times must be a whole number")
    if not isinstance(match, dict) or not all(isinstance(v, str) for v in match.values()):
        raise bad_request("match must be an object of texts")
    if strange := set(match) - set(MATCHES):
        raise bad_request(f"match knows {', '.join(MATCHES)}, not {', '.join(sorted(strange))}")
    rest = {key: v for key, v in given.items() if key not in ("fault", "rate", "times", "match")}
    return Rule(f"rule:{number}:{fault.name}", fault, _parameters(fault, rest), rate, times, match)


def _parameters(fault: Fault, given: Mapping[str, object]) -> dict[str, Value]:
    return fault.parameters | {name: parameter(fault, name, v) for name, v in given.items()}
