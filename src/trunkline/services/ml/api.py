"""The registry's HTTP API. Who acts is the token's subject: nobody approves in another's name."""

from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query

from trunkline.catalogue.events.model import Stage
from trunkline.services.app import Context
from trunkline.services.kit.api import Caller, Page, PageSize, Problem, Reading, caller, reading, scoped
from trunkline.services.ml import naming, registering, rows, serving
from trunkline.services.ml.rules import NotRegistered
from trunkline.services.ml.views import Model, Version
from trunkline.services.ml.work import changing

PAGE: Final = 100

WRITE: Final = "models:write"
"""The scope of those who may change the registry of their tenant."""

Who = Annotated[Caller, caller]
Writer = Annotated[Caller, scoped(WRITE)]
At = Annotated[Reading, reading]
Cursor = Annotated[str | None, Query(description="The cursor of the page before.")]
Key = Annotated[
    str | None,
    Header(alias="idempotency-key", description="Sent again with the same key, a request has one effect."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """What to register."""

    model: str
    description: str | None = None
    owner_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """What a version consists of."""

    source_uri: str
    run_id: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    trained_on: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasTarget:
    """Where an alias points."""

    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TagValue:
    """What a tag says."""

    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStage:
    """Where a version is to go."""

    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """How a version serves an endpoint."""

    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What was measured, and what would still have been usual."""

    metric: str
    value: float
    threshold: float
    feature: str | None = None


def routes(context: Context) -> APIRouter:
    """All routes, to be put under /v1. The tenant is the token's."""
    router = APIRouter(tags=["models"])
    _models(router, context)
    _versions(router, context)
    _names(router, context)
    _serving(router, context)
    return router


def _models(router: APIRouter, context: Context) -> None:
    @router.get("/models")
    def list_models(who: Who, at: At, limit: PageSize = PAGE, cursor: Cursor = None) -> Page[Model]:
        """The models, by name."""
        return rows.models(at.tx, who.tenant, limit=limit, after=cursor)

    @router.post("/models", status_code=201)
    def register_model(who: Writer, new: NewModel, key: Key = None) -> Model:
        """Give a model its name."""
        with changing(context, who.tenant, actor=who.subject) as work:
            return registering.register(
                work, new.model, description=new.description, owner=new.owner_id, key=key
            )

    @router.get("/models/{model}")
    def model(who: Who, at: At, model: str) -> Model:
        """A model with its aliases and tags."""
        return rows.model(at.tx, who.tenant, model)

    @router.delete("/models/{model}", status_code=204)
    def delete_model(who: Writer, model: str, reason: str | None = None) -> None:
        """Delete a model that has no versions."""
        with changing(context, who.tenant, actor=who.subject) as work:
            registering.delete_model(work, model, reason=reason)


def _versions(router: APIRouter, context: Context) -> None:
    @router.get("/models/{model}/versions")
    def list_versions(
        *, who: Who, at: At, model: str, limit: PageSize = PAGE, cursor: Cursor = None
    ) -> Page[Version]:
        """The versions of a model, newest first."""
        return rows.versions(at.tx, who.tenant, model, limit=limit, after=cursor)

    @router.post("/models/{model}/versions", status_code=201)
    def create_version(who: Writer, model: str, new: NewVersion, key: Key = None) -> Version:
        """Give a model its next version."""
        with changing(context, who.tenant, actor=who.subject) as work:
            return registering.create_version(
                work,
                model,
                source_uri=new.source_uri,
                run_id=new.run_id,
                metrics=new.metrics,
                trained_on=new.trained_on,
                key=key,
            )

    @router.get("/models/{model}/versions/{version}")
    def version(who: Who, at: At, model: str, version: int) -> Version:
        """A version with its aliases, tags and endpoints."""
        return rows.version(at.tx, who.tenant, model, version)

    @router.delete("/models/{model}/versions/{version}", status_code=204)
    def delete_version(who: Writer, model: str, version: int, reason: str | None = None) -> None:
        """Delete a version that serves nobody and has no alias."""
        with changing(context, who.tenant, actor=who.subject) as work:
            registering.delete_version(work, model, version, reason=reason)


def _names(router: APIRouter, context: Context) -> None:
    @router.put("/models/{model}/aliases/{alias}")
    def set_alias(who: Writer, model: str, alias: str, to: AliasTarget) -> Model:
        """Point an alias to a version."""
        with changing(context, who.tenant, actor=who.subject) as work:
            work.model(model)
            try:
                naming.set_alias(work, model, alias, to.version)
            except NotRegistered as error:
                # The model, which the path names, is there; the body names a version that is not.
                raise Problem(422, str(error)) from error
            return rows.model(work.tx, who.tenant, model)

    @router.delete("/models/{model}/aliases/{alias}", status_code=204)
    def remove_alias(who: Writer, model: str, alias: str) -> None:
        """Take an alias away."""
        with changing(context, who.tenant, actor=who.subject) as work:
            naming.remove_alias(work, model, alias)

    @router.put("/models/{model}/tags/{tag}")
    def set_tag(who: Writer, model: str, tag: str, to: TagValue, version: int | None = None) -> Model:
        """Tag a model, or a version of it."""
        with changing(context, who.tenant, actor=who.subject) as work:
            naming.set_tag(work, model, tag, to.value, version=version)
            return rows.model(work.tx, who.tenant, model)

    @router.delete("/models/{model}/tags/{tag}", status_code=204)
    def remove_tag(who: Writer, model: str, tag: str, version: int | None = None) -> None:
        """Take a tag away."""
        with changing(context, who.tenant, actor=who.subject) as work:
            naming.remove_tag(work, model, tag, version=version)


def _serving(router: APIRouter, context: Context) -> None:
    place = "/models/{model}/versions/{version}"

    @router.post(place + "/stage")
    def change_stage(who: Writer, model: str, version: int, to: NewStage) -> Version:
        """Move a version to another stage, or ask for it where that needs a second person."""
        with changing(context, who.tenant, actor=who.subject) as work:
            return serving.change_stage(work, model, version, to.stage)

    @router.post(place + "/approval")
    def approve_stage(who: Writer, model: str, version: int) -> Version:
        """Approve the stage that somebody else has asked for."""
        with changing(context, who.tenant, actor=who.subject) as work:
            return serving.approve_stage(work, model, version)

    @router.put(place + "/deployments/{endpoint}")
    def deploy(who: Writer, model: str, version: int, endpoint: str, how: Deployment) -> Version:
        """Let a version answer at an endpoint."""
        with changing(context, who.tenant, actor=who.subject) as work:
            serving.deploy(work, model, version, endpoint=endpoint, replicas=how.replicas)
            return rows.version(work.tx, who.tenant, model, version)

    @router.delete(place + "/deployments/{endpoint}", status_code=204)
    def undeploy(who: Writer, model: str, version: int, endpoint: str) -> None:
        """Let a version answer at an endpoint no longer."""
        with changing(context, who.tenant, actor=who.subject) as work:
            serving.undeploy(work, model, version, endpoint=endpoint)

    @router.post(place + "/drift", status_code=204)
    def report_drift(who: Writer, model: str, version: int, seen: Drift) -> None:
        """Say that a version sees something else than what it learned from."""
        with changing(context, who.tenant, actor=who.subject) as work:
            serving.report_drift(
                work,
                model,
                version,
                metric=seen.metric,
                value=seen.value,
                threshold=seen.threshold,
                feature=seen.feature,
            )
