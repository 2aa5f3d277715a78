"""Become another program that dies with its parent: die_with_parent.py PARENT_PID PROGRAM ARGUMENT…

Linux kills the program when the parent is gone, however it went. Elsewhere only an orderly end
of the parent ends it. Standard library only: it runs before any environment counts.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent: int, argv: list[str]) -> None:
    """Replace this process by `argv`; never returns."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the tether was tied
        sys.exit(1)
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
