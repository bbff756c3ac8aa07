"""A version's way from the bench to its users: stages, deployments, drift."""

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.catalogue.events.model import (
    ModelDeployed,
    ModelDriftDetected,
    ModelStageChanged,
    ModelUndeployed,
    Stage,
)
from trunkline.services.ml import rows
from trunkline.services.ml.rules import (
    NEED_APPROVAL,
    NotRegistered,
    Refused,
    require_count,
    require_name,
    require_second_person,
    require_stage_for_deployment,
    require_text,
    require_transition,
)
from trunkline.services.ml.tables import DEPLOYMENT, VERSION
from trunkline.services.ml.views import Version
from trunkline.services.ml.work import Work


def change_stage(work: Work, model: str, version: int, stage: Stage) -> Version:
    """Move a version to another stage, or, where that needs a second person, ask for it.

    Whether it has moved, the version tells: `stage`, or `wanted`. Raises `NotRegistered` and `Refused`.
    """
    work.model(model)
    row, name = work.version(model, version), f"{model} {version}"
    require_transition(name, before=row.stage, after=stage)
    if stage == "archived" and (endpoints := _endpoints(work, model, version)):
        raise Refused(f"{name} is deployed at {', '.join(endpoints)}; undeploy it first")
    if stage in NEED_APPROVAL:
        _set(work, model, version, wanted_stage=stage, wanted_by=work.actor)
    else:
        _move(work, model, version, before=row.stage, after=stage, asked_by=work.actor, approver=None)
    return rows.version(work.tx, work.tenant, model, version)


def approve_stage(work: Work, model: str, version: int) -> Version:
    """Move a version to the stage that somebody else has asked for. Raises `NotRegistered` and `Refused`."""
    work.model(model)
    row, name = work.version(model, version), f"{model} {version}"
    if row.wanted_stage is None:
        raise Refused(f"{name}: nobody has asked for another stage; `trunkline model stage` does")
    require_second_person(name, asked_by=row.wanted_by, approver=work.actor)
    require_transition(name, before=row.stage, after=row.wanted_stage)
    _move(
        work,
        model,
        version,
        before=row.stage,
        after=row.wanted_stage,
        asked_by=row.wanted_by,
        approver=work.actor,
    )
    return rows.version(work.tx, work.tenant, model, version)


def deploy(work: Work, model: str, version: int, *, endpoint: str, replicas: int = 1) -> bool:
    """A version answers at an endpoint, with so many replicas; False if it does already.

    Raises `NotRegistered` and `Refused`.
    """
    require_name("endpoint", endpoint)
    require_count("replicas", replicas)
    work.model(model)
    require_stage_for_deployment(f"{model} {version}", work.version(model, version).stage)
    statement = (sqlite.insert if work.tx.dialect.name == "sqlite" else postgresql.insert)(DEPLOYMENT)
    key = {"tenant": work.tenant, "model": model, "version": version, "endpoint": endpoint}
    changed = work.tx.execute(
        statement.values(**key, replicas=replicas)
        .on_conflict_do_update(
            index_elements=tuple(key),
            set_={"replicas": replicas},
            where=DEPLOYMENT.c.replicas != replicas,
        )
        .returning(DEPLOYMENT.c.endpoint)
    ).first()
    if changed is None:
        return False
    work.tell(
        model,
        ModelDeployed(
            model=model, version=version, endpoint=endpoint, actor_id=work.actor, replicas=replicas
        ),
    )
    return True


def undeploy(work: Work, model: str, version: int, *, endpoint: str) -> None:
    """A version no longer answers at an endpoint. Raises `NotRegistered` if it did not."""
    work.model(model)
    work.version(model, version)
    if endpoint not in _endpoints(work, model, version):
        raise NotRegistered(f"{model} {version} is not deployed at {endpoint!r}")
    table = DEPLOYMENT.c
    work.tx.execute(
        delete(DEPLOYMENT).where(
            table.tenant == work.tenant,
            table.model == model,
            table.version == version,
            table.endpoint == endpoint,
        )
    )
    work.tell(model, ModelUndeployed(model=model, version=version, endpoint=endpoint, actor_id=work.actor))


def report_drift(
    work: Work,
    model: str,
    version: int,
    *,
    metric: str,
    value: float,
    threshold: float,
    feature: str | None = None,
) -> None:
    """What a version sees differs from what it learned from, by more than the threshold.

    Raises `NotRegistered`, and `Refused` for a version that is not deployed, or a value that is no drift.
    """
    require_name("metric", metric)
    require_text(feature=feature)
    work.model(model)
    work.version(model, version)
    if not _endpoints(work, model, version):
        raise Refused(f"{model} {version} is not deployed: it sees nothing that could differ")
    if value <= threshold:
        raise Refused(f"{metric} of {model} {version} is {value:g}, which is not above {threshold:g}")
    work.tell(
        model,
        ModelDriftDetected(
            model=model, version=version, metric=metric, value=value, threshold=threshold, feature=feature
        ),
    )


def _move(
    work: Work,
    model: str,
    version: int,
    *,
    before: Stage,
    after: Stage,
    asked_by: str,
    approver: str | None,
) -> None:
    _set(work, model, version, stage=after, wanted_stage=None, wanted_by=None)
    work.tell(
        model,
        ModelStageChanged(
            model=model,
            version=version,
            previous_stage=before,
            stage=after,
            actor_id=asked_by,
            approved_by=approver,
        ),
    )


def _set(work: Work, model: str, version: int, **values: str | None) -> None:
    work.tx.execute(
        update(VERSION)
        .where(VERSION.c.tenant == work.tenant, VERSION.c.model == model, VERSION.c.version == version)
        .values(**values)
    )


def _endpoints(work: Work, model: str, version: int) -> list[str]:
    table = DEPLOYMENT.c
    found = select(table.endpoint).where(
        table.tenant == work.tenant, table.model == model, table.version == version
    )
    return list(work.tx.execute(found.order_by(table.endpoint)).scalars())
