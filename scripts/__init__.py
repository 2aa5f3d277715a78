"""Scripts of the gate, of the workflows and of the tools: see docs/delivery.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "functions"))  # makes imagetasks importable
