"""The registry of models: what ML Service publishes."""

from typing import Literal, TypeAlias

from msgspec import field

from trunkline.catalogue.events.audit_view import AuditRule
from trunkline.catalogue.events.base import Event, event
from trunkline.catalogue.events.fields import Identifier, LongName, Measure, Positive, Reason, Title, Urn

TOPIC = "ml.model.events"

Stage: TypeAlias = Literal["none", "development", "staging", "production", "archived"]

_MODEL = AuditRule(resource="model", resource_id="model", actor_id="actor_id")
_EXAMPLE = {"model": "churn", "actor_id": "u-31"}


@event(
    "model.registered.v1",
    topic=TOPIC,
    audit=_MODEL,
    example=_EXAMPLE | {"description": "Customers likely to leave", "owner_id": "u-31"},
)
class ModelRegistered(Event, frozen=True, kw_only=True):
    """A model got a name; it has no version yet."""

    model: Identifier
    actor_id: Identifier
    description: Reason | None = None
    owner_id: Identifier | None = None


@event(
    "model.version_created.v1",
    topic=TOPIC,
    audit=_MODEL,
    example=_EXAMPLE
    | {
        "version": 3,
        "run_id": "run-77",
        "source_uri": "s3://models/churn/3",
        "metrics": {"auc": 0.91, "f1": 0.78},
        "trained_on": ["urn:table:tpch.customer"],
    },
)
class ModelVersionCreated(Event, frozen=True, kw_only=True):
    """A model has a new version, numbered from 1 without gaps. `trained_on` are assets it learned from."""

    model: Identifier
    version: Positive
    actor_id: Identifier
    source_uri: LongName
    run_id: Identifier | None = None
    metrics: dict[Identifier, Measure] = field(default_factory=dict)
    trained_on: tuple[Urn, ...] = ()


@event(
    "model.alias_set.v1",
    topic=TOPIC,
    audit=_MODEL,
    example=_EXAMPLE | {"alias": "champion", "version": 3},
)
class ModelAliasSet(Event, frozen=True, kw_only=True):
    """An alias of a model points to this version, wherever it pointed before."""

    model: Identifier
    alias: Identifier
    version: Positive
    actor_id: Identifier


@event(
    "model.alias_removed.v1",
    topic=TOPIC,
    audit=_MODEL,
    example=_EXAMPLE | {"alias": "champion"},
)
class ModelAliasRemoved(Event, frozen=True, kw_only=True):
    """An alias of a model is gone."""

    model: Identifier
    alias: Identifier
    actor_id: Identifier


@event(
    "model.tag_set.v1",
    topic=TOPIC,
    audit=_MODEL,
    example=_EXAMPLE | {"key": "reviewed", "value": "yes", "version": 3},
)
class ModelTagSet(Event, frozen=True, kw_only=True):
    """A tag of a model, or of one version of it, has this value."""

    model: Identifier
    key: Identifier
    value: Title
    actor_id: Identifier
    version: Positive | None = None


@event(
    "model.tag_removed.v1",
    topic=TOPIC,
    audit=_MODEL,
    example=_EXAMPLE | {"key": "reviewed", "version": 3},
)
class ModelTagRemoved(Event, frozen=True, kw_only=True):
    """A model, or one version of it, has this tag no more."""

    model: Identifier
    key: Identifier
    actor_id: Identifier
    version: Positive | None = None


@event(
    "model.stage_changed.v1",
    topic=TOPIC,
    audit=_MODEL,
    example=_EXAMPLE
    | {"version": 3, "previous_stage": "staging", "stage": "production", "approved_by": "u-40"},
)
class ModelStageChanged(Event, frozen=True, kw_only=True):
    """A version moved to another stage."""

    model: Identifier
    version: Positive
    previous_stage: Stage
    stage: Stage
    actor_id: Identifier
    approved_by: Identifier | None = None


@event(
    "model.deployed.v1",
    topic=TOPIC,
    audit=_MODEL,
    example=_EXAMPLE | {"version": 3, "endpoint": "churn-eu", "replicas": 2},
)
class ModelDeployed(Event, frozen=True, kw_only=True):
    """A version answers requests at an endpoint."""

    model: Identifier
    version: Positive
    endpoint: Identifier
    actor_id: Identifier
    replicas: Positive = 1


@event(
    "model.undeployed.v1",
    topic=TOPIC,
    audit=_MODEL,
    example=_EXAMPLE | {"version": 2, "endpoint": "churn-eu"},
)
class ModelUndeployed(Event, frozen=True, kw_only=True):
    """A version no longer answers requests at an endpoint."""

    model: Identifier
    version: Positive
    endpoint: Identifier
    actor_id: Identifier


@event(
    "model.drift_detected.v1",
    topic=TOPIC,
    audit=AuditRule(resource="model", resource_id="model"),
    example={
        "model": "churn",
        "version": 3,
        "feature": "acctbal",
        "metric": "psi",
        "value": 0.31,
        "threshold": 0.2,
    },
)
class ModelDriftDetected(Event, frozen=True, kw_only=True):
    """What a deployed version sees differs from what it learned from, by more than the threshold."""

    model: Identifier
    version: Positive
    metric: Identifier
    value: Measure
    threshold: Measure
    feature: Identifier | None = None


@event(
    "model.deleted.v1",
    topic=TOPIC,
    audit=_MODEL,
    example=_EXAMPLE | {"version": 1, "reason": "trained on the wrong table"},
)
class ModelDeleted(Event, frozen=True, kw_only=True):
    """A version of a model is gone, or, without `version`, a model that has none any more.

    The number of a version is not given to another one.
    """

    model: Identifier
    actor_id: Identifier
    version: Positive | None = None
    reason: Reason | None = None
