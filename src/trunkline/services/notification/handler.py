"""What events do to the store: history, decisions, incidents, and notifications that wait to be sent.

Nothing is sent here. A batch takes a few statements of each kind, whatever its size, and locks in one order:
incidents, then notifications, then deliveries.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
from sqlalchemy import Connection

from trunkline.client.handler import Received, Refusal
from trunkline.codec.record import Record
from trunkline.services.notification import accounts, history, incident_rows, notices, silence_rows
from trunkline.services.notification.audience import Audience, put_with_digests
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.decide import Broken, Verdict, verdicts
from trunkline.services.notification.facts import Facts, facts_of
from trunkline.services.notification.history import Decision
from trunkline.services.notification.incidents import Incident
from trunkline.services.notification.metrics import Metrics
from trunkline.services.notification.notices import Draft, Item, Notice, Put
from trunkline.services.notification.telling import (
    Surroundings,
    alert_of,
    all_clear_of,
    why_not_all_clear,
    why_untold,
)

NOTIFIED: Final = "notified"
GROUPED: Final = "grouped"
RESOLVES: Final = "resolves"

Judged: TypeAlias = tuple[Facts, Verdict | Broken]


def unix_us() -> int:
    """Now, in microseconds."""
    return time.time_ns() // 1000


class NotificationHandler:
    """A `client.handler.Handler`. `now_us` is the clock."""

    def __init__(
        self, configuration: Configuration, *, metrics: Metrics, now_us: Callable[[], int] = unix_us
    ) -> None:
        self._configuration = configuration
        self._metrics = metrics
        self._now_us = now_us

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        now_us = self._now_us()
        # The runtime has dropped what its own table knows; the history may outlive that table.
        fresh = history.add_new(tx, [facts_of(received) for received in events], now_us=now_us)
        if not fresh:
            return
        rules = {facts.tenant: self._configuration.rules(facts.tenant) for facts in fresh}
        spared = {
            name for of in rules.values() for name, one in of.by_name.items() if one.rule.while_suspended
        }
        accounts.apply(tx, fresh, spared=spared, now_us=now_us)
        judged = [(facts, verdict) for facts in fresh for verdict in verdicts(rules[facts.tenant], facts)]
        if judged:
            for decision in _Batch(tx, self._configuration, judged, now_us=now_us).apply():
                self._metrics.decided(decision.outcome)

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:
        """What is no event concerns nobody here; the failure ledger has it."""


@dataclass(slots=True)
class _Outcome:
    """A decision, and where in a notification the event is, if it is in one."""

    decision: Decision
    draft: Draft | None = None
    item: Item | None = None


class _Batch:
    """The verdicts on the events of one transaction, in order."""

    def __init__(
        self,
        tx: Connection,
        configuration: Configuration,
        judged: Sequence[Judged],
        *,
        now_us: int,
    ) -> None:
        self._tx = tx
        self._configuration = configuration
        self._judged = judged
        self._now_us = now_us
        self._drafts: dict[str, Draft] = {}
        self._taken_back: dict[str, list[str]] = {}
        self._tenants = {facts.tenant for facts, _ in judged}
        found = ((facts.tenant, verdict) for facts, verdict in judged if isinstance(verdict, Verdict))
        self._incidents = incident_rows.opened(tx, found, now_us=now_us)
        self._around = self._surroundings()
        # Whether what was told can still be taken back.
        told_by = (incident.told_by for incident in self._incidents.values())
        self._told = notices.lock(tx, [one for one in told_by if one is not None])

    def apply(self) -> list[Decision]:
        """Write down what follows from the verdicts."""
        outcomes = [self._decide(facts, verdict) for facts, verdict in self._judged]
        incidents = sorted({one for of in self._taken_back.values() for one in of})
        notices.withdraw(
            self._tx, incidents, sorted(self._taken_back), reason=notices.WITHDRAWN, now_us=self._now_us
        )
        put = self._put()
        for draft in self._drafts.values():
            self._remember_telling(draft, put[draft.id])
        incident_rows.save(self._tx, list(self._incidents.values()), now_us=self._now_us)
        decisions = _placed(outcomes, put)
        history.add_decisions(self._tx, decisions)
        return decisions

    def _surroundings(self) -> dict[str, Surroundings]:
        suspended = accounts.suspended(self._tx, self._tenants)
        silences = silence_rows.in_force(self._tx, self._tenants, now_us=self._now_us)
        inhibitors: dict[str, set[str]] = {}
        for facts, verdict in self._judged:
            names = {one.rule for one in verdict.rule.rule.inhibited_by}
            if names:
                inhibitors.setdefault(facts.tenant, set()).update(names)
        firing = incident_rows.firing(self._tx, inhibitors)
        around = {}
        for tenant in self._tenants:
            # What this batch changes is newer in memory, and may not be in the store at all.
            known = {incident.id: incident for incident in firing.get(tenant, [])}
            for incident in self._incidents.values():
                if incident.tenant == tenant and incident.rule in inhibitors.get(tenant, ()):
                    known[incident.id] = incident
            around[tenant] = Surroundings(
                self._now_us, tenant in suspended, silences[tenant], tuple(known.values())
            )
        return around

    def _decide(self, facts: Facts, verdict: Verdict | Broken) -> _Outcome:
        if isinstance(verdict, Broken):
            return _Outcome(_decision(facts, verdict, "failed", verdict.reason))
        incident = self._incidents[verdict.incident]
        if verdict.effect == "resolves":
            return self._resolve(facts, verdict, incident)
        incident.fire(facts, verdict)
        untold = why_untold(facts, verdict, incident, self._around[facts.tenant])
        if untold is None:
            incident.tell(facts.time_us, now_us=self._now_us, repeat_s=verdict.rule.rule.repeat_s)
        draft = alert_of(facts, verdict, reason=untold.reason if untold else None, now_us=self._now_us)
        outcome, detail = (untold.reason, untold.detail) if untold else (NOTIFIED, None)
        return self._drafted(_decision(facts, verdict, outcome, detail), draft)

    def _resolve(self, facts: Facts, verdict: Verdict, incident: Incident) -> _Outcome:
        told_us, told_by = incident.told_us, incident.told_by
        if not incident.resolve(facts):
            return _Outcome(_decision(facts, verdict, "nothing_open", "no open incident is older"))
        incident.forget_telling()
        notice = None if told_by is None else self._told.get(told_by)
        if told_us is None:
            return _Outcome(_decision(facts, verdict, RESOLVES, "nothing had been told of the incident"))
        if notice is None or not notice.closed:
            self._take_back(incident, notice)
            return _Outcome(_decision(facts, verdict, RESOLVES, "it was closed before anything was sent"))
        if not verdict.rule.rule.notify_resolved:
            return _Outcome(_decision(facts, verdict, RESOLVES, "the rule does not tell that it is over"))
        untold = why_not_all_clear(facts, verdict, self._around[facts.tenant])
        draft = all_clear_of(facts, verdict, reason=untold.reason if untold else None, now_us=self._now_us)
        return self._drafted(_decision(facts, verdict, RESOLVES, untold.detail if untold else None), draft)

    def _drafted(self, decision: Decision, draft: Draft) -> _Outcome:
        (item,) = draft.items
        there = self._drafts.setdefault(draft.id, draft)
        if there is not draft:
            there.items.append(item)
        return _Outcome(decision, there, item)

    def _take_back(self, incident: Incident, notice: Notice | None) -> None:
        """Nothing of it has gone out: neither what an earlier batch has put there nor what this one has."""
        for draft in self._drafts.values():
            for item in draft.items:
                if item.incident == incident.id and item.reason is None:
                    item.reason = notices.WITHDRAWN
        if notice is not None:
            self._taken_back.setdefault(notice.id, []).append(incident.id)

    def _put(self) -> dict[str, Put]:
        audience = Audience.of(self._tx, self._configuration, self._tenants)
        return put_with_digests(self._tx, list(self._drafts.values()), audience, now_us=self._now_us)

    def _remember_telling(self, draft: Draft, put: Put) -> None:
        if draft.kind == "alert":
            for item in draft.items:
                incident = self._incidents[item.incident or ""]
                if item.reason is None and incident.told_us is not None:
                    incident.told_by = put.notification


def _decision(facts: Facts, verdict: Verdict | Broken, outcome: str, detail: str | None) -> Decision:
    return Decision(
        tenant=facts.tenant,
        source=facts.source,
        event_id=facts.id,
        rule=verdict.rule.name,
        rule_version=verdict.rule.version,
        outcome=outcome,
        detail=detail,
        incident=verdict.incident if isinstance(verdict, Verdict) else None,
    )


def _placed(outcomes: Sequence[_Outcome], put: Mapping[str, Put]) -> list[Decision]:
    """The decisions with the notifications that the events are in; the first one in each opened it."""
    joined = {of.notification for of in put.values() if of.was_active}
    decisions = []
    for one in outcomes:
        decision = one.decision
        if one.draft is not None and one.item is not None:
            told = one.item.reason is None
            notification = put[one.draft.id].notification if told else one.draft.id
            outcome = decision.outcome
            if outcome == NOTIFIED and not told:
                outcome = one.item.reason or outcome
            elif outcome == NOTIFIED and notification in joined:
                outcome = GROUPED
            joined.add(notification)
            decision = msgspec.structs.replace(decision, outcome=outcome, notification=notification)
        decisions.append(decision)
    return decisions
