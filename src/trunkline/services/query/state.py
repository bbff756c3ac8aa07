"""The digest of what the service's store holds."""

from typing import Final

from sqlalchemy import Connection

from trunkline.services.kit.digest import digest_of
from trunkline.services.query.tables import QUERY_LOG

_Q: Final = QUERY_LOG.c


def state_digest(tx: Connection) -> str:
    """Over what was asked and what became of it; times and costs are left out.

    The service applies no events to its store, so nothing can change it in another order.
    """
    columns = (_Q.tenant, _Q.query_id, _Q.user_id, _Q.fingerprint, _Q.state, _Q.policy_revision, _Q.tables)
    return digest_of(tx, [(QUERY_LOG.name, columns)])
