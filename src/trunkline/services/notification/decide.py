"""What the rules say about an event: which incidents it opens or closes. Pure."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from trunkline.codec.identity import derive_id
from trunkline.services.notification.configuration import CompiledRule, RuleSet
from trunkline.services.notification.facts import Facts
from trunkline.services.settings.notification import SEVERITIES, Severity
from trunkline.services.settings.templating import TemplateFailed

KEY_MAX: Final = 512
"""Characters of a rendered key; a longer one is cut, so that it can be indexed."""

Effect: TypeAlias = Literal["fires", "resolves"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule concerns one event: it opens the incident, or keeps it open, or closes it."""

    rule: CompiledRule
    effect: Effect
    key: str
    incident: str
    severity: Severity
    group: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule concerns an event and could not be applied to it."""

    rule: CompiledRule
    reason: str


def verdicts(rules: RuleSet, facts: Facts) -> list[Verdict | Broken]:
    """What each rule says that concerns the event, by name of the rule."""
    found: list[Verdict | Broken] = []
    for rule in rules.about(facts.type):
        effect = _effect(rule, facts)
        if effect is not None:
            try:
                found.append(_verdict(rule, effect, facts))
            except TemplateFailed as error:
                found.append(Broken(rule, str(error)))
    return found


def why_not(rule: CompiledRule, facts: Facts) -> str | None:
    """Why the rule has nothing to say about the event; None if it has."""
    if _effect(rule, facts) is not None:
        return None
    return rule.fires.why_not(facts.type, facts.data)


def incident_id(tenant: str, rule: str, key: str) -> str:
    """The identity of an incident: it outlives the rule's versions."""
    return derive_id("incident", tenant, rule, key)


def _effect(rule: CompiledRule, facts: Facts) -> Effect | None:
    if facts.type in rule.fires.types and rule.fires.failing(facts.data) is None:
        return "fires"
    resolves = rule.resolves
    if resolves is not None and facts.type in resolves.types and resolves.failing(facts.data) is None:
        return "resolves"
    return None


def _verdict(rule: CompiledRule, effect: Effect, facts: Facts) -> Verdict:
    """Raises `TemplateFailed`."""
    values = {"data": facts.data, "type": facts.type, "tenant": facts.tenant}
    key = rule.key.render(values)[:KEY_MAX]
    group = rule.group.render(values)[:KEY_MAX] if rule.group and effect == "fires" else key
    return Verdict(
        rule=rule,
        effect=effect,
        key=key,
        incident=incident_id(facts.tenant, rule.name, key),
        severity=_severity(rule, facts),
        group=group,
    )


def _severity(rule: CompiledRule, facts: Facts) -> Severity:
    wanted = facts.data.get(rule.rule.severity_from) if rule.rule.severity_from else None
    return next((one for one in SEVERITIES if one == wanted), rule.rule.severity)
