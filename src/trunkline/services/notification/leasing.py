"""Takes deliveries that are due, for this instance alone and for a while.

A lease that runs out, because its holder died or froze, is taken over by whoever comes: what the holder may
or may not have sent is then sent again under the same id, and the attempt that nobody knows the end of is
recorded as that. On PostgreSQL rows that another instance is looking at are skipped, not waited for.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, insert, not_, select, update

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.services.notification import accounts
from trunkline.services.notification.configuration import ChannelInForce, Configuration
from trunkline.services.notification.rendering import Content, contents
from trunkline.services.notification.rows import chunks
from trunkline.services.notification.tables import ATTEMPT, DELIVERY, ENDPOINT, NOTIFICATION

_D, _N = DELIVERY.c, NOTIFICATION.c
_SET_STATE: Final = (
    update(DELIVERY)
    .where(_D.id == bindparam("at"))
    .values(
        {name: bindparam(name) for name in ("state", "reason", "attempts", "due_us", "holder", "changed_us")}
    )
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where deliveries of one channel go, for all tenants that share the channel."""

    owner: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One delivery that is this instance's to send, until `until_us`."""

    id: str
    tenant: str
    target: str
    attempt: int
    failures: int
    due_us: int
    until_us: int
    channel: ChannelInForce
    content: Content

    @property
    def endpoint(self) -> Endpoint:
        """Where it goes."""
        return Endpoint(self.channel.owner, self.channel.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms deliveries are leased: by whom, how many at most, and how many for each endpoint."""

    holder: str
    limit: int
    now_us: int
    lease_us: int
    endpoint_max: int
    room: Mapping[Endpoint, int]
    """How many more an endpoint may get; those that are not named may get `endpoint_max`."""


def any_due(tx: Connection, *, now_us: int) -> bool:
    """Whether there is anything to lease."""
    return tx.execute(select(_D.id).where(_D.due_us <= now_us).limit(1)).first() is not None


def lease(tx: Connection, configuration: Configuration, terms: Terms) -> list[Lease]:
    """Take what is due; what cannot be sent any more is put aside."""
    rows = tx.execute(_due(terms)).all()
    if not rows:
        return []
    suspended = accounts.suspended(tx, {row.tenant for row in rows})
    spared = _Spared(configuration)
    disabled = _disabled(tx, rows)
    sorted_out = _Sorted(terms)
    for row in rows:
        channel = configuration.channels(row.tenant).get(row.channel)
        if row.tenant in suspended and not spared(row.tenant, row.rule):
            sorted_out.put_aside(row, "suppressed", "suspended")
        elif channel is None:
            sorted_out.put_aside(row, "dead", "no_channel")
        elif Endpoint(channel.owner, channel.name) in disabled:
            sorted_out.put_aside(row, "dead", "endpoint_disabled")
        else:
            sorted_out.take(row, channel)
    _record_unknown(tx, sorted_out.touched, terms)
    if sorted_out.updates:
        tx.execute(_SET_STATE, sorted_out.updates)
    return sorted_out.leases(tx)


class _Spared:
    """Whether a rule's notifications are sent to a suspended tenant."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def __call__(self, tenant: str, name: str) -> bool:
        rule = self._configuration.rules(tenant).by_name.get(name)
        return rule is not None and rule.rule.while_suspended


class _Sorted:
    """The deliveries that were found due, sorted by what becomes of them."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._room = dict(terms.room)
        self._taken: list[tuple[Row[Any], ChannelInForce]] = []
        self.updates: list[dict[str, Any]] = []
        self.touched: list[Row[Any]] = []

    def put_aside(self, row: Row[Any], state: str, reason: str) -> None:
        self._update(row, state=state, reason=reason, attempts=row.attempts, due_us=None, holder=None)

    def take(self, row: Row[Any], channel: ChannelInForce) -> None:
        terms = self._terms
        endpoint = Endpoint(channel.owner, channel.name)
        room = self._room.get(endpoint, terms.endpoint_max)
        if room <= 0:
            # It stays due as it is, and is left out of the query until there is room.
            return
        self._room[endpoint] = room - 1
        self._taken.append((row, channel))
        self._update(
            row,
            state="leased",
            reason=None,
            attempts=row.attempts + 1,
            due_us=terms.now_us + terms.lease_us,
            holder=terms.holder,
        )

    def leases(self, tx: Connection) -> list[Lease]:
        """What was taken, with its content; nothing joins these notifications any more."""
        ids = {row.notification for row, _ in self._taken}
        for some in chunks(ids):
            tx.execute(update(NOTIFICATION).where(_N.id.in_(some), _N.closed == 0).values(closed=1))
        rows: list[Mapping[str, Any]] = []
        for some in chunks(ids):
            rows.extend(
                dict(row) for row in tx.execute(select(NOTIFICATION).where(_N.id.in_(some))).mappings()
            )
        found = contents(tx, rows)
        return [
            Lease(
                id=row.id,
                tenant=row.tenant,
                target=row.target,
                attempt=row.attempts + 1,
                failures=row.failures,
                due_us=row.due_us,
                until_us=self._terms.now_us + self._terms.lease_us,
                channel=channel,
                content=found[row.notification],
            )
            for row, channel in self._taken
        ]

    def _update(self, row: Row[Any], **values: Any) -> None:
        self.touched.append(row)
        self.updates.append({"at": row.id, "changed_us": self._terms.now_us, **values})


def _due(terms: Terms) -> Any:
    """Also locks the notifications, so that nobody joins one while its first delivery is leased."""
    query = (
        select(DELIVERY, _N.rule)
        .join(NOTIFICATION, _N.id == _D.notification)
        .where(_D.due_us <= terms.now_us, *_not_full(terms.room))
        .order_by(_D.due_us, _D.id)
        .limit(terms.limit)
    )
    return query.with_for_update(skip_locked=True)


def _not_full(room: Mapping[Endpoint, int]) -> list[Any]:
    """Leaves out the deliveries of endpoints that may get no more, which would be in the way of others."""
    full = [endpoint for endpoint, left in room.items() if left <= 0]
    return [
        not_(_D.channel == one.channel)
        if one.owner == SYSTEM_TENANT
        else not_(and_(_D.tenant == one.owner, _D.channel == one.channel))
        for one in full
    ]


def _disabled(tx: Connection, rows: Sequence[Row[Any]]) -> set[Endpoint]:
    at = ENDPOINT.c
    channels: Collection[str] = {row.channel for row in rows}
    query = select(at.tenant, at.channel).where(at.channel.in_(channels), at.disabled_us.is_not(None))
    return {Endpoint(owner, channel) for owner, channel in tx.execute(query)}


def _record_unknown(tx: Connection, rows: Sequence[Row[Any]], terms: Terms) -> None:
    """What was leased until now was perhaps sent, by somebody who cannot say so any more."""
    lost = [
        {
            "delivery": row.id,
            "number": row.attempts,
            "tenant": row.tenant,
            "at_us": row.changed_us,
            "took_us": terms.now_us - row.changed_us,
            "outcome": "unknown",
            "status": None,
            "detail": f"{row.holder} did not say how it ended",
        }
        for row in rows
        if row.state == "leased"
    ]
    if lost:
        tx.execute(insert(ATTEMPT), lost)
