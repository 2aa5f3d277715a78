"""Commands for the operator of a deployed stack."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "functions"))  # makes imagetasks importable
