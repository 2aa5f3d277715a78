"""Fault rules: which fault to inject, how often, and into which tasks; and their JSON form."""

from dataclasses import dataclass, field

from local.poyo_simulator.fault_parameters import find_fault, read_parameters
from local.poyo_simulator.faults import Fault, Value
from local.poyo_simulator.responses import bad_request

MATCH_KEYS = ("task_id", "prompt_contains", "model", "callback_contains")


@dataclass
class FaultRule:
    """One fault with its parameters, its probability, its maximum number of uses and its filter."""

    name: str
    fault: Fault
    parameters: dict[str, Value]
    rate: float = 1.0
    times: int | None = None
    match: dict[str, str] = field(default_factory=dict)
    used: int = 0

    def matches(self, *, task_id: str, model: str, prompt: str, callback_url: str | None) -> bool:
        return (
            self.match.get("task_id", task_id) == task_id
            and self.match.get("model", model) == model
            and self.match.get("prompt_contains", "") in prompt
            and self.match.get("callback_contains", "") in (callback_url or "")
        )

    def body(self) -> dict[str, object]:
        """Return the rule as the control API shows it."""
        limits = {"rate": self.rate, "times": self.times, "match": self.match, "used": self.used}
        return {"fault": self.fault.name, **limits, **self.parameters}


@dataclass(frozen=True)
class InjectedFault:
    """A fault to inject into one event, with its parameters."""

    name: str
    parameters: dict[str, Value]

    def number(self, name: str) -> float:
        return float(self.parameters[name])

    def text(self, name: str) -> str:
        return str(self.parameters[name])

    def flag(self, name: str) -> bool:
        return bool(self.parameters[name])


def parse_rules(body: object) -> list[FaultRule]:
    """Read the rules in a control request; ``PoyoError`` describes the first invalid one."""
    if not isinstance(body, list):
        raise bad_request("send a list of rules")
    return [_parse_rule(number, given) for number, given in enumerate(body)]


def _parse_rule(number: int, given: object) -> FaultRule:
    if not isinstance(given, dict) or not isinstance(given.get("fault"), str):
        raise bad_request('a rule is an object with "fault"')
    fault = find_fault(given["fault"])
    rate, times, match = given.get("rate", 1.0), given.get("times"), given.get("match", {})
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise bad_request("rate must be a number from 0 to 1")
    if times is not None and (isinstance(times, bool) or not isinstance(times, int)):
        raise bad_request("times must be a whole number")
    if not isinstance(match, dict) or not all(isinstance(v, str) for v in match.values()):
        raise bad_request("match must be an object of texts")
    if unknown := set(match) - set(MATCH_KEYS):
        allowed = ", ".join(MATCH_KEYS)
        raise bad_request(f"match allows {allowed}, not {', '.join(sorted(unknown))}")
    rest = {key: v for key, v in given.items() if key not in ("fault", "rate", "times", "match")}
    parameters = read_parameters(fault, rest)
    return FaultRule(f"rule:{number}:{fault.name}", fault, parameters, rate, times, match)
