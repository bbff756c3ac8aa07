"""The registry of models: names, versions and their stages, aliases."""

from typing import Final

from sqlalchemy import select

from trunkline.client.store import Store
from trunkline.services.ml.tables import ALIAS, MODEL, VERSION
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import EventLog, compare

_MODELS: Final = """
SELECT tenant, data ->> 'model',
  coalesce(max((data ->> 'version')::BIGINT) FILTER (type = 'model.version_created.v1'), 0),
  arg_max(type, place) FILTER (
    type = 'model.registered.v1' OR (type = 'model.deleted.v1' AND (data ->> 'version') IS NULL)
  ) = 'model.deleted.v1'
FROM still_said('ml-service') GROUP BY ALL
"""
_VERSIONS: Final = """
SELECT tenant, data ->> 'model', (data ->> 'version')::BIGINT,
  coalesce(arg_max(data ->> 'stage', place) FILTER (type = 'model.stage_changed.v1'), 'none')
FROM still_said('ml-service')
WHERE type IN ('model.version_created.v1', 'model.stage_changed.v1', 'model.deleted.v1')
  AND (data ->> 'version') IS NOT NULL
GROUP BY ALL HAVING count(*) FILTER (type = 'model.deleted.v1') = 0
"""
_ALIASES: Final = """
SELECT tenant, data ->> 'model', data ->> 'alias',
  arg_max((data ->> 'version')::BIGINT, place) FILTER (type = 'model.alias_set.v1')
FROM still_said('ml-service') WHERE type IN ('model.alias_set.v1', 'model.alias_removed.v1')
GROUP BY ALL HAVING arg_max(type, place) = 'model.alias_set.v1'
"""


def claims(log: EventLog, store: Store) -> list[Claim]:
    """That the registry is what it has told."""
    model, version, alias = MODEL.c, VERSION.c, ALIAS.c
    with store.read() as tx:
        models = tx.execute(select(model.tenant, model.model, model.last_version, model.deleted)).all()
        versions = tx.execute(select(version.tenant, version.model, version.version, version.stage)).all()
        aliases = tx.execute(select(alias.tenant, alias.model, alias.alias, alias.version)).all()
    return [
        compare(
            "the registry has the models of the log, and has numbered their versions",
            log.rows(_MODELS),
            map(tuple, models),
        ),
        compare(
            "every version in the registry is in the stage that was told last",
            log.rows(_VERSIONS),
            map(tuple, versions),
        ),
        compare(
            "every alias in the registry points where was told last", log.rows(_ALIASES), map(tuple, aliases)
        ),
    ]
