"""Work beside the consumer that is done again and again, on a thread of its own."""

import threading
from collections.abc import Callable
from typing import Final

from trunkline.client.backoff import Backoff
from trunkline.client.log import Log

RETRY: Final = Backoff(first=0.2, longest=10.0)

_log = Log("trunkline.config")


class Worker:
    """A `Companion`. `work` returns after how many seconds it is to be called again; `wake` calls it sooner.

    What it raises is logged, counted in `failures_in_a_row`, and tried again after a wait that grows.
    """

    def __init__(self, name: str, work: Callable[[], float]) -> None:
        self._name = name
        self._work = work
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.failures_in_a_row = 0
        self.trouble: str | None = None
        """What the last attempt raised; None after one that raised nothing."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the call under way and end. Safe to call twice, and without `start`."""
        self._stopping = True
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def wake(self) -> None:
        """There is something to do now. From any thread."""
        self._woken.set()

    def _run(self) -> None:
        while not self._stopping:
            try:
                wait = self._work()
                self.failures_in_a_row, self.trouble = 0, None
            except Exception as error:  # noqa: BLE001 - without this thread what it does would silently stop
                self.failures_in_a_row += 1
                self.trouble = str(error) or repr(error)
                wait = RETRY.wait(self.failures_in_a_row)
                _log.warning("tried again later", work=self._name, error=self.trouble)
            self._woken.wait(wait)
            self._woken.clear()
