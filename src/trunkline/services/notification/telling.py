"""Whether an open incident is told of, and if not, why; and the draft that tells of it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from trunkline.codec.identity import derive_id
from trunkline.services.notification.conditions import MISSING, field_at
from trunkline.services.notification.configuration import CompiledRule
from trunkline.services.notification.decide import Verdict
from trunkline.services.notification.facts import Facts, shown
from trunkline.services.notification.incidents import SECOND_US, Incident
from trunkline.services.notification.notices import Draft, Item, Kind
from trunkline.services.notification.silences import Silence, silenced_by


@dataclass(frozen=True, slots=True)
class Untold:
    """Why something is not told: a word for programs, a sentence for people."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else is known when an event of a tenant is looked at."""

    now_us: int
    is_suspended: bool
    silences: Sequence[Silence]
    firing: Iterable[Incident]
    """Open incidents of the tenant, of rules that inhibit."""


def why_untold(facts: Facts, verdict: Verdict, incident: Incident, around: Surroundings) -> Untold | None:
    """Why an event that fired is not told; None if it is."""
    rule = verdict.rule
    if facts.expires_us is not None and facts.expires_us <= around.now_us:
        return Untold("expired", f"the event expired at {shown(facts.expires_us)}")
    if (old := _too_old(rule, facts, around)) is not None:
        return old
    if not incident.is_firing:
        return Untold("resolved", "the incident had been resolved already when the event arrived")
    return hushed(rule, facts.type, facts.data, verdict.severity, around) or _repeated(rule, incident, facts)


def why_not_all_clear(facts: Facts, verdict: Verdict, around: Surroundings) -> Untold | None:
    """Why it is not told that an incident is over; None if it is."""
    return _too_old(verdict.rule, facts, around) or hushed(
        verdict.rule, facts.type, facts.data, verdict.severity, around
    )


def _too_old(rule: CompiledRule, facts: Facts, around: Surroundings) -> Untold | None:
    age_s = (around.now_us - facts.time_us) // SECOND_US
    if age_s <= rule.rule.max_age_s:
        return None
    return Untold("too_old", f"the event was {age_s} s old, the rule tells up to {rule.rule.max_age_s} s")


def hushed(
    rule: CompiledRule, type_name: str, data: Mapping[str, Any], severity: str, around: Surroundings
) -> Untold | None:
    """Why nothing of this rule is told now, whatever the event's age."""
    if around.is_suspended and not rule.rule.while_suspended:
        return Untold("suspended", "the tenant is suspended")
    silence = silenced_by(
        around.silences,
        rule=rule.name,
        category=rule.rule.category,
        severity=severity,
        type_name=type_name,
        data=data,
        now_us=around.now_us,
    )
    if silence is not None:
        return Untold("silenced", f"silence {silence.id} by {silence.actor}: {silence.comment}")
    return _inhibited(rule, data, around.firing)


def _inhibited(rule: CompiledRule, data: Mapping[str, Any], firing: Iterable[Incident]) -> Untold | None:
    wanted = {inhibitor.rule: inhibitor.equal for inhibitor in rule.rule.inhibited_by}
    if not wanted:
        return None
    for incident in firing:
        equal = wanted.get(incident.rule)
        if (
            equal is not None
            and incident.is_firing
            and _same(data, msgspec.json.decode(incident.data), equal)
        ):
            return Untold("inhibited", f"an incident of {incident.rule} is open: {incident.key}")
    return None


def _same(data: Mapping[str, Any], other: Mapping[str, Any], paths: Sequence[str]) -> bool:
    for path in paths:
        steps = tuple(path.split("."))
        value = field_at(data, steps)
        if value is MISSING or value != field_at(other, steps):
            return False
    return True


def _repeated(rule: CompiledRule, incident: Incident, facts: Facts) -> Untold | None:
    if incident.told_us is None:
        return None
    repeat_s = rule.rule.repeat_s
    if repeat_s and facts.time_us - incident.told_us >= repeat_s * SECOND_US:
        return None
    again = f"it is told again after {repeat_s} s" if repeat_s else "it is told once"
    return Untold("repeat", f"the incident was told of at {shown(incident.told_us)} and is open; {again}")


def alert_of(facts: Facts, verdict: Verdict, *, reason: str | None, now_us: int) -> Draft:
    """The notification of the window that an event falls into."""
    rule = verdict.rule.rule
    length_us = rule.group_interval_s * SECOND_US
    window_us = facts.time_us - facts.time_us % length_us
    wait_us = int(rule.group_wait_s * SECOND_US)
    identity = ("alert", facts.tenant, verdict.rule.name, str(verdict.rule.version), verdict.group)
    return draft_of(
        verdict.rule,
        derive_id(*identity, verdict.severity, str(window_us), str(length_us)),
        tenant=facts.tenant,
        kind="alert",
        severity=verdict.severity,
        group=verdict.group,
        window_us=window_us,
        due_us=now_us + wait_us,
        late_us=max(now_us + wait_us, window_us + length_us),
        item=item_of(facts, verdict.incident, reason),
    )


def all_clear_of(facts: Facts, verdict: Verdict, *, reason: str | None, now_us: int) -> Draft:
    """The notification that an incident, which was told of, is over."""
    return draft_of(
        verdict.rule,
        derive_id("resolved", verdict.incident, str(verdict.rule.version), facts.source, facts.id),
        tenant=facts.tenant,
        kind="resolved",
        severity=verdict.severity,
        group=verdict.key,
        window_us=facts.time_us,
        due_us=now_us,
        late_us=now_us,
        item=item_of(facts, verdict.incident, reason),
    )


def item_of(facts: Facts, incident: str, reason: str | None) -> Item:
    """The event as part of a notification."""
    return Item(
        ref=derive_id(facts.tenant, facts.source, facts.id, incident),
        time_us=facts.time_us,
        incident=incident,
        source=facts.source,
        event_id=facts.id,
        reason=reason,
    )


def draft_of(
    rule: CompiledRule,
    id: str,  # noqa: A002 - the column's name
    *,
    tenant: str,
    kind: Kind,
    severity: str,
    group: str,
    window_us: int,
    due_us: int,
    late_us: int,
    item: Item,
) -> Draft:
    """A draft with what the rule says of it."""
    return Draft(
        id=id,
        tenant=tenant,
        kind=kind,
        rule=rule.name,
        rule_version=rule.version,
        title=rule.rule.title,
        severity=severity,
        category=rule.rule.category,
        template=rule.rule.template,
        group=group,
        window_us=window_us,
        due_us=due_us,
        late_us=late_us,
        channels=rule.rule.channels,
        items=[item],
    )
