"""Who is behind the events of a tenant, as keyed hashes.

The key of the hashes is random, one a tenant, and stored only sealed under the tenant's data key. Destroying
that key, which ends a tenant, therefore leaves hashes that nobody can compute again or compare with a name,
here and in every backup.
"""

import secrets
from collections.abc import Iterable, Mapping
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, delete, select

from trunkline.services.billing.tables import SUBJECT_KEY
from trunkline.services.kit.keys import KeyRing

KEY_BYTES: Final = 32
KEYS_MAX: Final = 16_384
"""How many tenants' keys are kept in memory; one more is read again."""

PLACE: Final = "subject_key.sealed"


class Subjects:
    """The keys of the tenants' subjects, made on first use. Used under the locks of the tenants."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._known: dict[str, bytes] = {}
        self._made: WeakKeyDictionary[Connection, set[str]] = WeakKeyDictionary()

    def of(self, tx: Connection, tenants: Iterable[str]) -> Mapping[str, bytes]:
        """The key of each tenant. One that is made here is remembered only once another transaction has read
        it: this one may roll back, and then another key is made."""
        wanted = set(tenants)
        unknown = wanted - self._known.keys()
        if not unknown:
            return self._known
        if len(self._known) + len(unknown) > KEYS_MAX:
            self._known.clear()
            unknown = wanted
        made = {}
        mine = self._made.setdefault(tx, set())
        stored = self._stored(tx, unknown)
        for tenant in sorted(unknown):
            sealed = stored.get(tenant)
            key = None if sealed is None else self._keys.unseal(tenant, sealed, place=PLACE)
            if key is None:
                made[tenant] = self._make(tx, tenant)
                mine.add(tenant)
            elif tenant in mine:
                made[tenant] = key
            else:
                self._known[tenant] = key
        return {**self._known, **made} if made else self._known

    def forget(self, tx: Connection, tenant: str) -> int:
        """Let go of a tenant's key, for good; returns how many there were."""
        self._known.pop(tenant, None)
        return tx.execute(delete(SUBJECT_KEY).where(SUBJECT_KEY.c.tenant == tenant)).rowcount

    def _stored(self, tx: Connection, tenants: Iterable[str]) -> dict[str, bytes]:
        table = SUBJECT_KEY.c
        rows = tx.execute(select(table.tenant, table.sealed).where(table.tenant.in_(sorted(tenants))))
        return {tenant: bytes(sealed) for tenant, sealed in rows}

    def _make(self, tx: Connection, tenant: str) -> bytes:
        key = secrets.token_bytes(KEY_BYTES)
        sealed = self._keys.seal(tenant, key, place=PLACE)
        # One that is there and cannot be unsealed is of a tenant that was ended, and of no use to anybody.
        tx.execute(delete(SUBJECT_KEY).where(SUBJECT_KEY.c.tenant == tenant))
        tx.execute(SUBJECT_KEY.insert(), {"tenant": tenant, "sealed": sealed})
        return key
