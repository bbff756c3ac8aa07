"""Which relay serves which tenants: hash lanes, claimed for a time and shared among the relays that live.

Claims only spare work. What keeps the order does not rest on them (see `relay`): a relay that was frozen and
wakes after another has taken its lanes sends some events twice, and none too early.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

from sqlalchemy import Connection, Row, delete, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.client.outbox.tables import OUTBOX_CLAIM, OUTBOX_RELAY

LANES: Final = 64
"""As many rows as the migration has made."""

_CLOCK: Final = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose a lane is, and until when, in Unix milliseconds by the database's clock."""

    owner: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Share:
    """The lanes that one relay goes on with, and those that it leaves to others."""

    hold: frozenset[int]
    release: frozenset[int]


def lane_of(tenant: str) -> int:
    """The lane of a tenant."""
    return crc32(tenant.encode()) % LANES


def share(claims: Mapping[int, Claim], owner: str, *, relays: int, now_ms: int) -> Share:
    """What `owner` should hold when so many relays live, itself included: an equal part, and what is free."""
    most = -(-len(claims) // relays)
    mine = [lane for lane in sorted(claims) if claims[lane].owner == owner]
    free = [
        lane
        for lane in sorted(claims)
        if claims[lane].owner != owner and (not claims[lane].owner or claims[lane].expires_ms <= now_ms)
    ]
    hold = mine[:most] + free[: max(0, most - len(mine))]
    return Share(hold=frozenset(hold), release=frozenset(mine[most:]))


def keep(tx: Connection, owner: str, *, lease_ms: int, wall_ms: int) -> frozenset[int]:
    """Announce that this relay lives, and claim its share until `lease_ms` from now; returns the lanes."""
    rows = _locked(tx)
    # After the wait for others, by which a claim would be shorter otherwise.
    now_ms = tx.execute(_CLOCK).scalar_one() if tx.dialect.name == "postgresql" else wall_ms
    insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
    expires_ms = now_ms + lease_ms
    tx.execute(
        insert(OUTBOX_RELAY)
        .values(owner=owner, expires_ms=expires_ms)
        .on_conflict_do_update(index_elements=["owner"], set_={"expires_ms": expires_ms})
    )
    claims = {row.lane: Claim(row.owner, row.expires_ms) for row in rows}
    tx.execute(delete(OUTBOX_RELAY).where(OUTBOX_RELAY.c.expires_ms <= now_ms))
    relays = tx.execute(select(func.count()).select_from(OUTBOX_RELAY)).scalar_one()
    mine = share(claims, owner, relays=relays, now_ms=now_ms)
    _give(tx, mine.hold, owner, expires_ms)
    _give(tx, mine.release, "", 0)
    return mine.hold


def leave(tx: Connection, owner: str) -> None:
    """Let others have this relay's lanes at once."""
    _locked(tx)
    tx.execute(update(OUTBOX_CLAIM).where(OUTBOX_CLAIM.c.owner == owner).values(owner="", expires_ms=0))
    tx.execute(delete(OUTBOX_RELAY).where(OUTBOX_RELAY.c.owner == owner))


def _locked(tx: Connection) -> Sequence[Row[Any]]:
    """All claims. Their locks, taken in one order and before anything else, make relays take turns."""
    return tx.execute(select(OUTBOX_CLAIM).order_by(OUTBOX_CLAIM.c.lane).with_for_update()).all()


def _give(tx: Connection, lanes: frozenset[int], owner: str, expires_ms: int) -> None:
    if lanes:
        rows = update(OUTBOX_CLAIM).where(OUTBOX_CLAIM.c.lane.in_(sorted(lanes)))
        tx.execute(rows.values(owner=owner, expires_ms=expires_ms))
