"""What a notification says: read from the store, rendered outside of any transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select

from trunkline.services.notification.audience import DIGEST_RULE
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.facts import shown
from trunkline.services.notification.rows import chunks
from trunkline.services.notification.tables import EVENT, INCIDENT, ITEM, NOTIFICATION
from trunkline.services.settings.templating import TemplateFailed

ITEMS_MAX: Final = 50
"""Of one notification; `count` says how many there are."""


@dataclass(frozen=True, slots=True)
class Content:
    """A notification as its template sees it. `subject` and the like are there if it was rendered before."""

    row: Mapping[str, Any]
    items: Sequence[Mapping[str, Any]]
    count: int

    @property
    def id(self) -> str:
        found: str = self.row["id"]
        return found


@dataclass(frozen=True, slots=True)
class Text:
    """What a notification says."""

    subject: str
    text: str
    html: str | None


@dataclass(slots=True)
class _Gathered:
    count: int = 0
    items: list[Mapping[str, Any]] = field(default_factory=list)


def contents(tx: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[str, Content]:
    """What is in these notifications, by id."""
    gathered = {row["id"]: _Gathered() for row in rows}
    for of, wanted in (
        (_events, [row["id"] for row in rows if row["rule"] != DIGEST_RULE]),
        (_notifications, [row["id"] for row in rows if row["rule"] == DIGEST_RULE]),
    ):
        for some in chunks(wanted):
            of(tx, some, gathered)
    return {row["id"]: Content(row, gathered[row["id"]].items, gathered[row["id"]].count) for row in rows}


def rendered(configuration: Configuration, content: Content) -> Text:
    """The text of a notification. Raises `TemplateFailed`."""
    row = content.row
    if row["subject"] is not None:
        return Text(row["subject"], row["text"], row["html"])
    template = configuration.template(row["tenant"], row["template"])
    if template is None:
        raise TemplateFailed(f"there is no template {row['template']!r}")
    values = {
        "id": row["id"],
        "kind": row["kind"],
        "tenant": row["tenant"],
        "rule": row["rule"],
        "title": row["title"],
        "severity": row["severity"],
        "category": row["category"],
        "group": row["group_key"],
        "count": content.count,
        "items": content.items,
    }
    html = None if template.html is None else template.html.render(values)
    return Text(template.subject.render(values), template.text.render(values), html)


def _events(tx: Connection, ids: list[str], gathered: dict[str, _Gathered]) -> None:
    at, event, incident = ITEM.c, EVENT.c, INCIDENT.c
    ranked = (
        select(
            at.notification,
            at.time_us,
            at.source,
            at.event_id,
            at.tenant,
            at.incident,
            func.row_number()
            .over(partition_by=at.notification, order_by=(at.time_us, at.ref))
            .label("place"),
            func.count().over(partition_by=at.notification).label("number"),
        )
        .where(at.notification.in_(ids), at.reason.is_(None))
        .subquery()
    )
    query = (
        select(ranked, event.type, event.summary, event.data, incident.key, incident.severity)
        .join(
            EVENT,
            (event.tenant == ranked.c.tenant)
            & (event.source == ranked.c.source)
            & (event.id == ranked.c.event_id),
        )
        .join(INCIDENT, incident.id == ranked.c.incident)
        .where(ranked.c.place <= ITEMS_MAX)
        .order_by(ranked.c.notification, ranked.c.place)
    )
    for row in tx.execute(query).mappings():
        into = gathered[row["notification"]]
        into.count = row["number"]
        into.items.append(
            {
                "event": row["event_id"],
                "source": row["source"],
                "type": row["type"],
                "time": shown(row["time_us"]),
                "incident": row["incident"],
                "key": row["key"],
                "severity": row["severity"],
                "summary": row["summary"],
                "data": msgspec.json.decode(row["data"]),
            }
        )


def _notifications(tx: Connection, ids: list[str], gathered: dict[str, _Gathered]) -> None:
    """Those that a digest repeats, but for what was taken back meanwhile."""
    at, of = ITEM.c, NOTIFICATION.c
    query = (
        select(at.notification, at.time_us, of.id, of.title, of.severity, of.kind, of.rule, of.group_key)
        .join(NOTIFICATION, of.id == at.ref)
        .where(at.notification.in_(ids), of.active == 1)
        .order_by(at.notification, at.time_us, of.id)
    )
    for row in tx.execute(query).mappings():
        into = gathered[row["notification"]]
        into.count += 1
        if len(into.items) < ITEMS_MAX:
            into.items.append(
                {
                    "notification": row["id"],
                    "kind": row["kind"],
                    "time": shown(row["time_us"]),
                    "key": row["group_key"],
                    "severity": row["severity"],
                    "rule": row["rule"],
                    "summary": f"{row['title']}: {row['group_key']}",
                    "data": {},
                }
            )
