"""What can be done with accounts, permissions, roles, keys and erasure requests: the service's Python API.

    desk = Desk.of(context)
    with context.store.write() as tx:
        login = desk.log_in(tx, "acme", "u-17", method="password", verified=False)
    context.wake()

Every method takes the caller's transaction, in which the change and its event are one. What has been granted,
assigned, revoked or requested already is not done again, and tells nobody again. Nothing can be done for a
tenant that has ended: all of them raise `TenantEnded`.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final, Self

from sqlalchemy import Connection, delete, insert, select, update

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.access import (
    ApiKeyCreated,
    ApiKeyRevoked,
    ErasureCompleted,
    ErasureRequested,
    LoginFailed,
    LoginMethod,
    LoginSucceeded,
    PermissionGranted,
    PermissionRevoked,
    RoleAssigned,
    RoleUnassigned,
)
from trunkline.catalogue.names import TENANT_PATTERN
from trunkline.client.outbox import Outbox
from trunkline.codec.identity import derive_id, new_id
from trunkline.errors import InvalidInput, NotFound
from trunkline.services.app import Context
from trunkline.services.iam.tables import (
    ACCOUNT,
    API_KEY,
    ERASABLE,
    ERASURE_REQUEST,
    PERMISSION,
    ROLE,
)
from trunkline.services.kit.ending import require_not_ended
from trunkline.services.kit.ending.ends import from_us, to_us
from trunkline.services.kit.inserting import insert_new

ATTEMPTS_MAX: Final = 5
"""Failed logins in a row, after which an account is locked."""

LOCK: Final = timedelta(minutes=15)
SECRET_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
KEY_PREFIX: Final = "tlk"
"""Begins every API key, so that a scanner finds one that was published by mistake."""

_PLACE: Final = ("tenant", "grantee_id", "permission", "resource")
"""The columns that a row of `PERMISSION` is known by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How a login ended. `attempts` are the failures in a row so far."""

    allowed: bool
    reason: str | None
    attempts: int
    locked_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """An API key that was just issued. `key` is shown this once; only its hash is kept."""

    key_id: str
    key: str
    last_four: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOwner:
    """Whose an API key is."""

    tenant: str
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Changes what IAM keeps. Stateless, thread-safe."""

    outbox: Outbox
    wall: Callable[[], datetime]
    random_bytes: Callable[[int], bytes] = secrets.token_bytes

    @classmethod
    def of(cls, context: Context) -> Self:
        """The desk of the running service, or of a command on its store."""
        assert context.outbox is not None, "iam-service publishes"
        return cls(outbox=context.outbox, wall=context.wall)

    # Logins

    def log_in(
        self,
        tx: Connection,
        tenant: str,
        user: str,
        *,
        method: LoginMethod,
        verified: bool,
        reason: str = "bad_credentials",
        source_ip: str | None = None,
        user_agent: str | None = None,
        session: str | None = None,
    ) -> Login:
        """Record an attempt whose credentials were `verified` or not, and say whether it is let in.

        After `ATTEMPTS_MAX` failures in a row an account is locked for `LOCK`, whatever comes meanwhile.
        """
        _admit(tx, tenant)
        now = self.wall()
        account = _locked_account(tx, tenant, user)
        locked_until = None if account.locked_until_us is None else from_us(account.locked_until_us)
        if locked_until is not None and locked_until > now:
            reason, attempts = "locked", account.attempts
        elif verified:
            row = {"attempts": 0, "locked_until_us": None, "logins": account.logins + 1}
            _update_account(tx, tenant, user, {**row, "last_login_us": to_us(now)})
            succeeded = LoginSucceeded(
                user_id=user,
                method=method,
                source_ip=source_ip,
                user_agent=user_agent,
                session_id=session,
            )
            self._tell(tx, tenant, succeeded, id_=new_id())
            return Login(allowed=True, reason=None, attempts=0, locked_until=None)
        else:
            attempts = account.attempts + 1
            locked_until = now + LOCK if attempts >= ATTEMPTS_MAX else None
            until_us = None if locked_until is None else to_us(locked_until)
            _update_account(tx, tenant, user, {"attempts": attempts, "locked_until_us": until_us})
        failed = LoginFailed(
            user_id=user,
            method=method,
            reason=reason,
            attempts=attempts,
            source_ip=source_ip,
            user_agent=user_agent,
        )
        self._tell(tx, tenant, failed, id_=new_id())
        return Login(allowed=False, reason=reason, attempts=attempts, locked_until=locked_until)

    def unlock(self, tx: Connection, tenant: str, user: str) -> None:
        """Let a locked account try again at once."""
        _admit(tx, tenant)
        _update_account(tx, tenant, user, {"attempts": 0, "locked_until_us": None})

    # Permissions and roles

    def grant(
        self,
        tx: Connection,
        tenant: str,
        grantee: str,
        permission: str,
        resource: str,
        *,
        actor: str,
        expires_at: datetime | None = None,
    ) -> bool:
        """Give a permission; False where it was given already, until the same moment.

        Raises `InvalidInput` for a moment that is not in the future: it would take away what holds now.
        """
        _admit(tx, tenant)
        expires_us = self._expiry(expires_at)
        place = (tenant, grantee, permission, resource)
        # There may be no row to lock yet; two that grant the same go one after the other all the same.
        insert_new(tx, PERMISSION, dict(zip(_PLACE, place, strict=True)) | {"version": 0, "granted": 0})
        before = _permission(tx, *place)
        if before.granted and before.expires_us == expires_us:
            return False
        version = _set_permission(tx, place, before, granted=1, expires_us=expires_us)
        event = PermissionGranted(
            actor_id=actor,
            grantee_id=grantee,
            permission=permission,
            resource=resource,
            expires_at=expires_at,
        )
        self._tell(tx, tenant, event, id_=_permission_id(tenant, grantee, permission, resource, version))
        return True

    def revoke(
        self,
        tx: Connection,
        tenant: str,
        grantee: str,
        permission: str,
        resource: str,
        *,
        actor: str,
        reason: str | None = None,
    ) -> bool:
        """Take a permission away; False where nobody has it."""
        _admit(tx, tenant)
        before = _permission(tx, tenant, grantee, permission, resource)
        if before is None or not before.granted:
            return False
        place = (tenant, grantee, permission, resource)
        version = _set_permission(tx, place, before, granted=0, expires_us=None)
        event = PermissionRevoked(
            actor_id=actor, grantee_id=grantee, permission=permission, resource=resource, reason=reason
        )
        self._tell(tx, tenant, event, id_=_permission_id(tenant, grantee, permission, resource, version))
        return True

    def assign_role(
        self, tx: Connection, tenant: str, user: str, role: str, *, actor: str, scope: str | None = None
    ) -> bool:
        """Give a user a role; False where the user has it."""
        _admit(tx, tenant)
        row = {"tenant": tenant, "user_id": user, "role": role, "scope": scope or ""}
        if not insert_new(tx, ROLE, row):
            return False
        # A role can be taken away and given again: these are two events, which an id made of it would not be.
        event = RoleAssigned(actor_id=actor, user_id=user, role=role, scope=scope)
        self._tell(tx, tenant, event, id_=new_id())
        return True

    def unassign_role(
        self,
        tx: Connection,
        tenant: str,
        user: str,
        role: str,
        *,
        actor: str,
        scope: str | None = None,
        reason: str | None = None,
    ) -> bool:
        """Take a role away, in the whole tenant or in this scope; False where the user does not have it."""
        _admit(tx, tenant)
        row = {"tenant": tenant, "user_id": user, "role": role, "scope": scope or ""}
        if tx.execute(delete(ROLE).filter_by(**row)).rowcount == 0:
            return False
        event = RoleUnassigned(actor_id=actor, user_id=user, role=role, scope=scope, reason=reason)
        self._tell(tx, tenant, event, id_=new_id())
        return True

    # API keys

    def create_key(
        self,
        tx: Connection,
        tenant: str,
        *,
        actor: str,
        name: str | None = None,
        expires_at: datetime | None = None,
    ) -> NewKey:
        """Issue an API key. Raises `InvalidInput` for one that would have expired already."""
        _admit(tx, tenant)
        key_id = self.random_bytes(KEY_ID_BYTES).hex()
        secret = self.random_bytes(SECRET_BYTES).hex()
        row = {
            "tenant": tenant,
            "key_id": key_id,
            "secret_hash": _hash(secret),
            "last_four": secret[-4:],
            "name": name,
            "created_us": to_us(self.wall()),
            "expires_us": self._expiry(expires_at),
        }
        tx.execute(insert(API_KEY), row)
        event = ApiKeyCreated(
            actor_id=actor, key_id=key_id, last_four=secret[-4:], name=name, expires_at=expires_at
        )
        self._tell(tx, tenant, event, id_=derive_id("iam.key", tenant, key_id, "created"))
        return NewKey(key_id=key_id, key=f"{KEY_PREFIX}_{key_id}_{secret}", last_four=secret[-4:])

    def revoke_key(
        self, tx: Connection, tenant: str, key_id: str, *, actor: str, reason: str | None = None
    ) -> bool:
        """Let a key work no more; False where it does not already. Raises `NotFound` for none."""
        _admit(tx, tenant)
        this = (API_KEY.c.tenant == tenant, API_KEY.c.key_id == key_id)
        row = update(API_KEY).where(*this, API_KEY.c.revoked_us.is_(None))
        if tx.execute(row.values(revoked_us=to_us(self.wall()))).rowcount == 0:
            if tx.execute(select(API_KEY.c.key_id).where(*this)).first() is None:
                raise NotFound(f"tenant {tenant} has no API key {key_id}")
            return False
        event = ApiKeyRevoked(actor_id=actor, key_id=key_id, reason=reason)
        self._tell(tx, tenant, event, id_=derive_id("iam.key", tenant, key_id, "revoked"))
        return True

    def authenticate(self, tx: Connection, key: str, *, source_ip: str | None = None) -> KeyOwner | None:
        """Whose key this is, if it is valid; the attempt is an event where the key's id is known."""
        prefix, _, rest = key.partition("_")
        key_id, _, secret = rest.partition("_")
        row = tx.execute(select(API_KEY).where(API_KEY.c.key_id == key_id)).one_or_none()
        if prefix != KEY_PREFIX or row is None:
            return None
        _admit(tx, row.tenant)
        fits = compare_digest(_hash(secret), bytes(row.secret_hash))
        expired = row.expires_us is not None and row.expires_us <= to_us(self.wall())
        reason = "revoked" if row.revoked_us is not None else "expired" if expired else "bad_credentials"
        login = self.log_in(
            tx,
            row.tenant,
            key_id,
            method="api_key",
            verified=fits and row.revoked_us is None and not expired,
            reason=reason if fits else "bad_credentials",
            source_ip=source_ip,
        )
        return KeyOwner(tenant=row.tenant, key_id=key_id) if login.allowed else None

    # Erasure of a person's data

    def request_erasure(
        self,
        tx: Connection,
        tenant: str,
        subject: str,
        *,
        actor: str,
        request_id: str | None = None,
        due_at: datetime | None = None,
    ) -> str:
        """Record that a person wants their data erased; the id of the request, the same for a repetition."""
        _admit(tx, tenant)
        id_ = request_id or new_id()
        row = {
            "tenant": tenant,
            "request_id": id_,
            "subject_id": subject,
            "actor_id": actor,
            "requested_us": to_us(self.wall()),
            "due_us": _us_of("due_at", due_at),
        }
        if insert_new(tx, ERASURE_REQUEST, row):
            event = ErasureRequested(actor_id=actor, subject_id=subject, request_id=id_, due_at=due_at)
            self._tell(tx, tenant, event, id_=derive_id("iam.erasure", tenant, id_, "requested"))
        return id_

    def complete_erasure(
        self, tx: Connection, tenant: str, request_id: str, *, actor: str, services: int, records: int
    ) -> bool:
        """The person's data is gone; False where that was known. Raises `NotFound` for no request."""
        _admit(tx, tenant)
        table = ERASURE_REQUEST.c
        this = (table.tenant == tenant, table.request_id == request_id)
        done = {"completed_us": to_us(self.wall()), "services": services, "records_erased": records}
        row = update(ERASURE_REQUEST).where(*this, table.completed_us.is_(None))
        changed = tx.execute(row.values(**done)).rowcount
        found = tx.execute(select(table.subject_id).where(*this)).scalar()
        if found is None:
            raise NotFound(f"tenant {tenant} has no erasure request {request_id}")
        if not changed:
            return False
        event = ErasureCompleted(
            actor_id=actor,
            subject_id=found,
            request_id=request_id,
            services=services,
            records_erased=records,
        )
        self._tell(tx, tenant, event, id_=derive_id("iam.erasure", tenant, request_id, "completed"))
        return True

    def _expiry(self, moment: datetime | None) -> int | None:
        expires_us = _us_of("expires_at", moment)
        if moment is not None and moment <= self.wall():
            raise InvalidInput(f"expires_at {moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} is not in the future")
        return expires_us

    def _tell(self, tx: Connection, tenant: str, event: Event, *, id_: str) -> None:
        self.outbox.emit(tx, event, tenant=tenant, id=id_, time=self.wall())


class IamEraser:
    """The service's `services.app.Eraser`. The receipts of the end itself stay."""

    def erase(self, tx: Connection, tenant: str) -> dict[str, int]:
        """See `Eraser`."""
        return {
            table.name: tx.execute(delete(table).where(table.c.tenant == tenant)).rowcount
            for table in ERASABLE
        }


def _admit(tx: Connection, tenant: str) -> None:
    if not TENANT_PATTERN.fullmatch(tenant):
        raise InvalidInput(f"tenant {tenant[:80]!r}: use up to 64 letters, digits, '.', '_' or '-'")
    require_not_ended(tx, tenant)


def _locked_account(tx: Connection, tenant: str, user: str) -> Any:
    row = {"tenant": tenant, "user_id": user, "attempts": 0, "logins": 0}
    insert_new(tx, ACCOUNT, row)
    query = select(ACCOUNT).where(ACCOUNT.c.tenant == tenant, ACCOUNT.c.user_id == user)
    return tx.execute(query.with_for_update()).one()


def _update_account(tx: Connection, tenant: str, user: str, values: dict[str, Any]) -> None:
    row = update(ACCOUNT).where(ACCOUNT.c.tenant == tenant, ACCOUNT.c.user_id == user)
    tx.execute(row.values(**values))


def _permission(tx: Connection, tenant: str, grantee: str, permission: str, resource: str) -> Any:
    table = PERMISSION.c
    query = select(PERMISSION).where(
        table.tenant == tenant,
        table.grantee_id == grantee,
        table.permission == permission,
        table.resource == resource,
    )
    return tx.execute(query.with_for_update()).one_or_none()


def _set_permission(
    tx: Connection, place: tuple[str, str, str, str], before: Any, *, granted: int, expires_us: int | None
) -> int:
    """Change a row that is locked; its new version."""
    version = int(before.version) + 1
    here = [PERMISSION.c[name] == value for name, value in zip(_PLACE, place, strict=True)]
    values = {"version": version, "granted": granted, "expires_us": expires_us}
    tx.execute(update(PERMISSION).where(*here).values(**values))
    return version


def _permission_id(tenant: str, grantee: str, permission: str, resource: str, version: int) -> str:
    return derive_id("iam.permission", tenant, grantee, permission, resource, str(version))


def _us_of(name: str, moment: datetime | None) -> int | None:
    if moment is not None and moment.tzinfo is None:
        raise InvalidInput(f"{name} {moment.isoformat()}: give the time with its offset, such as Z")
    return None if moment is None else to_us(moment)


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
