"""One deliberate defect in the product's code and the check that must find it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SIMULATION = "simulation"
SOURCES = Path("functions/imagetasks")  # relative to the repository


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old`, which occurs once in `file` (a command's begins with `cli/`, a client's with `clients/`, a
    script's with `scripts/`), becomes `new`; `catcher` is the simulation or a test file."""

    name: str
    file: str
    old: str
    new: str
    catcher: str = SIMULATION

    @property
    def path(self) -> Path:
        """The file that is changed, relative to the repository."""
        whole = self.file.startswith(("cli/", "clients/", "scripts/"))
        return Path(self.file) if whole else SOURCES / self.file

    def applied(self, text: str) -> str:
        """The file's text with the defect. Raises ValueError unless `old` occurs exactly once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} occurrences of {self.old!r}")
        return text.replace(self.old, self.new)
