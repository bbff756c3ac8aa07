"""Finishes what a tombstone has begun: erases what had to wait, destroys the key, answers with a receipt.

Theory of operation. Each step is in the store before the next one begins, and each may be repeated: an
erasure looks whether it was done, the number of keys is written down before they are destroyed, a receipt is
the same each time. So it does not matter where a process dies, nor how many instances do it at once.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from trunkline.catalogue.internal import ERASURE_RECEIPTS
from trunkline.client import failpoints
from trunkline.client.blame import one_line
from trunkline.client.config import ConnectionOptions
from trunkline.client.log import Log
from trunkline.services.kit.ending.ends import (
    Ended,
    Erasure,
    count_keys,
    erase,
    erased_tenants,
    mark_answered,
    open_ends,
)
from trunkline.services.kit.ending.records import Receipt, encode_receipt
from trunkline.services.kit.ending.writing import RECORDS_MAX, write_records
from trunkline.services.kit.keys import KeyRing

LOOK_SECONDS: Final = 5.0
"""How often it looks by itself: for a hold that was released, for what another instance has ended."""

RETRY_SECONDS: Final = 2.0

_log = Log("trunkline.ending")


class Answering:
    """A `services.app.Companion` of one service."""

    def __init__(
        self,
        service: str,
        erasure: Erasure,
        keys: KeyRing,
        connection: ConnectionOptions,
        *,
        wall: Callable[[], datetime],
    ) -> None:
        self._service = service
        self._erasure = erasure
        self._keys = keys
        self._connection = connection
        self._wall = wall
        self._without_key: set[str] = set()
        """Ended tenants whose key this process does not keep in memory."""
        self.trouble: str | None = None
        """Why receipts cannot be given right now, as a sentence."""
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ending", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step in hand. Safe to call twice, and without `start`."""
        self._stopping = True
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def wake(self) -> None:
        """A tenant has ended: look at once. From any thread."""
        self._woken.set()

    def answer(self) -> int:
        """Do for every ended tenant what is due; how many receipts were given.

        Raises what the store, the key ring and `write_records` raise.
        """
        self._erase_what_waits()
        self._destroy_keys()
        return self._give_receipts()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.answer()
                self.trouble = None
                wait = LOOK_SECONDS
            except Exception as error:  # noqa: BLE001 - a tenant's end is not given up
                trouble = f"the ends of tenants cannot be answered: {one_line(error)}"
                if trouble != self.trouble:
                    _log.warning("the ends of tenants cannot be answered", error=one_line(error))
                self.trouble = trouble
                wait = RETRY_SECONDS
            self._woken.wait(wait)
            self._woken.clear()

    def _open(self) -> list[Ended]:
        with self._erasure.store.read() as tx:
            return open_ends(tx)

    def _erase_what_waits(self) -> None:
        for ended in self._open():
            if ended.erased_at is None:
                with self._erasure.store.write() as tx:
                    erase(tx, ended.tenant, self._erasure, now=self._wall())

    def _destroy_keys(self) -> None:
        """Also those that another instance has destroyed, of which this one may know."""
        for ended in self._open():
            if ended.erased_at is not None and ended.keys_destroyed is None:
                with self._erasure.store.write() as tx:
                    count_keys(tx, ended.tenant, int(self._keys.holds(ended.tenant)))
                failpoints.reach("ending.keys_counted")
        with self._erasure.store.read() as tx:
            due = erased_tenants(tx) - self._without_key
        if due:
            self._keys.destroy(due)
            failpoints.reach("ending.keys_destroyed")
            self._without_key |= due

    def _give_receipts(self) -> int:
        ready = [self._receipt(ended) for ended in self._open() if ended.keys_destroyed is not None]
        if ready and not self._erasure.store.forget_deleted():
            return 0  # Somebody reads for long; until then the files still have what was erased.
        for begin in range(0, len(ready), RECORDS_MAX):
            part = ready[begin : begin + RECORDS_MAX]
            encoded = [encode_receipt(receipt) for receipt in part]
            write_records(self._connection, ERASURE_RECEIPTS.name, encoded)
            failpoints.reach("ending.receipt_written")
            with self._erasure.store.write() as tx:
                for receipt in part:
                    mark_answered(tx, receipt.tenant, now=self._wall())
        return len(ready)

    def _receipt(self, ended: Ended) -> Receipt:
        assert ended.erased_at is not None
        assert ended.keys_destroyed is not None
        return Receipt.of(
            ended.end,
            service=self._service,
            erased_at=ended.erased_at,
            rows=ended.erased,
            keys_destroyed=ended.keys_destroyed,
        )
