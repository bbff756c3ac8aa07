"""A sender of notifications that dies where it is told to: `python -m trunkline.testing.notification_actor`.

It sends what is due on a store to a webhook, and ends with 0 when nothing is left.
"""

import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trunkline.client import failpoints
from trunkline.services.notification.schedule import Schedule
from trunkline.services.notification.sender import SenderOptions
from trunkline.testing.notification_desk import NotificationDesk

LEASE_S: Final = 27.0
"""Just above what an attempt may take, so that what a dead process held is soon free."""
OPTIONS: Final = SenderOptions(threads=4, endpoint_max=3, poll_s=0.01, lease_s=LEASE_S, schedule=Schedule())
POLL_S: Final = 0.02
OPEN: Final = {"pending", "leased"}


def main(url: str, directory: str, webhook: str, *, failpoint: str, skip: int, ahead_s: float) -> None:
    """Die when `failpoint` has been reached `skip` times before. The clock goes `ahead_s` before."""
    left = skip
    lock = threading.Lock()

    def die(name: str) -> None:
        nonlocal left
        if name == failpoint:
            with lock:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

    failpoints.install(die)
    with NotificationDesk(url, Path(directory), instance=f"actor-{os.getpid()}", options=OPTIONS) as desk:
        desk.now = datetime.fromtimestamp(ahead_s, UTC)
        desk.set("notification.allowed_networks", ["127.0.0.0/8"])
        desk.set(
            "notification.channels.hook",
            {"kind": "webhook", "url": webhook, "secrets": ["secret:hook"], "takes": {}},
        )
        with desk.sending():
            while OPEN & set(desk.states("hook")):
                time.sleep(POLL_S)


if __name__ == "__main__":
    main(*sys.argv[1:4], failpoint=sys.argv[4], skip=int(sys.argv[5]), ahead_s=float(sys.argv[6]))
