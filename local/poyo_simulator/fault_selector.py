"""Selects the faults to inject into an event, from the run's rules and the prompt's marks."""

from collections import Counter

from local.poyo_simulator.fault_rules import FaultRule, InjectedFault
from local.poyo_simulator.orders import Order
from local.poyo_simulator.seeded_random import seeded_random


class FaultSelector:
    """Selects the same faults for the same seed and the same submits."""

    def __init__(self, seed: str) -> None:
        self.rules: list[FaultRule] = []
        self._seed = seed
        self._draws: Counter[tuple[str, str]] = Counter()
        self._injected: Counter[tuple[str, str]] = Counter()

    def select(
        self, stage: str, order: Order, task_id: str = "", state: str = ""
    ) -> list[InjectedFault]:
        """Return the faults for this event and count each as used; prompt marks come first."""
        subject = task_id or order.correlation_key
        return [
            InjectedFault(rule.fault.name, rule.parameters)
            for rule in (*order.marks, *self.rules)
            if rule.fault.stage == stage
            and rule.fault.only_in_state in ("", state)
            and _matches(rule, order, task_id)
            and self._draw(rule, subject)
        ]

    def _draw(self, rule: FaultRule, subject: str) -> bool:
        """Return whether the rule applies this time; counts the use if it does."""
        key = (rule.name, subject)
        per_task = float(rule.parameters.get("n", 0))
        if rule.times is not None and rule.used >= rule.times:
            return False
        if per_task and self._injected[key] >= per_task:
            return False
        self._draws[key] += 1
        if seeded_random(self._seed, *key, self._draws[key]).random() >= rule.rate:
            return False
        rule.used += 1
        self._injected[key] += 1
        return True


def _matches(rule: FaultRule, order: Order, task_id: str) -> bool:
    return rule.matches(
        task_id=task_id,
        model=order.model,
        prompt=order.prompt,
        callback_url=order.callback_url,
    )
