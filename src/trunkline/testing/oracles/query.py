"""The query engine: what became of every query, what it has cost, and by which revision it was decided.

The log of queries keeps the newest of each tenant (`query.log_rows`); the claims are about one that has not
got so far.
"""

from typing import Final

from sqlalchemy import select

from trunkline.client.store import Store
from trunkline.services.query.tables import QUERY_LOG
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import EventLog, compare

_OUTCOMES: Final = """
SELECT tenant, data ->> 'query_id', data ->> 'user_id', CASE arg_max(type, place)
    WHEN 'query.submitted.v1' THEN 'running'
    WHEN 'query.completed.v1' THEN 'completed'
    WHEN 'query.failed.v1' THEN 'failed'
    WHEN 'query.cancelled.v1' THEN 'cancelled'
    WHEN 'query.denied.v1' THEN 'denied'
  END
FROM still_said('query-engine') GROUP BY ALL
"""
_COSTS: Final = """
SELECT tenant, data ->> 'query_id', (data ->> 'policy_revision')::BIGINT, (data ->> 'duration_us')::BIGINT,
  (data ->> 'cpu_us')::BIGINT, (data ->> 'rows_returned')::BIGINT,
  coalesce((data ->> 'rows_scanned')::BIGINT, 0), coalesce((data ->> 'bytes_scanned')::BIGINT, 0)
FROM still_said('query-engine') WHERE type = 'query.completed.v1'
"""
_DENIALS: Final = """
SELECT tenant, data ->> 'query_id', data ->> 'resource', data ->> 'policy_id',
  (data ->> 'policy_revision')::BIGINT
FROM still_said('query-engine') WHERE type = 'query.denied.v1'
"""

_Q: Final = QUERY_LOG.c
_COST_COLUMNS: Final = (_Q.duration_us, _Q.cpu_us, _Q.rows_returned, _Q.rows_scanned, _Q.bytes_scanned)


def claims(log: EventLog, store: Store) -> list[Claim]:
    """That the engine has told every query as it went."""
    costs = select(_Q.tenant, _Q.query_id, _Q.policy_revision, *_COST_COLUMNS)
    denials = select(_Q.tenant, _Q.query_id, _Q.asset, _Q.policy_id, _Q.policy_revision)
    with store.read() as tx:
        outcomes = tx.execute(select(_Q.tenant, _Q.query_id, _Q.user_id, _Q.state)).all()
        completed = tx.execute(costs.where(_Q.state == "completed")).all()
        denied = tx.execute(denials.where(_Q.state == "denied")).all()
    return [
        compare("every query has ended as the log tells", log.rows(_OUTCOMES), map(tuple, outcomes)),
        compare(
            "every query that ended well has cost what the log tells",
            log.rows(_COSTS),
            map(tuple, completed),
        ),
        compare(
            "every denied query was denied by the policy and revision in the log",
            log.rows(_DENIALS),
            map(tuple, denied),
        ),
    ]
