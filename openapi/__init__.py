"""Generates functions/openapi.json from the code. Nothing of this package is deployed."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "functions"))  # makes imagetasks importable
