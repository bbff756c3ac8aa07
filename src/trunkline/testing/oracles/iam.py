"""IAM: who may do what and who has come in, and the receipts of ended tenants."""

from collections import Counter
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from trunkline.catalogue.load import load_catalogue
from trunkline.client.store import Store
from trunkline.services.iam.tables import ACCOUNT, API_KEY, ERASURE_REQUEST, PERMISSION, RECEIPT, ROLE
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import EventLog, Row, compare

_PERMISSIONS: Final = """
SELECT tenant, data ->> 'grantee_id', data ->> 'permission', data ->> 'resource',
  epoch_us(arg_max_null((data ->> 'expires_at')::TIMESTAMP, place)), count(*)
FROM still_said('iam-service')
WHERE type IN ('access.permission_granted.v1', 'access.permission_revoked.v1')
GROUP BY ALL HAVING arg_max(type, place) = 'access.permission_granted.v1'
"""
_ROLES: Final = """
SELECT tenant, data ->> 'user_id', data ->> 'role', coalesce(data ->> 'scope', '')
FROM still_said('iam-service') WHERE type IN ('access.role_assigned.v1', 'access.role_unassigned.v1')
GROUP BY ALL HAVING arg_max(type, place) = 'access.role_assigned.v1'
"""
_LOGINS: Final = """
SELECT tenant, data ->> 'user_id', count(*) FILTER (type = 'auth.login_succeeded.v1')
FROM still_said('iam-service') WHERE type IN ('auth.login_succeeded.v1', 'auth.login_failed.v1')
GROUP BY ALL
"""
_KEYS: Final = """
SELECT tenant, data ->> 'key_id', any_value(data ->> 'last_four'),
  count(*) FILTER (type = 'access.api_key_revoked.v1') > 0
FROM still_said('iam-service') WHERE type IN ('access.api_key_created.v1', 'access.api_key_revoked.v1')
GROUP BY ALL
"""
_REQUESTS: Final = """
SELECT tenant, data ->> 'request_id', any_value(data ->> 'subject_id'),
  any_value((data ->> 'records_erased')::BIGINT)
FROM still_said('iam-service')
WHERE type IN ('access.erasure_requested.v1', 'access.erasure_completed.v1')
  AND (data ->> 'service') IS NULL
GROUP BY ALL
"""
# These are of the tenant `system`, and tell of another one.
_TOLD_RECEIPTS: Final = """
SELECT data ->> 'subject_id', data ->> 'request_id', data ->> 'service',
  coalesce((data ->> 'records_erased')::BIGINT, 0), (data ->> 'keys_destroyed')::BIGINT, data ->> 'digest'
FROM said('iam-service') WHERE type = 'access.erasure_completed.v1' AND (data ->> 'service') IS NOT NULL
"""
_ENDS: Final = """
SELECT tenant, id FROM said('tenant-service') WHERE type = 'tenant.deleted.v1'
"""

_P: Final = PERMISSION.c
_R: Final = ROLE.c
_A: Final = ACCOUNT.c
_K: Final = API_KEY.c
_E: Final = ERASURE_REQUEST.c
_T: Final = RECEIPT.c


def claims(log: EventLog, store: Store) -> list[Claim]:
    """That IAM keeps what it has told, and that every service has answered every end of a tenant, once."""
    with store.read() as tx:
        return [*_access(log, tx), *_people(log, tx), *_receipts(log, tx)]


def _access(log: EventLog, tx: Connection) -> list[Claim]:
    granted = select(_P.tenant, _P.grantee_id, _P.permission, _P.resource, _P.expires_us, _P.version)
    permissions = tx.execute(granted.where(_P.granted == 1)).all()
    roles = tx.execute(select(_R.tenant, _R.user_id, _R.role, _R.scope)).all()
    revoked = _K.revoked_us.is_not(None)
    keys = tx.execute(select(_K.tenant, _K.key_id, _K.last_four, revoked)).all()
    return [
        compare(
            "exactly the permissions that were granted last hold",
            log.rows(_PERMISSIONS),
            map(tuple, permissions),
        ),
        compare("exactly the roles that were assigned last hold", log.rows(_ROLES), map(tuple, roles)),
        compare(
            "exactly the API keys that were issued are known, and revoked where the log says so",
            log.rows(_KEYS),
            [(*key[:3], bool(key[3])) for key in keys],
        ),
    ]


def _people(log: EventLog, tx: Connection) -> list[Claim]:
    logins = tx.execute(select(_A.tenant, _A.user_id, _A.logins)).all()
    asked = select(_E.tenant, _E.request_id, _E.subject_id, _E.records_erased)
    return [
        compare("every login is counted", log.rows(_LOGINS), map(tuple, logins)),
        compare(
            "every request of a person to be forgotten is where the log tells",
            log.rows(_REQUESTS),
            map(tuple, tx.execute(asked).all()),
        ),
    ]


def _receipts(log: EventLog, tx: Connection) -> list[Claim]:
    kept = select(_T.tenant_ended, _T.deletion_id, _T.service, _T.rows, _T.keys_destroyed, _T.digest)
    told = log.rows(_TOLD_RECEIPTS)
    services = sorted(load_catalogue().services)
    expected = [(*end, service) for end in log.rows(_ENDS) for service in services]
    return [
        compare(
            "every receipt of an erasure is told as it was taken",
            told,
            [_receipt(tuple(row)) for row in tx.execute(kept)],
        ),
        compare(
            "every service has answered the end of every tenant, once",
            [(*answer, 1) for answer in expected],
            [(*answer, times) for answer, times in Counter(row[:3] for row in told).items()],
        ),
    ]


def _receipt(row: Row) -> Row:
    """With the sum of its rows, as the event has it."""
    *who, rows, keys_destroyed, digest = row
    return (*who, sum(msgspec.json.decode(rows, type=dict[str, int]).values()), keys_destroyed, digest)
