"""From what statements assume to proposed checks: the statement comes first, its tables with its end."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.query import (
    QueryCancelled,
    QueryCompleted,
    QueryDenied,
    QueryFailed,
    QuerySubmitted,
)
from trunkline.codec import Envelope
from trunkline.services.quality import checks
from trunkline.services.quality.derive import Candidate, Unreadable, candidates
from trunkline.services.quality.facts import OWN_ORIGIN, fact_of, to_us
from trunkline.services.quality.metrics import Metrics

ENDS: Final = (QueryCompleted, QueryFailed, QueryCancelled, QueryDenied)


def propose(tx: Connection, tenant: str, events: Sequence[Envelope[Event]], metrics: Metrics) -> None:
    """Count support for the checks that completed queries took for granted.

    A query whose end is not among the events is kept until it is. Only completed ones count: a statement that
    failed was perhaps wrong about its tables.
    """
    ended = [one.data.query_id for one in events if isinstance(one.data, ENDS)]
    begun = _begun(events, metrics)
    assumed = {query_id: found for query_id, (_, found) in begun.items()}
    assumed |= checks.take_pending(tx, tenant, ended)
    support: Counter[checks.Proposal] = Counter()
    for one in events:
        if isinstance(one.data, QueryCompleted) and one.data.query_id in assumed:
            fact = fact_of(one)
            support.update(checks.proposals(assumed[one.data.query_id], fact.assets if fact else ()))
    checks.support(tx, tenant, support)
    waiting = {query_id: begun[query_id] for query_id in begun.keys() - set(ended)}
    checks.remember_pending(tx, tenant, waiting)


def _begun(events: Sequence[Envelope[Event]], metrics: Metrics) -> dict[str, tuple[int, list[Candidate]]]:
    """By query id, when each statement was submitted and what it takes for granted."""
    begun = {}
    for one in events:
        event = one.data
        if not isinstance(event, QuerySubmitted) or event.sql is None or event.origin == OWN_ORIGIN:
            continue
        try:
            found = candidates(event.sql, event.engine)
        except Unreadable:
            metrics.unreadable.labels(event.engine).inc()
            continue
        if found:
            begun[event.query_id] = (to_us(one.time), list(found))
    return begun
