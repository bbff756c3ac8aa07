"""Models and versions come and go."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.catalogue.assets import asset_urn
from trunkline.catalogue.events.model import ModelDeleted, ModelRegistered, ModelVersionCreated
from trunkline.errors import InvalidInput
from trunkline.services.kit.ending.ends import to_us
from trunkline.services.ml import rows
from trunkline.services.ml.rules import Refused, require_name, require_text
from trunkline.services.ml.tables import MODEL, OF_MODEL, REQUEST, TAG, VERSION
from trunkline.services.ml.views import Model, Version
from trunkline.services.ml.work import Work

KEY_CHARS_MAX: Final = 256
"""Of an idempotency key, which is a key in the store."""


def register(
    work: Work,
    model: str,
    *,
    description: str | None = None,
    owner: str | None = None,
    key: str | None = None,
) -> Model:
    """Give a model its name. With the `key` of an earlier call, what came of that.

    Raises `Refused` for a name that is taken, and for a key that was used for something else.
    """
    require_name("model", model)
    require_text(description=description, owner=owner, key=key)
    asked = {"model": model, "description": description, "owner": owner}
    if _asked_before(work, key, "register", asked) is not None:
        return rows.model(work.tx, work.tenant, model)
    if not _take_name(work, model, description=description, owner=owner):
        # Whoever took it may have been this very request, sent twice at once.
        if _asked_before(work, key, "register", asked) is not None:
            return rows.model(work.tx, work.tenant, model)
        raise Refused(f"there is a model {model!r} already; choose another name, or add a version to it")
    work.tell(
        model,
        ModelRegistered(model=model, actor_id=work.actor, description=description, owner_id=owner),
    )
    _remember(work, key, "register", asked, model=model, version=OF_MODEL)
    return rows.model(work.tx, work.tenant, model)


def create_version(
    work: Work,
    model: str,
    *,
    source_uri: str,
    run_id: str | None = None,
    metrics: Mapping[str, float] | None = None,
    trained_on: Sequence[str] = (),
    key: str | None = None,
) -> Version:
    """Give a model its next version. `trained_on` are tables as SQL or a URN names them.

    With the `key` of an earlier call, the version that came of that. Raises `NotRegistered`, and `Refused`
    for a key that was used for something else.
    """
    require_text(source_uri=source_uri, run_id=run_id, key=key, trained_on="".join(trained_on))
    tables = tuple(dict.fromkeys(map(asset_urn, trained_on)))
    asked = {
        "model": model,
        "source_uri": source_uri,
        "run_id": run_id,
        "metrics": dict(metrics or {}),
        "trained_on": tables,
    }
    row = work.model(model)
    before = _asked_before(work, key, "version", asked)
    if before is not None:
        return rows.version(work.tx, work.tenant, model, before)
    number = row.last_version + 1
    work.tx.execute(
        update(MODEL).where(MODEL.c.tenant == work.tenant, MODEL.c.model == model).values(last_version=number)
    )
    work.tx.execute(
        insert(VERSION),
        {
            "tenant": work.tenant,
            "model": model,
            "version": number,
            "source_uri": source_uri,
            "run_id": run_id,
            "metrics": msgspec.json.encode(asked["metrics"], order="sorted").decode(),
            "trained_on": msgspec.json.encode(tables).decode(),
            "stage": "none",
            "actor_id": work.actor,
            "created_us": to_us(work.now),
        },
    )
    work.tell(
        model,
        ModelVersionCreated(
            model=model,
            version=number,
            actor_id=work.actor,
            source_uri=source_uri,
            run_id=run_id,
            metrics=dict(metrics or {}),
            trained_on=tables,
        ),
    )
    _remember(work, key, "version", asked, model=model, version=number)
    return rows.version(work.tx, work.tenant, model, number)


def delete_version(work: Work, model: str, version: int, *, reason: str | None = None) -> None:
    """Delete a version; its number is not given again.

    Raises `NotRegistered`, and `Refused` for one that serves somebody or has an alias.
    """
    require_text(reason=reason)
    work.model(model)
    found = rows.version(work.tx, work.tenant, model, work.version(model, version).version)
    if found.endpoints:
        raise Refused(f"{model} {version} is deployed at {', '.join(found.endpoints)}; undeploy it first")
    if found.aliases:
        raise Refused(f"{model} {version} is {', '.join(found.aliases)}; move or remove the alias first")
    for table in (TAG, VERSION):
        work.tx.execute(
            delete(table).where(
                table.c.tenant == work.tenant, table.c.model == model, table.c.version == version
            )
        )
    work.tell(model, ModelDeleted(model=model, version=version, actor_id=work.actor, reason=reason))


def delete_model(work: Work, model: str, *, reason: str | None = None) -> None:
    """Delete a model without versions. Registered again, it goes on with the numbers.

    Raises `NotRegistered`, and `Refused` while it has versions.
    """
    work.model(model)
    left = work.tx.execute(
        select(VERSION.c.version)
        .where(VERSION.c.tenant == work.tenant, VERSION.c.model == model)
        .order_by(VERSION.c.version)
    ).first()
    if left is not None:
        raise Refused(f"{model} has version {left.version}; delete its versions first")
    work.tx.execute(
        delete(TAG).where(TAG.c.tenant == work.tenant, TAG.c.model == model, TAG.c.version == OF_MODEL)
    )
    work.tx.execute(
        update(MODEL).where(MODEL.c.tenant == work.tenant, MODEL.c.model == model).values(deleted=True)
    )
    work.tell(model, ModelDeleted(model=model, actor_id=work.actor, reason=reason))


def _take_name(work: Work, model: str, *, description: str | None, owner: str | None) -> bool:
    """Insert the model, or take up the row of one that was deleted; False if there is one."""
    statement = (sqlite.insert if work.tx.dialect.name == "sqlite" else postgresql.insert)(MODEL)
    given = {"description": description, "owner_id": owner, "deleted": False}
    taken = work.tx.execute(
        statement.values(tenant=work.tenant, model=model, last_version=0, last_us=0, **given)
        .on_conflict_do_update(
            index_elements=("tenant", "model"), set_=given, where=MODEL.c.deleted.is_(True)
        )
        .returning(MODEL.c.model)
    ).first()
    return taken is not None


def _asked_before(work: Work, key: str | None, what: str, asked: Mapping[str, Any]) -> int | None:
    """The version that came of an earlier request with this key; None if there was none.

    Raises `Refused` if that was for something else.
    """
    if key is None:
        return None
    if not 0 < len(key) <= KEY_CHARS_MAX:
        raise InvalidInput(f"an idempotency key has 1 to {KEY_CHARS_MAX} characters")
    found = work.tx.execute(
        select(REQUEST).where(REQUEST.c.tenant == work.tenant, REQUEST.c.key == key)
    ).first()
    if found is None:
        return None
    if found.request_hash != _hash(what, asked):
        raise Refused(f"idempotency key {key!r} was used for another request; use a new key for a new one")
    return int(found.version)


def _remember(
    work: Work, key: str | None, what: str, asked: Mapping[str, Any], *, model: str, version: int
) -> None:
    if key is None:
        return
    statement = (sqlite.insert if work.tx.dialect.name == "sqlite" else postgresql.insert)(REQUEST)
    row = {"request_hash": _hash(what, asked), "model": model, "version": version}
    kept = work.tx.execute(
        statement.values(tenant=work.tenant, key=key, **row).on_conflict_do_nothing().returning(REQUEST.c.key)
    ).first()
    if kept is None:
        raise Refused(f"idempotency key {key!r} is in use by another request; use a new key for a new one")


def _hash(what: str, asked: Mapping[str, Any]) -> str:
    return sha256(msgspec.json.encode([what, asked], order="sorted")).hexdigest()
