"""Aliases and tags."""

from typing import Any

from sqlalchemy import Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.catalogue.events.model import ModelAliasRemoved, ModelAliasSet, ModelTagRemoved, ModelTagSet
from trunkline.errors import InvalidInput
from trunkline.services.ml.rules import NotRegistered, require_name, require_text
from trunkline.services.ml.tables import ALIAS, OF_MODEL, TAG
from trunkline.services.ml.work import Work


def set_alias(work: Work, model: str, alias: str, version: int) -> bool:
    """Point an alias to a version, wherever it pointed before; False if it points there already.

    Raises `NotRegistered`, and `InvalidInput` for a name that could not be told from a version's number.
    """
    require_name("alias", alias)
    if alias.isdecimal():
        raise InvalidInput(f"alias {alias!r}: a number is a version; use a word such as champion")
    work.model(model)
    work.version(model, version)
    if not _put(work, ALIAS, {"model": model, "alias": alias}, {"version": version}):
        return False
    work.tell(model, ModelAliasSet(model=model, alias=alias, version=version, actor_id=work.actor))
    return True


def remove_alias(work: Work, model: str, alias: str) -> None:
    """Raises `NotRegistered` for an alias that is not there."""
    work.model(model)
    _take_away(work, ALIAS, {"model": model, "alias": alias}, f"model {model!r} has no alias {alias!r}")
    work.tell(model, ModelAliasRemoved(model=model, alias=alias, actor_id=work.actor))


def set_tag(work: Work, model: str, key: str, value: str, *, version: int | None = None) -> bool:
    """Give a model, or a version of it, a tag; False if it has that value already. Raises `NotRegistered`."""
    require_name("tag", key)
    require_text(value=value)
    work.model(model)
    if version is not None:
        work.version(model, version)
    place = {"model": model, "version": version or OF_MODEL, "key": key}
    if not _put(work, TAG, place, {"value": value}):
        return False
    work.tell(model, ModelTagSet(model=model, key=key, value=value, version=version, actor_id=work.actor))
    return True


def remove_tag(work: Work, model: str, key: str, *, version: int | None = None) -> None:
    """Raises `NotRegistered` for a tag that is not there."""
    work.model(model)
    place = {"model": model, "version": version or OF_MODEL, "key": key}
    _take_away(work, TAG, place, f"{model} has no tag {key!r}")
    work.tell(model, ModelTagRemoved(model=model, key=key, version=version, actor_id=work.actor))


def _put(work: Work, table: Table, place: dict[str, Any], value: dict[str, Any]) -> bool:
    """Set the row at a place; False if it has this value already."""
    statement = (sqlite.insert if work.tx.dialect.name == "sqlite" else postgresql.insert)(table)
    key = {"tenant": work.tenant, **place}
    ((name, new),) = value.items()
    put = work.tx.execute(
        statement.values(**key, **value)
        .on_conflict_do_update(index_elements=tuple(key), set_=value, where=table.c[name] != new)
        .returning(table.c.tenant)
    ).first()
    return put is not None


def _take_away(work: Work, table: Table, place: dict[str, Any], missing: str) -> None:
    key = {"tenant": work.tenant, **place}
    at = [table.c[name] == value for name, value in key.items()]
    if work.tx.execute(select(table.c.tenant).where(*at)).first() is None:
        raise NotRegistered(missing)
    work.tx.execute(delete(table).where(*at))
