"""Random numbers that are the same for the same seed."""

import random


def seeded_random(*seed_parts: object) -> random.Random:
    """Return a generator for simulation, not for secrets."""
    return random.Random(":".join(map(str, seed_parts)))  # noqa: S311  # must be repeatable
