"""A service that is killed at a failpoint, as a process: `python -m trunkline.testing.suite.actor`.

It goes on where the store says it was, and ends with 0 when the topics have nothing left.
"""

import os
import random
import signal
import sys
from pathlib import Path

from trunkline.client import failpoints
from trunkline.testing.suite.cases import all_cases
from trunkline.testing.suite.harness import running, topics_of
from trunkline.testing.suite.streams import batches, consumed


def main(service: str, url: str, directory: str, *, seed: int, failpoint: str, skip: int) -> None:
    """Die when `failpoint` has been reached `skip` times before."""
    case = next(case for case in all_cases() if case.service == service)
    left = skip

    def die(name: str) -> None:
        nonlocal left
        if name == failpoint:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    failpoints.install(die)
    events = consumed(case.events(seed), topics_of(case))
    with running(case, url, Path(directory)) as harness:
        harness.apply_all(batches(events, random.Random(0)))  # noqa: S311 - the same batches every time


if __name__ == "__main__":
    main(*sys.argv[1:4], seed=int(sys.argv[4]), failpoint=sys.argv[5], skip=int(sys.argv[6]))
