"""Secrets and addresses: sealed under the key of their tenant, readable until that is destroyed."""

import base64
import binascii
import re
import secrets as random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, select

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.store import Store
from trunkline.errors import InvalidInput, NotFound, TrunklineError
from trunkline.services.kit.ending import require_not_ended
from trunkline.services.kit.keys import KeyRing
from trunkline.services.notification.rows import dialect_insert
from trunkline.services.notification.tables import RECIPIENT, SECRET

FRESH_SECONDS: Final = 5.0
"""How long a value that was read is used: a secret that was changed or destroyed is known everywhere then."""
CACHE_MAX: Final = 10_000
SECRET_MAX: Final = 4_096
FILE_MAX: Final = 64 * 1024
SIGNING_BYTES: Final = range(24, 65)
"""What Standard Webhooks wants of a symmetric key."""

_SEALED_VALUE: Final = "notification_secret.value"
_SEALED_ADDRESS: Final = "notification_recipient.address"
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


class SecretMissing(TrunklineError):  # noqa: N818 - named for what happened
    """A reference leads to no secret."""


class Vault:
    """The service's secrets and addresses. Thread-safe."""

    def __init__(
        self, store: Store, keys: KeyRing, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._keys = keys
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[float, str | None]] = {}

    def secret(self, owner: str, reference: str) -> str:
        """The secret that a channel of this owner refers to. Raises `SecretMissing`."""
        found = self._cached(owner, reference, lambda: self._read(owner, reference))
        if found is None:
            raise SecretMissing(
                f"{reference}: {owner} has no such secret; `trunkline notifications secret set` keeps one"
            )
        return found

    def address(self, tenant: str, user: str) -> str | None:
        """A user's e-mail address, if one is known."""
        return self._cached(tenant, f"address:{user}", lambda: self._read_address(tenant, user))

    def keep(self, tx: Connection, owner: str, name: str, value: str, *, now_us: int) -> None:
        """Keep a secret sealed, in place of one of the same name. Raises `InvalidInput` and `TenantEnded`."""
        if not _NAME.fullmatch(name):
            raise InvalidInput(f"secret {name[:80]!r}: use a-z, 0-9, _ and -, beginning with a letter")
        _check_value(name, value)
        # Before anything is sealed, which would make an ended tenant another key.
        require_not_ended(tx, owner)
        row = {
            "tenant": owner,
            "name": name,
            "value": self._keys.seal(owner, value.encode(), place=_SEALED_VALUE),
            "changed_us": now_us,
        }
        given = dialect_insert(tx, SECRET)
        new = given.excluded
        tx.execute(
            given.on_conflict_do_update(
                index_elements=[SECRET.c.tenant, SECRET.c.name],
                set_={"value": new.value, "changed_us": new.changed_us},
            ),
            row,
        )

    def forget(self, tx: Connection, owner: str, name: str) -> None:
        """Destroy a secret. Raises `NotFound` if there is none of this name."""
        query = delete(SECRET).where(SECRET.c.tenant == owner, SECRET.c.name == name)
        if tx.execute(query).rowcount == 0:
            raise NotFound(f"secret {name}: {owner} has none of this name")

    def keep_address(self, tx: Connection, tenant: str, user: str, address: str) -> None:
        """Keep a user's e-mail address sealed. Raises `InvalidInput` and `TenantEnded`."""
        if not _EMAIL.fullmatch(address) or len(address) > 320:
            raise InvalidInput("that is no e-mail address; write NAME@HOST")
        require_not_ended(tx, tenant)
        sealed = self._keys.seal(tenant, address.encode(), place=_SEALED_ADDRESS)
        given = dialect_insert(tx, RECIPIENT)
        tx.execute(
            given.on_conflict_do_update(
                index_elements=[RECIPIENT.c.tenant, RECIPIENT.c.recipient],
                set_={"address": given.excluded.address},
            ),
            {"tenant": tenant, "recipient": user, "address": sealed},
        )

    def forget_address(self, tx: Connection, tenant: str, user: str) -> None:
        """Delete a user's address."""
        tx.execute(delete(RECIPIENT).where(RECIPIENT.c.tenant == tenant, RECIPIENT.c.recipient == user))

    def _cached(self, owner: str, name: str, read: Callable[[], str | None]) -> str | None:
        now = self._monotonic()
        with self._lock:
            known = self._known.get((owner, name))
            if known is not None and now - known[0] < FRESH_SECONDS:
                return known[1]
        value = read()
        with self._lock:
            if len(self._known) >= CACHE_MAX:
                self._known.clear()
            self._known[owner, name] = (now, value)
        return value

    def _read(self, owner: str, reference: str) -> str | None:
        kind, _, name = reference.partition(":")
        if kind == "file":
            return _read_file(owner, Path(name))
        with self._store.read() as tx:
            query = select(SECRET.c.value).where(SECRET.c.tenant == owner, SECRET.c.name == name)
            sealed = tx.scalar(query)
        return None if sealed is None else self._unsealed(owner, sealed, _SEALED_VALUE)

    def _read_address(self, tenant: str, user: str) -> str | None:
        with self._store.read() as tx:
            query = select(RECIPIENT.c.address).where(
                RECIPIENT.c.tenant == tenant, RECIPIENT.c.recipient == user
            )
            sealed = tx.scalar(query)
        return None if sealed is None else self._unsealed(tenant, sealed, _SEALED_ADDRESS)

    def _unsealed(self, tenant: str, sealed: bytes, place: str) -> str | None:
        value = self._keys.unseal(tenant, sealed, place=place)
        return None if value is None else value.decode()


def new_signing_secret() -> str:
    """A fresh secret for Standard Webhooks."""
    return "whsec_" + base64.b64encode(random.token_bytes(32)).decode()


def _read_file(owner: str, path: Path) -> str:
    """A tenant's channel reads no file: it could name any that this process may read."""
    if owner != SYSTEM_TENANT:
        raise SecretMissing(f"file:{path}: only channels of everybody may refer to files; use secret:NAME")
    try:
        with path.open("rb") as file:
            return file.read(FILE_MAX).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretMissing(f"file:{path}: cannot be read ({error})") from error


def _check_value(name: str, value: str) -> None:
    if not value or len(value) > SECRET_MAX:
        raise InvalidInput(f"secret {name}: give 1 to {SECRET_MAX} characters")
    if value.startswith("whsec_"):
        try:
            key = base64.b64decode(value.removeprefix("whsec_") + "==", validate=False)
        except (ValueError, binascii.Error) as error:
            raise InvalidInput(f"secret {name}: what follows whsec_ is not base64") from error
        if len(key) not in SIGNING_BYTES:
            raise InvalidInput(
                f"secret {name}: a signing key has {SIGNING_BYTES.start} to {SIGNING_BYTES.stop - 1} bytes, "
                f"not {len(key)}; `trunkline notifications secret generate` makes one"
            )
