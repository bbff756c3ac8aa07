"""One hash over what the service knows."""

from sqlalchemy import Connection

from trunkline.services.kit.digest import digest_of
from trunkline.services.tenant.tables import TENANT, TENANT_CHANGE

_T, _C = TENANT.c, TENANT_CHANGE.c


def state_digest(tx: Connection) -> str:
    """Equal for equal tenants with equal histories, whenever they were changed."""
    return digest_of(
        tx,
        [
            (
                "tenants",
                (_T.tenant, _T.version, _T.state, _T.tier, _T.region, _T.display_name, _T.deletion_id),
            ),
            ("changes", (_C.tenant, _C.version, _C.type, _C.event_id, _C.state, _C.actor_id, _C.note)),
        ],
    )
