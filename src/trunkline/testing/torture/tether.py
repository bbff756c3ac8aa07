"""Becomes another program that the kernel kills when this process's parent ends: run as a script, by path.

The parent is a thread to the kernel: whoever starts something with this must live as long as it should.
Unlike a pipe that is read, this ends a paused process, too. Elsewhere than on Linux it only starts it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent ended before this process was tied to it")
    os.execv(command[0], command)  # noqa: S606 - what the parent asked for
