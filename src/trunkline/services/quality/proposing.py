"""From what statements assume to proposed checks: the statement comes first, its tables with its end."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from trunkline.catalogue.events.query import (
    QueryCancelled,
    QueryCompleted,
    QueryDenied,
    QueryFailed,
    QuerySubmitted,
)
from trunkline.services.quality import checks
from trunkline.services.quality.course import LATE_MAX_US
from trunkline.services.quality.derive import Candidate, Unreadable, candidates
from trunkline.services.quality.facts import OWN_ORIGIN
from trunkline.services.quality.metrics import Metrics
from trunkline.services.quality.turns import Told

ENDS: Final = (QueryCompleted, QueryFailed, QueryCancelled, QueryDenied)


def propose(tx: Connection, tenant: str, events: Sequence[Told], metrics: Metrics) -> None:
    """Count support for the checks that completed queries took for granted.

    A query whose end is not among the events is kept until it is, but not for ever: an end that comes more
    than `LATE_MAX_US` after its statement finds nothing. Only completed ones count: a statement that failed
    was perhaps wrong about its tables.
    """
    ended = [event.query_id for told in events if isinstance(event := told.envelope.data, ENDS)]
    waiting = checks.take_pending(tx, tenant, ended)
    support: Counter[checks.Proposal] = Counter()
    for told in events:
        event = told.envelope.data
        if isinstance(event, QuerySubmitted):
            if found := _assumed(event, metrics):
                waiting[event.query_id] = (told.at_us, found)
        elif isinstance(event, ENDS):
            since_us, assumed = waiting.pop(event.query_id, (told.newest_us, []))
            in_time = since_us >= told.newest_us - LATE_MAX_US
            if isinstance(event, QueryCompleted) and told.fact is not None and in_time:
                support.update(checks.proposals(assumed, told.fact.assets))
    checks.support(tx, tenant, support)
    checks.remember_pending(tx, tenant, waiting)


def _assumed(event: QuerySubmitted, metrics: Metrics) -> list[Candidate]:
    """What a statement takes for granted."""
    if event.sql is None or event.origin == OWN_ORIGIN:
        return []
    try:
        return list(candidates(event.sql, event.engine))
    except Unreadable:
        metrics.unreadable.labels(event.engine).inc()
        return []
