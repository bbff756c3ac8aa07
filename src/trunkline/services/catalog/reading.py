"""What each type of event says of which assets. Pure; a type that is not here says nothing to the catalog."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from trunkline.catalogue.events import Event
from trunkline.catalogue.events import model as ml
from trunkline.catalogue.events import policy as gov
from trunkline.services.catalog import urns
from trunkline.services.catalog.facts import (
    COLUMN_OF,
    DELETED,
    TRAINED_ON,
    VERSION_OF,
    Edge,
    Facet,
    Facts,
    Rejected,
    checked,
)
from trunkline.services.catalog.urns import model_urn, policy_urn, version_urn

Reader: TypeAlias = Callable[[Any], Facts]


def facts_of(event: Event) -> Facts | None:
    """What the event says; None for a type that is of no concern here."""
    reader = _READERS.get(type(event))
    return None if reader is None else reader(event)


def _registered(event: ml.ModelRegistered) -> Facts:
    urn = model_urn(event.model)
    value = _given(description=event.description, owner_id=event.owner_id, actor_id=event.actor_id)
    return checked([Facet(urn=urn, name="model", value=value, scalar=event.owner_id)])


def _version_created(event: ml.ModelVersionCreated) -> Facts:
    model, version = model_urn(event.model), version_urn(event.model, event.version)
    value = _given(
        model=event.model,
        version=event.version,
        source_uri=event.source_uri,
        run_id=event.run_id,
        actor_id=event.actor_id,
    )
    facets = [Facet(urn=version, name="version", value=value, scalar=event.run_id, ref=model)]
    if event.metrics:
        facets.append(Facet(urn=version, name="metrics", value=dict(event.metrics)))
    assets, rejected = _assets(version, TRAINED_ON, event.trained_on)
    if assets:
        facets.append(Facet(urn=version, name=TRAINED_ON, value={"assets": assets}))
    edges = [Edge(version, model, VERSION_OF), *(Edge(urn, version, TRAINED_ON) for urn in assets)]
    return checked(facets, mentions=[model, *assets], edges=edges, rejected=rejected)


def _alias_set(event: ml.ModelAliasSet) -> Facts:
    version = version_urn(event.model, event.version)
    return checked(
        [
            Facet(
                urn=model_urn(event.model),
                name=f"alias:{event.alias}",
                value={"version": event.version, "actor_id": event.actor_id},
                scalar=str(event.version),
                ref=version,
            )
        ]
    )


def _alias_removed(event: ml.ModelAliasRemoved) -> Facts:
    return checked([_gone(model_urn(event.model), f"alias:{event.alias}", actor_id=event.actor_id)])


def _tag_set(event: ml.ModelTagSet) -> Facts:
    value = {"value": event.value, "actor_id": event.actor_id}
    return checked([Facet(urn=_subject(event), name=f"tag:{event.key}", value=value, scalar=event.value)])


def _tag_removed(event: ml.ModelTagRemoved) -> Facts:
    return checked([_gone(_subject(event), f"tag:{event.key}", actor_id=event.actor_id)])


def _stage_changed(event: ml.ModelStageChanged) -> Facts:
    value = _given(
        stage=event.stage,
        previous_stage=event.previous_stage,
        actor_id=event.actor_id,
        approved_by=event.approved_by,
    )
    return checked([Facet(urn=_subject(event), name="stage", value=value, scalar=event.stage)])


def _deployed(event: ml.ModelDeployed) -> Facts:
    name = f"deployment:{event.endpoint}"
    value = {"endpoint": event.endpoint, "replicas": event.replicas, "actor_id": event.actor_id}
    return checked([Facet(urn=_subject(event), name=name, value=value, scalar=event.endpoint)])


def _undeployed(event: ml.ModelUndeployed) -> Facts:
    return checked([_gone(_subject(event), f"deployment:{event.endpoint}", actor_id=event.actor_id)])


def _drift_detected(event: ml.ModelDriftDetected) -> Facts:
    name = f"drift:{event.metric}" + (f":{event.feature}" if event.feature is not None else "")
    value = _given(metric=event.metric, value=event.value, threshold=event.threshold, feature=event.feature)
    return checked([Facet(urn=_subject(event), name=name, value=value, scalar=event.metric)])


def _deleted(event: ml.ModelDeleted) -> Facts:
    value = _given(actor_id=event.actor_id, reason=event.reason)
    return checked([Facet(urn=_subject(event), name=DELETED, value=value)])


def _published(event: gov.PolicyPublished) -> Facts:
    scope = urns.normal(event.scope)
    value = _given(
        policy_id=event.policy_id,
        version=event.version,
        kind=event.kind,
        mode=event.mode,
        scope=scope,
        title=event.title,
        actor_id=event.actor_id,
    )
    policy = Facet(
        urn=policy_urn(event.policy_id),
        name="policy",
        value=value,
        scalar=event.kind,
        ref=scope if _is_asset(event.scope) else None,
        rank=event.version,
    )
    return _with_tables(checked([policy]))


def _revoked(event: gov.PolicyRevoked) -> Facts:
    value = _given(version=event.version, actor_id=event.actor_id, reason=event.reason)
    urn = policy_urn(event.policy_id)
    return checked([Facet(urn=urn, name="revoked", value=value, rank=event.version)])


def _bundle_activated(event: gov.PolicyBundleActivated) -> Facts:
    value = {"revision": event.revision, "digest": event.digest, "members": dict(event.members)}
    bundle = Facet(urn=urns.BUNDLE, name="bundle", value=value, rank=event.revision)
    return checked([bundle])


def _quarantined(event: gov.AssetQuarantined) -> Facts:
    value = _given(
        mode=event.mode,
        decision_id=event.decision_id,
        reason=event.reason,
        actor_id=event.actor_id,
        until=event.until and event.until.isoformat(),
    )
    urn = urns.normal(event.asset)
    return _with_tables(checked([Facet(urn=urn, name="quarantine", value=value, scalar=event.mode)]))


def _released(event: gov.AssetReleased) -> Facts:
    value = _given(
        decision_id=event.decision_id,
        reason=event.reason,
        actor_id=event.actor_id,
        quarantine_id=event.quarantine_id,
    )
    urn = urns.normal(event.asset)
    return _with_tables(checked([Facet(urn=urn, name="quarantine", value=value, live=False, weight=1)]))


def _classified(event: gov.ClassificationChanged) -> Facts:
    value = _given(
        classification=event.classification,
        previous=event.previous,
        confidence_percent=event.confidence_percent,
        actor_id=event.actor_id,
    )
    facet = Facet(
        urn=urns.normal(event.asset), name="classification", value=value, scalar=event.classification
    )
    return _with_tables(checked([facet]))


_READERS: Final[Mapping[type[Event], Reader]] = MappingProxyType(
    {
        ml.ModelRegistered: _registered,
        ml.ModelVersionCreated: _version_created,
        ml.ModelAliasSet: _alias_set,
        ml.ModelAliasRemoved: _alias_removed,
        ml.ModelTagSet: _tag_set,
        ml.ModelTagRemoved: _tag_removed,
        ml.ModelStageChanged: _stage_changed,
        ml.ModelDeployed: _deployed,
        ml.ModelUndeployed: _undeployed,
        ml.ModelDriftDetected: _drift_detected,
        ml.ModelDeleted: _deleted,
        gov.PolicyPublished: _published,
        gov.PolicyRevoked: _revoked,
        gov.PolicyBundleActivated: _bundle_activated,
        gov.AssetQuarantined: _quarantined,
        gov.AssetReleased: _released,
        gov.ClassificationChanged: _classified,
    }
)


def _subject(
    event: ml.ModelTagSet
    | ml.ModelTagRemoved
    | ml.ModelStageChanged
    | ml.ModelDeployed
    | ml.ModelUndeployed
    | ml.ModelDriftDetected
    | ml.ModelDeleted,
) -> str:
    """The version that the event names, or the model."""
    return model_urn(event.model) if event.version is None else version_urn(event.model, event.version)


def _gone(urn: str, name: str, **value: str) -> Facet:
    return Facet(urn=urn, name=name, value=value, live=False)


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _is_asset(scope: str) -> bool:
    """Whether a policy is about one asset, and not about a tag or a pattern of names."""
    return scope.startswith("urn:") and "*" not in scope and urns.why_no_asset(urns.normal(scope)) is None


def _assets(urn: str, facet: str, names: tuple[str, ...]) -> tuple[list[str], list[Rejected]]:
    """The assets among the names, and the others with the reason."""
    good: set[str] = set()
    bad: list[Rejected] = []
    for name in names:
        asset = urns.normal(name)
        reason = urns.why_no_asset(asset)
        if reason is None:
            good.add(asset)
        else:
            bad.append(Rejected(urn, f"{facet}:{name}", reason))
    return sorted(good), bad


def _with_tables(facts: Facts) -> Facts:
    """With the tables of the columns that are named, and that they belong to them."""
    edges = [
        Edge(urn, urns.table_of_column(urn), COLUMN_OF)
        for urn in facts.mentions
        if urn.startswith(urns.COLUMN)
    ]
    if not edges:
        return facts
    return checked(
        facts.facets,
        mentions=[*facts.mentions, *(edge.target for edge in edges)],
        edges=edges,
        rejected=facts.rejected,
    )
