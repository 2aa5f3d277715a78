"""A simulated PoYo on 127.0.0.1: its endpoints, its callbacks, its file host, and injected faults."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "functions"))  # makes imagetasks importable
