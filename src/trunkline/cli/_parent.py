"""A child process that ends with its parent, however the parent ends.

The parent keeps the writing end of the child's standard input open and writes nothing. When it dies, even
by SIGKILL, the child reads end of file and stops as if asked to, instead of keeping a port and a lock.
"""

import os
import signal
import sys
import threading
from typing import Final

PARENT_PIPE: Final = "TRUNKLINE_STOPS_WITH_STDIN"
"""Set in a child's environment: end of file on standard input means that the parent is gone."""


def stop_with_parent() -> None:
    """Turn the end of the parent's pipe into SIGTERM, if this process was started as a child."""
    if os.environ.pop(PARENT_PIPE, None) is None:
        return

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()
