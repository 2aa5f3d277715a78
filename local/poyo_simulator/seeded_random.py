"""Dice that fall the same way whenever they are thrown for the same thing."""

import random


def dice(*thrown_for: object) -> random.Random:
    """Chance for simulation, not for secrets."""
    return random.Random(":".join(map(str, thrown_for)))  # noqa: S311  # must be repeatable
