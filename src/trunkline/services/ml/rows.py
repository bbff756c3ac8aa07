"""Reads and locks the registry's rows."""

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, select

from trunkline.catalogue.events.fields import Positive
from trunkline.services.kit.api.pages import Page, decode_cursor, page_of
from trunkline.services.kit.ending.ends import from_us
from trunkline.services.ml.rules import NotRegistered, require_count
from trunkline.services.ml.tables import ALIAS, DEPLOYMENT, MODEL, OF_MODEL, TAG, VERSION
from trunkline.services.ml.views import Model, Version, Wanted

VERSIONS_MAX: Final = 1_000


def locked_model(tx: Connection, tenant: str, model: str) -> Row[Any]:
    """The model's row, until the transaction ends nobody else's. Raises `NotRegistered`."""
    found = tx.execute(
        select(MODEL).where(MODEL.c.tenant == tenant, MODEL.c.model == model).with_for_update()
    ).first()
    if found is None or found.deleted:
        raise NotRegistered(f"there is no model {model!r}; `trunkline model register` makes one")
    return found


def version_row(tx: Connection, tenant: str, model: str, version: int) -> Row[Any]:
    """Raises `NotRegistered`."""
    require_count("version", version)
    table = VERSION.c
    found = tx.execute(
        select(VERSION).where(table.tenant == tenant, table.model == model, table.version == version)
    ).first()
    if found is None:
        raise NotRegistered(f"model {model!r} has no version {version}")
    return found


def models(tx: Connection, tenant: str, *, limit: int = 100, after: str | None = None) -> Page[Model]:
    """The models, by name."""
    found = select(MODEL).where(MODEL.c.tenant == tenant, MODEL.c.deleted.is_(False))
    if after is not None:
        found = found.where(MODEL.c.model > decode_cursor(after, tuple[str])[0])
    rows = tx.execute(found.order_by(MODEL.c.model).limit(limit + 1)).all()
    return page_of([_model(tx, row) for row in rows], limit, lambda one: (one.model,))


def model(tx: Connection, tenant: str, name: str) -> Model:
    """Raises `NotRegistered`."""
    row = tx.execute(
        select(MODEL).where(MODEL.c.tenant == tenant, MODEL.c.model == name, MODEL.c.deleted.is_(False))
    ).first()
    if row is None:
        raise NotRegistered(f"there is no model {name!r}; `trunkline model register` makes one")
    return _model(tx, row)


def version(tx: Connection, tenant: str, name: str, number: int) -> Version:
    """Raises `NotRegistered`."""
    return _version(tx, version_row(tx, tenant, name, number))


def versions(
    tx: Connection, tenant: str, name: str, *, limit: int = 100, after: str | None = None
) -> Page[Version]:
    """The versions of a model, newest first. Raises `NotRegistered`."""
    model(tx, tenant, name)
    found = select(VERSION).where(VERSION.c.tenant == tenant, VERSION.c.model == name)
    if after is not None:
        found = found.where(VERSION.c.version < decode_cursor(after, tuple[Positive])[0])
    rows = tx.execute(found.order_by(VERSION.c.version.desc()).limit(limit + 1)).all()
    return page_of([_version(tx, row) for row in rows], limit, lambda one: (one.version,))


def _model(tx: Connection, row: Row[Any]) -> Model:
    aliases = tx.execute(
        select(ALIAS.c.alias, ALIAS.c.version)
        .where(ALIAS.c.tenant == row.tenant, ALIAS.c.model == row.model)
        .order_by(ALIAS.c.alias)
    )
    return Model(
        model=row.model,
        description=row.description,
        owner_id=row.owner_id,
        last_version=row.last_version,
        aliases={one.alias: one.version for one in aliases},
        tags=_tags(tx, row, OF_MODEL),
    )


def _version(tx: Connection, row: Row[Any]) -> Version:
    aliases = (
        select(ALIAS.c.alias)
        .where(ALIAS.c.tenant == row.tenant, ALIAS.c.model == row.model, ALIAS.c.version == row.version)
        .order_by(ALIAS.c.alias)
    )
    table = DEPLOYMENT.c
    endpoints = (
        select(table.endpoint, table.replicas)
        .where(table.tenant == row.tenant, table.model == row.model, table.version == row.version)
        .order_by(table.endpoint)
    )
    wanted = None
    if row.wanted_stage is not None:
        wanted = Wanted(stage=row.wanted_stage, asked_by=row.wanted_by)
    return Version(
        model=row.model,
        version=row.version,
        source_uri=row.source_uri,
        run_id=row.run_id,
        metrics=msgspec.json.decode(row.metrics, type=dict[str, float]),
        trained_on=msgspec.json.decode(row.trained_on, type=tuple[str, ...]),
        stage=row.stage,
        wanted=wanted,
        actor_id=row.actor_id,
        created_at=from_us(row.created_us),
        aliases=tuple(tx.execute(aliases).scalars()),
        tags=_tags(tx, row, row.version),
        endpoints={one.endpoint: one.replicas for one in tx.execute(endpoints)},
    )


def _tags(tx: Connection, row: Row[Any], number: int) -> dict[str, str]:
    found = (
        select(TAG.c.key, TAG.c.value)
        .where(TAG.c.tenant == row.tenant, TAG.c.model == row.model, TAG.c.version == number)
        .order_by(TAG.c.key)
    )
    return {one.key: one.value for one in tx.execute(found)}
