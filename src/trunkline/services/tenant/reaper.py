"""Deletes tenants whose grace period is over, and announces every end until it stands in the topic of ends.

Several instances share the work: a tenant that one has in hand is skipped by the others, and an end that is
announced twice is one end.
"""

import threading
from typing import Final

from trunkline.catalogue.internal import TENANT_ENDS
from trunkline.client import failpoints
from trunkline.client.blame import one_line
from trunkline.client.log import Log
from trunkline.client.reader import TopicReader
from trunkline.services.app import Context
from trunkline.services.kit.ending import End
from trunkline.services.kit.ending.records import decode_end, encode_end
from trunkline.services.kit.ending.writing import RECORDS_MAX, write_records
from trunkline.services.tenant import store
from trunkline.services.tenant.desk import Desk
from trunkline.services.tenant.store import Tenant

LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 2.0
DUE_MAX: Final = 50
"""Tenants deleted in one transaction."""

ACTOR: Final = "reaper"

_log = Log("trunkline.tenant")


class Reaper:
    """A `services.app.Companion`."""

    def __init__(self, context: Context, desk: Desk) -> None:
        self._context = context
        self._desk = desk
        self._compared = False
        self.trouble: str | None = None
        """Why tenants are not deleted, or their ends not announced, as a sentence."""
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)

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
        """A tenant was deleted: announce it at once. From any thread."""
        self._woken.set()

    def reap(self) -> int:
        """Delete what is due; how many tenants. Raises `StoreUnavailable`."""
        with self._context.store.write() as tx:
            due = store.due(tx, self._context.wall(), limit=DUE_MAX)
            for tenant in due:
                self._desk.delete(tx, tenant, actor=ACTOR)
        if due:
            self._context.wake()
        failpoints.reach("tenant.deleted")
        return len(due)

    def announce(self) -> int:
        """Write ends that do not stand in the topic yet; how many. Raises as `write_records` does."""
        with self._context.store.read() as tx:
            found = store.unannounced(tx, limit=RECORDS_MAX)
        if found:
            ends = [encode_end(_end(tenant)) for tenant in found]
            write_records(self._context.connection, TENANT_ENDS.name, ends)
            failpoints.reach("tenant.announced")
            with self._context.store.write() as tx:
                store.mark_announced(tx, [one.tenant for one in found], self._context.wall())
        return len(found)

    def compare(self) -> int:
        """Look whether the topic has lost an end, as a new cluster has; how many are to be announced again.

        Raises `TopicMissing` and what a `TopicReader` raises.
        """
        with TopicReader(self._context.connection, TENANT_ENDS.name) as reader:
            there = {end.tenant for record in reader.existing() if (end := decode_end(record)) is not None}
        with self._context.store.write() as tx:
            lost = sorted(store.announced(tx) - there)
            for begin in range(0, len(lost), RECORDS_MAX):
                store.mark_unannounced(tx, lost[begin : begin + RECORDS_MAX])
        return len(lost)

    def _run(self) -> None:
        while not self._stopping:
            try:
                while self.reap() == DUE_MAX:
                    pass
                if not self._compared:
                    self.compare()
                    self._compared = True
                while self.announce() == RECORDS_MAX:
                    pass
                self.trouble, wait = None, LOOK_SECONDS
            except Exception as error:  # noqa: BLE001 - a tenant that is to go is not forgotten
                trouble = f"ends of tenants cannot be announced: {one_line(error)}"
                if trouble != self.trouble:
                    _log.warning("ends of tenants cannot be announced", error=one_line(error))
                self.trouble, wait = trouble, RETRY_SECONDS
            self._woken.wait(wait)
            self._woken.clear()


def _end(tenant: Tenant) -> End:
    assert tenant.deletion_id is not None
    assert tenant.deleted_at is not None
    return End(tenant=tenant.tenant, deletion_id=tenant.deletion_id, deleted_at=tenant.deleted_at)
