"""Records how attempts ended, many in one transaction, and only of those who still hold the lease."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, tuple_, update

from trunkline.services.notification.channels import Result
from trunkline.services.notification.leasing import Endpoint, Lease
from trunkline.services.notification.preferences import EVERYBODY
from trunkline.services.notification.rendering import Text
from trunkline.services.notification.rows import chunks, insert_new
from trunkline.services.notification.schedule import Schedule
from trunkline.services.notification.tables import ATTEMPT, DELIVERY, ENDPOINT, INBOX, NOTIFICATION
from trunkline.services.settings.notification import InboxChannel, Webhook

SECOND_US: Final = 1_000_000
DETAIL_MAX: Final = 500
FAILING_MAX_US: Final = 5 * 86_400 * SECOND_US
"""An endpoint that has taken nothing for so long is disabled; somebody has to look at it."""

_D = DELIVERY.c
_SETTLE: Final = (
    update(DELIVERY)
    .where(_D.id == bindparam("at"))
    .values({name: bindparam(name) for name in ("state", "reason", "failures", "due_us", "changed_us")})
    .values(holder=None)
)
_SET_TEXT: Final = (
    update(NOTIFICATION)
    .where(NOTIFICATION.c.id == bindparam("at"), NOTIFICATION.c.subject.is_(None))
    .values({name: bindparam(name) for name in ("subject", "text", "html")})
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An attempt that is over. `text` is what was sent; None where nothing could be rendered."""

    lease: Lease
    result: Result
    at_us: int
    took_us: int
    text: Text | None


def record(
    tx: Connection, ended: Sequence[Ended], schedule: Schedule, *, holder: str, now_us: int, chance: float
) -> list[Endpoint]:
    """Record these; returns the endpoints that were disabled for what they answered, or did not.

    Of a delivery that was erased or taken over meanwhile nothing is recorded: it is somebody else's now.
    """
    held = _held(tx, ended, holder=holder)
    mine = [one for one in ended if held.get(one.lease.id) == one.lease.attempt]
    if not mine:
        return []
    tx.execute(insert(ATTEMPT), [_attempt(one) for one in mine])
    tx.execute(_SETTLE, [_settled(one, schedule, now_us=now_us, chance=chance) for one in mine])
    texts = {one.lease.content.id: one.text for one in mine if _is_news(one)}
    if texts:
        rows = [
            {"at": id_, "subject": text.subject, "text": text.text, "html": text.html}
            for id_, text in sorted(texts.items())
            if text is not None
        ]
        tx.execute(_SET_TEXT, rows)
    insert_new(tx, INBOX, [_inbox_item(one) for one in mine if _is_for_inbox(one)])
    return _judge_endpoints(tx, mine, now_us=now_us)


def _held(tx: Connection, ended: Iterable[Ended], *, holder: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in chunks(one.lease.id for one in ended):
        query = (
            select(_D.id, _D.attempts)
            .where(_D.id.in_(some), _D.state == "leased", _D.holder == holder)
            .order_by(_D.id)
            .with_for_update()
        )
        found.update((id_, attempts) for id_, attempts in tx.execute(query))
    return found


def _is_news(one: Ended) -> bool:
    return one.text is not None and one.lease.content.row["subject"] is None


def _attempt(one: Ended) -> dict[str, Any]:
    detail = one.result.detail
    return {
        "delivery": one.lease.id,
        "number": one.lease.attempt,
        "tenant": one.lease.tenant,
        "at_us": one.at_us,
        "took_us": one.took_us,
        "outcome": one.result.outcome,
        "status": one.result.status,
        "detail": None if detail is None else detail[:DETAIL_MAX],
    }


def _settled(one: Ended, schedule: Schedule, *, now_us: int, chance: float) -> dict[str, Any]:
    failures = one.lease.failures
    state, reason, due_us = "sent", None, None
    match one.result.outcome:
        case "retry":
            failures += 1
            wait = schedule.next_s(failures, retry_after_s=one.result.retry_after_s, chance=chance)
            if wait is None:
                state, reason = "dead", "exhausted"
            else:
                state, due_us = "pending", now_us + int(wait * SECOND_US)
        case "gone" | "refused" as outcome:
            failures += 1
            state, reason = "dead", outcome if one.text is not None else "render_failed"
        case "sent":
            pass
    return {
        "at": one.lease.id,
        "state": state,
        "reason": reason,
        "failures": failures,
        "due_us": due_us,
        "changed_us": now_us,
    }


def _is_for_inbox(one: Ended) -> bool:
    return one.result.outcome == "sent" and isinstance(one.lease.channel.channel, InboxChannel)


def _inbox_item(one: Ended) -> dict[str, Any]:
    row, text = one.lease.content.row, one.text
    assert text is not None, "what could not be rendered was not sent"
    return {
        "tenant": one.lease.tenant,
        "recipient": one.lease.target or EVERYBODY,
        "delivery": one.lease.id,
        "notification": row["id"],
        "kind": row["kind"],
        "severity": row["severity"],
        "category": row["category"],
        "subject": text.subject,
        "text": text.text,
        "created_us": one.at_us,
        "read_us": None,
    }


def _judge_endpoints(tx: Connection, ended: Sequence[Ended], *, now_us: int) -> list[Endpoint]:
    """Webhooks that answer are well; those that have not for too long, or are gone, are disabled."""
    webhooks = [one for one in ended if isinstance(one.lease.channel.channel, Webhook)]
    sent = {one.lease.endpoint for one in webhooks if one.result.outcome == "sent"}
    gone = {one.lease.endpoint: one.result for one in webhooks if one.result.outcome == "gone"}
    failed = {one.lease.endpoint: one.result for one in webhooks if one.result.outcome == "retry"}
    at = ENDPOINT.c
    if sent:
        tx.execute(
            update(ENDPOINT)
            .where(tuple_(at.tenant, at.channel).in_(_keys(sent)), at.failing_us.is_not(None))
            .values(failing_us=None)
        )
    bad = {endpoint: result for endpoint, result in (failed | gone).items() if endpoint not in sent}
    if not bad:
        return []
    _note_failing(tx, bad, now_us=now_us)
    rows = tx.execute(
        select(at.tenant, at.channel, at.failing_us)
        .where(tuple_(at.tenant, at.channel).in_(_keys(bad)), at.disabled_us.is_(None))
        .with_for_update()
    ).all()
    long_us = now_us - FAILING_MAX_US
    ends = [
        Endpoint(row.tenant, row.channel)
        for row in rows
        if Endpoint(row.tenant, row.channel) in gone or (row.failing_us or now_us) <= long_us
    ]
    for endpoint in ends:
        tx.execute(
            update(ENDPOINT)
            .where(at.tenant == endpoint.owner, at.channel == endpoint.channel)
            .values(disabled_us=now_us, reason=bad[endpoint].detail)
        )
    return ends


def _note_failing(tx: Connection, bad: Mapping[Endpoint, Result], *, now_us: int) -> None:
    insert_new(
        tx,
        ENDPOINT,
        [
            {"tenant": one.owner, "channel": one.channel, "failing_us": None, "disabled_us": None}
            | {"reason": None}
            for one in sorted(bad, key=lambda one: (one.owner, one.channel))
        ],
    )
    at = ENDPOINT.c
    tx.execute(
        update(ENDPOINT)
        .where(tuple_(at.tenant, at.channel).in_(_keys(bad)), at.failing_us.is_(None))
        .values(failing_us=now_us)
    )


def _keys(endpoints: Iterable[Endpoint]) -> list[tuple[str, str]]:
    return [(one.owner, one.channel) for one in endpoints]


def enable(tx: Connection, endpoint: Endpoint) -> bool:
    """Let an endpoint be tried again; returns whether it was disabled."""
    at = ENDPOINT.c
    query = update(ENDPOINT).where(
        at.tenant == endpoint.owner, at.channel == endpoint.channel, at.disabled_us.is_not(None)
    )
    return tx.execute(query.values(disabled_us=None, failing_us=None, reason=None)).rowcount > 0
