"""The rows that the desk changes: found, locked, and changed under the lock."""

from typing import Any, Final

from sqlalchemy import Connection, select, update

from trunkline.codec.identity import derive_id
from trunkline.services.iam.tables import ACCOUNT, PERMISSION
from trunkline.services.kit.inserting import insert_new

PLACE: Final = ("tenant", "grantee_id", "permission", "resource")
"""The columns that a row of `PERMISSION` is known by."""


def locked_account(tx: Connection, tenant: str, user: str) -> Any:
    """The row of an account, made where there is none, which nobody else changes before the end."""
    row = {"tenant": tenant, "user_id": user, "attempts": 0, "logins": 0}
    insert_new(tx, ACCOUNT, row)
    query = select(ACCOUNT).where(ACCOUNT.c.tenant == tenant, ACCOUNT.c.user_id == user)
    return tx.execute(query.with_for_update()).one()


def update_account(tx: Connection, tenant: str, user: str, values: dict[str, Any]) -> None:
    """Change a row that is locked."""
    row = update(ACCOUNT).where(ACCOUNT.c.tenant == tenant, ACCOUNT.c.user_id == user)
    tx.execute(row.values(**values))


def permission(tx: Connection, tenant: str, grantee: str, permission: str, resource: str) -> Any:
    """The row of a permission, locked; None for one that was never given."""
    table = PERMISSION.c
    query = select(PERMISSION).where(
        table.tenant == tenant,
        table.grantee_id == grantee,
        table.permission == permission,
        table.resource == resource,
    )
    return tx.execute(query.with_for_update()).one_or_none()


def set_permission(
    tx: Connection, place: tuple[str, str, str, str], before: Any, *, granted: int, expires_us: int | None
) -> int:
    """Change a row that is locked; its new version."""
    version = int(before.version) + 1
    here = [PERMISSION.c[name] == value for name, value in zip(PLACE, place, strict=True)]
    values = {"version": version, "granted": granted, "expires_us": expires_us}
    tx.execute(update(PERMISSION).where(*here).values(**values))
    return version


def permission_id(tenant: str, grantee: str, permission: str, resource: str, version: int) -> str:
    """The id of the event of this version of a permission."""
    return derive_id("iam.permission", tenant, grantee, permission, resource, str(version))
