"""Simulated PoYos for the tests of the simulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.poyo_simulator.background_server import in_background
from tests.local.simulator_client import INSTANT, NEVER_ENDING, SimulatorClient


@pytest.fixture
def poyo() -> Iterator[SimulatorClient]:
    """One whose tasks end at once."""
    with in_background(INSTANT) as origin:
        yield SimulatorClient(origin)


@pytest.fixture
def slow_poyo() -> Iterator[SimulatorClient]:
    """One whose tasks never end."""
    with in_background(NEVER_ENDING) as origin:
        yield SimulatorClient(origin)
