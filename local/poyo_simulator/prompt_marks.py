"""Fault marks in prompts: ``[[fault:NAME]]``, ``[[fault:NAME=VALUE]]``, ``[[fault:NAME key=value]]``."""

import re

from local.poyo_simulator.fault_parameters import find_fault, read_parameters
from local.poyo_simulator.fault_rules import FaultRule

MARK = re.compile(r"\[\[fault:([\w-]+)(?:=([^\s\]]+))?((?:\s+\w+=[^\s\]]+)*)\s*\]\]")


def parse_marks(prompt: str) -> tuple[FaultRule, ...]:
    """Return a rule for each mark in a prompt; ``PoyoError`` describes an invalid one."""
    return tuple(_parse_mark(*found.groups()) for found in MARK.finditer(prompt))


def without_marks(prompt: str) -> str:
    return MARK.sub("", prompt).strip()


def _parse_mark(name: str, first: str | None, rest: str) -> FaultRule:
    fault = find_fault(name)
    given = dict(pair.split("=", 1) for pair in rest.split())
    if first is not None:
        given[next(iter(fault.parameters), "value")] = first
    return FaultRule(f"mark:{name}", fault, read_parameters(fault, given))
