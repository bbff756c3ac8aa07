"""The checks of a batch's assets: results go in, and what comes out is where an asset's checks turn."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from sqlalchemy import Connection, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.catalogue.events.policy import Mode
from trunkline.services.governance.hysteresis import (
    Kept,
    Result,
    Rules,
    decode,
    encode,
    taken_in,
    verdict,
)
from trunkline.services.governance.quarantines import Place, strongest
from trunkline.services.governance.tables import CHECK

CheckKey: TypeAlias = tuple[str, str, str]
"""Tenant, asset, check."""

_KEY: Final = (CHECK.c.tenant, CHECK.c.asset, CHECK.c.check_id)


@dataclass(frozen=True, slots=True)
class Turn:
    """The checks of an asset want another mode than before; `check_id` brought it about, by `rule`."""

    place: Place
    mode: Mode | None
    check_id: str
    rule: str


class Checks:
    """The states of checks in one transaction. Few statements, however many results."""

    def __init__(self, tx: Connection, keys: Iterable[CheckKey]) -> None:
        """Holds these checks, and which other checks of their assets are failing."""
        self._tx = tx
        self._kept: dict[CheckKey, list[Kept]] = {}
        self._failing: defaultdict[Place, dict[str, Mode]] = defaultdict(dict)
        self._changed: dict[CheckKey, dict[str, str | None]] = {}
        wanted = sorted(set(keys))
        for row in tx.execute(select(*_KEY, CHECK.c.results).where(tuple_(*_KEY).in_(wanted))):
            self._kept[row.tenant, row.asset, row.check_id] = decode(row.results)
        places = sorted({key[:2] for key in wanted})
        failing = select(*_KEY, CHECK.c.failing).where(
            tuple_(CHECK.c.tenant, CHECK.c.asset).in_(places), CHECK.c.failing.is_not(None)
        )
        for row in tx.execute(failing):
            self._failing[row.tenant, row.asset][row.check_id] = row.failing

    def take(self, key: CheckKey, result: Result, rules: Rules, *, dimension: str) -> Turn | None:
        """Take in a result; the turn of its asset if there is one. One that is there already does nothing."""
        kept = taken_in(self._kept.get(key, []), result, rules)
        if kept is None:
            return None
        self._kept[key] = kept
        now = verdict(kept, rules)
        self._changed[key] = {
            "dimension": dimension,
            "failing": now.failing,
            "rule": now.rule,
            "results": encode(kept),
        }
        place = key[:2]
        failing = self._failing[place]
        before = strongest(failing)[0]
        failing.pop(key[2], None)
        if now.failing is not None:
            failing[key[2]] = now.failing
        after = strongest(failing)[0]
        if after == before:
            return None
        rule = now.rule or f"{rules.release_passes} passes in a row"
        return Turn(place, after, key[2], rule)

    def save(self) -> None:
        """Write what changed."""
        if not self._changed:
            return
        new = postgresql.insert(CHECK) if self._tx.dialect.name == "postgresql" else sqlite.insert(CHECK)
        columns = ("dimension", "failing", "rule", "results")
        upsert = new.on_conflict_do_update(
            index_elements=list(_KEY), set_={name: new.excluded[name] for name in columns}
        )
        rows = [
            {"tenant": tenant, "asset": asset, "check_id": check_id, **values}
            for (tenant, asset, check_id), values in sorted(self._changed.items())
        ]
        self._tx.execute(upsert, rows)
