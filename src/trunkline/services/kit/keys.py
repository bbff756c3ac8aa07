"""Personal fields under a key of their tenant, so that an erasure is the destruction of one key.

Every tenant has a data key; a value is AES-256-GCM under it (NIST SP 800-38D). Data keys are wrapped by the
master key of the machine and kept apart from the store: backups of the store, its replicas and its old pages
hold nothing that could be read once the key is gone. Whoever backs up the key ring has to destroy the key
there, too.
"""

import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, LargeBinary, MetaData, Table, Text, delete, select

from trunkline.client.errors import StoreUnavailable
from trunkline.client.store import Component, Store, migrate, open_store
from trunkline.errors import InvalidInput, TrunklineError
from trunkline.services.kit.inserting import insert_new
from trunkline.services.kit.secret_files import make_once

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
FORMAT: Final = b"\x01"
"""The first byte of what is sealed: AES-256-GCM, nonce, ciphertext, tag."""

DESTROYED_AT_ONCE: Final = 500

METADATA: Final = MetaData()
TENANT_KEY: Final = Table(
    "tenant_key",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)
KEY_RING: Final = Component("keys", Path(__file__).parent / "migrations" / "keys")


class Sealed(TrunklineError):  # noqa: N818 - named for what the value is
    """A value that cannot be read: it was changed, or sealed under another key or for another place."""


def load_or_create_master(path: Path) -> bytes:
    """The master key in a file that only its owner may read; made on first use. Raises `InvalidInput`."""
    try:
        if not path.exists():
            make_once(path, secrets.token_bytes(KEY_BYTES))
        found = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"master key {path}: {error.strerror}") from error
    if len(found) != KEY_BYTES:
        raise InvalidInput(
            f"master key {path}: {len(found)} bytes instead of {KEY_BYTES}; restore it from a backup"
        )
    return found


class KeyRing:
    """The data keys of one service's tenants. Thread-safe; keys in use stay in memory until destroyed."""

    def __init__(self, store: Store, master: bytes) -> None:
        """`store` holds the wrapped keys; give it a database of its own."""
        self._store = store
        self._master = AESGCM(master)
        self._known: dict[str, AESGCM] = {}

    @classmethod
    def open(cls, url: str, master_path: Path) -> "KeyRing":
        """The key ring in a database of its own. Raises what `open_store` raises, and `InvalidInput`."""
        store = open_store(url)
        migrate(store, KEY_RING)
        return cls(store, load_or_create_master(master_path))

    def seal(self, tenant: str, value: bytes, *, place: str) -> bytes:
        """The value under the tenant's key, which is made on first use.

        `place` names where it is kept, such as a column: what is sealed for one is unreadable in another.
        """
        key = self._key(tenant) or self._made(tenant)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return FORMAT + nonce + key.encrypt(nonce, value, _bound(tenant, place) + FORMAT)

    def unseal(self, tenant: str, sealed: bytes, *, place: str) -> bytes | None:
        """The value again; None when the tenant's key was destroyed. Raises `Sealed`."""
        key = self._key(tenant)
        if key is None:
            return None
        nonce, encrypted = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return key.decrypt(nonce, encrypted, _bound(tenant, place) + sealed[:1])
        except (InvalidTag, ValueError) as error:
            raise Sealed(f"a value of {tenant} in {place} cannot be read: it was changed or moved") from error

    def holds(self, tenant: str) -> bool:
        """Whether there is a key of the tenant."""
        with self._store.read() as tx:
            return (
                tx.execute(select(TENANT_KEY.c.tenant).where(TENANT_KEY.c.tenant == tenant)).first()
                is not None
            )

    def destroy(self, tenants: Collection[str]) -> int:
        """Destroy these tenants' keys, for good; how many there were. What they sealed is unreadable.

        Raises `StoreUnavailable`, also when the files may still have one of them: then call again.
        """
        destroyed = 0
        ordered = sorted(tenants)
        for begin in range(0, len(ordered), DESTROYED_AT_ONCE):
            some = TENANT_KEY.c.tenant.in_(ordered[begin : begin + DESTROYED_AT_ONCE])
            with self._store.write() as tx:
                destroyed += tx.execute(delete(TENANT_KEY).where(some)).rowcount
        # Now, because a thread that was reading meanwhile may have remembered one again.
        for tenant in tenants:
            self._known.pop(tenant, None)
        if not self._store.forget_deleted():
            raise StoreUnavailable(
                f"store {self._store.url}: destroyed keys are still in its log; it is busy"
            )
        return destroyed

    def close(self) -> None:
        """Close the database. Safe to call twice."""
        self._store.close()

    def _key(self, tenant: str) -> AESGCM | None:
        known = self._known.get(tenant)
        if known is not None:
            return known
        with self._store.read() as tx:
            wrapped = tx.execute(select(TENANT_KEY.c.wrapped).where(TENANT_KEY.c.tenant == tenant)).scalar()
        return None if wrapped is None else self._unwrapped(tenant, wrapped)

    def _made(self, tenant: str) -> AESGCM:
        nonce = secrets.token_bytes(NONCE_BYTES)
        wrapped = nonce + self._master.encrypt(nonce, secrets.token_bytes(KEY_BYTES), tenant.encode())
        with self._store.write() as tx:
            if not insert_new(tx, TENANT_KEY, {"tenant": tenant, "wrapped": wrapped}):
                # Another thread or instance was first.
                mine = TENANT_KEY.c.tenant == tenant
                wrapped = tx.execute(select(TENANT_KEY.c.wrapped).where(mine)).scalar_one()
        return self._unwrapped(tenant, wrapped)

    def _unwrapped(self, tenant: str, wrapped: bytes) -> AESGCM:
        nonce, encrypted = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            key = AESGCM(self._master.decrypt(nonce, encrypted, tenant.encode()))
        except InvalidTag as error:
            raise Sealed(
                f"the key of {tenant} is of another master key; restore the one that made it"
            ) from error
        self._known[tenant] = key
        return key


def _bound(tenant: str, place: str) -> bytes:
    return f"{tenant}\0{place}".encode()
