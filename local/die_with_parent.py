"""Runs a program that dies with its parent: die_with_parent.py PARENT_PID PROGRAM ARGUMENT…

Linux kills the program when its parent has ended for any reason. On other systems the program ends
only if the parent stops it. Uses the standard library only, because it runs outside any environment.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent: int, argv: list[str]) -> None:
    """Replace this process with `argv`; does not return."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before prctl took effect
        sys.exit(1)
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
