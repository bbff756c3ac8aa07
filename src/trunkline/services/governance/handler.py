"""What quality events lead to: results of checks are kept, assets are tagged, quarantined and released.

Results are taken in without a lock, because only the consumer of the partition writes them. The tenants whose
checks begin or cease to be failing are locked then, and only they: there the decision meets the words of
people, which come from other processes. Scores and anomalies never quarantine anything.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from trunkline.catalogue.assets import asset_urn
from trunkline.catalogue.events import Event
from trunkline.catalogue.events.quality import (
    AnomalyDetected,
    AnomalyResolved,
    QualityCheckFailed,
    QualityCheckPassed,
    QualitySlaBreached,
)
from trunkline.client.causation import caused_by
from trunkline.client.handler import Received, Refusal
from trunkline.client.outbox import Outbox
from trunkline.codec import Envelope, Record
from trunkline.codec.identity import derive_id
from trunkline.services.governance.checks import CheckKey, Checks, Turn
from trunkline.services.governance.hysteresis import Rules, result_of
from trunkline.services.governance.ledger import Cause, Ledger
from trunkline.services.governance.moments import to_us
from trunkline.services.governance.quarantines import SERVICE, Decision, Place, Quarantines
from trunkline.services.governance.rulebook import Rulebook
from trunkline.services.governance.tags import ANOMALY, SLA_BREACHED, Tags


class _Caused(NamedTuple):
    turn: Turn
    event: Envelope[Event]


class GovernanceHandler:
    """A `client.handler.Handler` of data.quality.events."""

    def __init__(self, outbox: Outbox, rulebook: Rulebook) -> None:
        self._outbox = outbox
        self._rulebook = rulebook

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        tenants: set[str] = {event.event.tenantid for event in events}
        rules = {tenant: self._rulebook.of(tenant) for tenant in tenants}
        self._tag(tx, events)
        turns = self._take_results(tx, events, rules)
        if turns:
            self._decide(tx, turns, rules)

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:
        """A refused record says nothing about an asset."""

    def _take_results(
        self, tx: Connection, events: Sequence[Received], rules: dict[str, Rules]
    ) -> list[_Caused]:
        reported = list(_results(events))
        if not reported:
            return []
        checks = Checks(tx, (key for key, _, _ in reported))
        turns = []
        for key, envelope, data in reported:
            result = result_of(
                envelope.source,
                envelope.id,
                time_us=to_us(envelope.time),
                severity=data.severity if isinstance(data, QualityCheckFailed) else None,
            )
            turn = checks.take(key, result, rules[key[0]], dimension=data.dimension)
            if turn is not None:
                turns.append(_Caused(turn, envelope))
        checks.save()
        return turns

    def _decide(self, tx: Connection, turns: Sequence[_Caused], rules: dict[str, Rules]) -> None:
        ledger = Ledger(tx, self._outbox, (caused.turn.place[0] for caused in turns))
        quarantines = Quarantines(ledger, sorted({caused.turn.place for caused in turns}))
        for turn, envelope in turns:
            if quarantines.differs(turn.place, turn.mode):
                exempt_roles = rules[turn.place[0]].exempt_roles
                quarantines.apply(decision_of(turn, envelope), exempt_roles=exempt_roles)

    def _tag(self, tx: Connection, events: Sequence[Received]) -> None:
        tagging = [event.event for event in events if isinstance(event.event.data, _TAGGING)]
        passing = [event.event for event in events if isinstance(event.event.data, QualityCheckPassed)]
        if not tagging and not passing:
            return
        tags = Tags(tx, (_place(event) for event in (*tagging, *passing)))
        for event in events:
            _tag(tags, event.event)
        tags.save()


_TAGGING = (AnomalyDetected, AnomalyResolved, QualitySlaBreached)


def decision_of(turn: Turn, event: Envelope[Event]) -> Decision:
    """The decision that a turn leads to. Its id follows from asset, rule and the last event of the window."""
    tenant, asset = turn.place
    action = "release" if turn.mode is None else turn.mode
    what = f"{turn.check_id}: {turn.rule}"
    message = getattr(event.data, "message", None)
    return Decision(
        id=derive_id("governance.decision", tenant, asset, action, turn.rule, event.source, event.id),
        tenant=tenant,
        asset=asset,
        mode=turn.mode,
        rule=turn.rule,
        reason=f"{what} ({message})" if message and turn.mode is not None else what,
        cause=Cause(
            what=f"{'release' if turn.mode is None else 'quarantine'} {asset}",
            actor_id=SERVICE,
            time=event.time,
            **caused_by(event),
        ),
        check_id=turn.check_id,
        source=event.source,
    )


def _results(
    events: Sequence[Received],
) -> Iterator[tuple[CheckKey, Envelope[Event], QualityCheckPassed | QualityCheckFailed]]:
    for received in events:
        data = received.event.data
        if isinstance(data, (QualityCheckPassed, QualityCheckFailed)):
            key = (received.event.tenantid, asset_urn(data.asset), data.check_id)
            yield key, received.event, data


def _place(event: Envelope[Event]) -> Place:
    asset: str = getattr(event.data, "asset")  # noqa: B009 - all that are asked about have one
    return event.tenantid, asset_urn(asset)


def _tag(tags: Tags, event: Envelope[Event]) -> None:
    data, time_us = event.data, to_us(event.time)
    match data:
        case AnomalyDetected():
            expected = f"{data.expected_low:g} to {data.expected_high:g}"
            detail = f"{data.metric} is {data.observed:g}, expected {expected}"
            tags.put((*_place(event), ANOMALY, data.anomaly_id), detail=detail, time_us=time_us)
        case AnomalyResolved():
            tags.drop((*_place(event), ANOMALY, data.anomaly_id))
        case QualitySlaBreached():
            detail = f"{data.dimension} was due at {data.due_at.isoformat()}"
            key = (*_place(event), SLA_BREACHED, data.sla_id)
            tags.put(key, detail=detail, time_us=time_us, dimension=data.dimension)
        case QualityCheckPassed():
            tags.passed(_place(event), dimension=data.dimension, time_us=time_us)
