"""Questions about models: versions, aliases, and which of them depend on a table."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, select

from trunkline.errors import InvalidInput
from trunkline.services.catalog import urns
from trunkline.services.catalog.known import require_known
from trunkline.services.catalog.lineage import DEPTH_DEFAULT, lineage
from trunkline.services.catalog.moments import from_us
from trunkline.services.catalog.tables import ASSET, FACET
from trunkline.services.catalog.views import AliasView, VersionView

VERSIONS_MAX: Final = 1_000
"""Versions of one model in an answer; the newest ones."""

ALIAS: Final = "alias:"
DEPLOYMENT: Final = "deployment:"


def versions(tx: Connection, tenant: str, model: str) -> list[VersionView]:
    """The versions of a model that are known and not deleted, newest first. Raises `NotFound`."""
    require_known(tx, tenant, urns.model_urn(model))
    found = (
        select(FACET.c.urn)
        .join(ASSET, (ASSET.c.tenant == FACET.c.tenant) & (ASSET.c.urn == FACET.c.urn))
        .where(
            FACET.c.tenant == tenant,
            FACET.c.ref == urns.model_urn(model),
            FACET.c.name == "version",
            FACET.c.time_us > ASSET.c.deleted_us,
        )
    )
    known = sorted(map(urns.model_and_version, tx.execute(found).scalars()), key=lambda one: -one[1])
    return _views(tx, tenant, known[:VERSIONS_MAX])


def aliases(tx: Connection, tenant: str, model: str) -> list[AliasView]:
    """The aliases of a model, by name. Raises `NotFound`."""
    require_known(tx, tenant, urns.model_urn(model))
    held = tx.execute(
        select(FACET.c.name, FACET.c.scalar, FACET.c.ref, FACET.c.time_us)
        .join(ASSET, (ASSET.c.tenant == FACET.c.tenant) & (ASSET.c.urn == FACET.c.urn))
        .where(
            FACET.c.tenant == tenant,
            FACET.c.urn == urns.model_urn(model),
            FACET.c.name.startswith(ALIAS, autoescape=True),
            FACET.c.live,
            FACET.c.time_us > ASSET.c.deleted_us,
        )
        .order_by(FACET.c.name)
    ).all()
    known = _known(tx, tenant, [row.ref for row in held])
    return [
        AliasView(
            model=model,
            alias=row.name.removeprefix(ALIAS),
            version=int(row.scalar),
            urn=row.ref,
            pending=row.ref not in known,
            since=from_us(row.time_us),
        )
        for row in held
    ]


def resolve(tx: Connection, tenant: str, reference: str) -> AliasView:
    """Where `MODEL@ALIAS` points. Raises `InvalidInput` for text of another form, or an unknown alias."""
    model, at, alias = reference.removeprefix("models/").rpartition("@")
    if not at or not model or not alias:
        raise InvalidInput(f"{reference[:80]!r} is no alias; write MODEL@ALIAS")
    found = {view.alias: view for view in aliases(tx, tenant, model)}
    if alias not in found:
        raise InvalidInput(f"model {model} has no alias {alias}; it has: {', '.join(found) or 'none'}")
    return found[alias]


def depending_on(tx: Connection, tenant: str, asset: str, *, depth: int = DEPTH_DEFAULT) -> list[VersionView]:
    """The versions of models that depend on an asset, directly or within some steps."""
    reached = lineage(tx, tenant, asset, direction="down", depth=depth)
    found = [
        urns.model_and_version(node.urn)
        for node in reached.nodes
        if node.kind == "model_version" and node.state != "deleted"
    ]
    return _views(tx, tenant, sorted(found)[:VERSIONS_MAX])


def _known(tx: Connection, tenant: str, wanted: Iterable[str]) -> set[str]:
    known = select(ASSET.c.urn).where(
        ASSET.c.tenant == tenant,
        ASSET.c.urn.in_(sorted(set(wanted))),
        ASSET.c.defined_us > ASSET.c.deleted_us,
    )
    return set(tx.execute(known).scalars())


def _views(tx: Connection, tenant: str, known: Iterable[tuple[str, int]]) -> list[VersionView]:
    known = list(known)
    pointing: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for model in sorted({model for model, _ in known}):
        for view in aliases(tx, tenant, model):
            pointing[model, view.version].append(view.alias)
    stages: dict[str, str] = {}
    endpoints: defaultdict[str, list[str]] = defaultdict(list)
    wanted = [urns.version_urn(*one) for one in known]
    held = (
        select(FACET.c.urn, FACET.c.name, FACET.c.scalar)
        .join(ASSET, (ASSET.c.tenant == FACET.c.tenant) & (ASSET.c.urn == FACET.c.urn))
        .where(
            FACET.c.tenant == tenant,
            FACET.c.urn.in_(wanted),
            FACET.c.live,
            FACET.c.time_us > ASSET.c.deleted_us,
        )
        .order_by(FACET.c.name)
    )
    for row in tx.execute(held):
        if row.name == "stage":
            stages[row.urn] = row.scalar
        elif row.name.startswith(DEPLOYMENT):
            endpoints[row.urn].append(row.scalar)
    return [
        VersionView(
            model=model,
            version=version,
            urn=urn,
            stage=stages.get(urn),
            aliases=tuple(pointing[model, version]),
            endpoints=tuple(endpoints[urn]),
        )
        for (model, version), urn in zip(known, wanted, strict=True)
    ]
