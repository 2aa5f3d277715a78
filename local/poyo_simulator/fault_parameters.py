"""Finds a fault by its name and reads its parameters, from JSON or from a prompt."""

from collections.abc import Mapping
from difflib import get_close_matches

from local.poyo_simulator.faults import FAULTS, Fault, Value
from local.poyo_simulator.responses import bad_request


def find_fault(name: str) -> Fault:
    """Return the fault with this name; otherwise raise ``PoyoError`` with the nearest name."""
    if name in FAULTS:
        return FAULTS[name]
    nearest = get_close_matches(name, FAULTS, n=1, cutoff=0.0)
    raise bad_request(f"unknown fault {name!r}; the nearest is {nearest[0]!r}")


def read_parameters(fault: Fault, given: Mapping[str, object]) -> dict[str, Value]:
    """Return the fault's parameters with the given values; ``PoyoError`` names a bad one."""
    return fault.parameters | {name: _read(fault, name, value) for name, value in given.items()}


def _read(fault: Fault, name: str, given: object) -> Value:
    """Convert a value to the type of the parameter's default; a prompt gives only text."""
    if name not in fault.parameters:
        known = ", ".join(fault.parameters) or "none"
        raise bad_request(f"{fault.name} has no parameter {name!r}; it has: {known}")
    kind = type(fault.parameters[name])
    booleans: dict[object, object] = {"true": True, "false": False} if kind is bool else {}
    value = booleans.get(given, given) if isinstance(given, str) else given
    if kind is str or isinstance(value, bool) is not (kind is bool):
        fits = isinstance(value, kind)
    else:
        fits = isinstance(value, int | float | str)
    try:
        if fits and isinstance(value, int | float | str):
            return kind(value)
    except ValueError:
        pass
    raise bad_request(f"{fault.name}: {name} must be of type {kind.__name__}")
