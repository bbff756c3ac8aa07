"""Catalog: versions, aliases and stages of models, by the last that the log says of each."""

from typing import Final

from sqlalchemy import select

from trunkline.client.store import Store
from trunkline.services.catalog.tables import FACET
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import EventLog, Row, compare

_VERSIONS: Final = """
SELECT tenant, data ->> 'model', (data ->> 'version')::BIGINT FROM events
WHERE type = 'model.version_created.v1'
"""
_ALIASES: Final = """
SELECT tenant, data ->> 'model' AS model, data ->> 'alias' AS alias,
  arg_max((data ->> 'version')::BIGINT, (time, id)), arg_max(type, (time, id)) AS last
FROM events WHERE type IN ('model.alias_set.v1', 'model.alias_removed.v1')
GROUP BY ALL HAVING last = 'model.alias_set.v1'
"""
_STAGES: Final = """
SELECT tenant, data ->> 'model', (data ->> 'version')::BIGINT, arg_max(data ->> 'stage', (time, id))
FROM events WHERE type = 'model.stage_changed.v1' GROUP BY ALL
"""

_T: Final = FACET.c
_MODEL: Final = "urn:model:"
_VERSION: Final = "urn:model_version:"
_ALIAS: Final = "alias:"


def claims(log: EventLog, store: Store) -> list[Claim]:
    """That the catalog has the models of the log as they are now."""
    with store.read() as tx:
        rows = tx.execute(select(_T.tenant, _T.urn, _T.name, _T.scalar).where(_T.live)).all()
    facets = [tuple(row) for row in rows]
    versions = [(row[0], *_version(row[1])) for row in facets if row[2] == "version"]
    stages = [(row[0], *_version(row[1]), row[3]) for row in facets if row[2] == "stage"]
    aliases = [_alias(row) for row in facets if row[2].startswith(_ALIAS)]
    return [
        compare("the catalog has every version of every model", log.rows(_VERSIONS), versions),
        compare(
            "every alias points where the log pointed it last",
            [row[:4] for row in log.rows(_ALIASES)],
            aliases,
        ),
        compare("every version is in the stage that the log gave it last", log.rows(_STAGES), stages),
    ]


def _version(urn: str) -> tuple[str, int]:
    model, _, version = urn.removeprefix(_VERSION).rpartition("/")
    return model, int(version)


def _alias(row: Row) -> Row:
    tenant, urn, name, version = row
    return tenant, urn.removeprefix(_MODEL), name.removeprefix(_ALIAS), int(version)
