"""One hash over what the service knows."""

from sqlalchemy import Connection

from trunkline.services.iam.tables import ACCOUNT, API_KEY, ERASURE_REQUEST, PERMISSION, RECEIPT, ROLE
from trunkline.services.kit.digest import digest_of

_A, _P, _R, _K, _E, _T = (table.c for table in (ACCOUNT, PERMISSION, ROLE, API_KEY, ERASURE_REQUEST, RECEIPT))


def state_digest(tx: Connection) -> str:
    """Equal for equal accounts, permissions, roles, keys, requests and receipts, whenever they came."""
    return digest_of(
        tx,
        [
            ("accounts", (_A.tenant, _A.user_id, _A.attempts, _A.logins)),
            ("permissions", (_P.tenant, _P.grantee_id, _P.permission, _P.resource, _P.version, _P.granted)),
            ("roles", (_R.tenant, _R.user_id, _R.role, _R.scope)),
            ("keys", (_K.tenant, _K.key_id, _K.secret_hash, _K.last_four)),
            ("requests", (_E.tenant, _E.request_id, _E.subject_id, _E.services, _E.records_erased)),
            ("receipts", (_T.tenant_ended, _T.deletion_id, _T.service, _T.rows, _T.digest)),
        ],
    )
