"""What people do: retry, silence, choose, mark as read, try out. The API and the command line do the same."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, select, update

from trunkline.catalogue.model import near
from trunkline.codec.identity import new_id
from trunkline.errors import InvalidInput, NotFound, TrunklineError
from trunkline.services.kit.ending import require_not_ended
from trunkline.services.notification import silence_rows
from trunkline.services.notification.configuration import (
    ChannelInForce,
    CompiledRule,
    Configuration,
    RuleSet,
)
from trunkline.services.notification.decide import Broken, verdicts
from trunkline.services.notification.explaining import facts_of_row
from trunkline.services.notification.facts import from_us, shown, to_us
from trunkline.services.notification.leasing import Endpoint
from trunkline.services.notification.preferences import ANY, EVERYBODY
from trunkline.services.notification.recording import enable
from trunkline.services.notification.rows import dialect_insert
from trunkline.services.notification.silences import Matches, Silence
from trunkline.services.notification.tables import DELIVERY, EVENT, INBOX, NOTIFICATION, PREFERENCE
from trunkline.services.notification.telling import alert_of
from trunkline.services.notification.unsubscribing import Purpose
from trunkline.services.notification.views import DryRun
from trunkline.services.settings.notification import RULE, Mode, Rule

SILENCE_MAX: Final = timedelta(days=365)
COMMENT_MAX: Final = 1_000
EXAMPLES_MAX: Final = 10
DRY_RUN_MAX: Final = 100_000
"""Events that a dry run looks at."""

AGAIN: Final = ("dead", "sent", "suppressed")
"""What can be sent by hand, the last only of what was told at all; the rest is on its way."""

JUST_SET: Final = "what was just set gets here in a moment: `config set --wait` waits for it"

_D = DELIVERY.c


class WrongState(TrunklineError):  # noqa: N818 - reads as what it is
    """What is asked for cannot be done with it as it stands now."""


def retry(tx: Connection, tenant: str, id_: str, *, now_us: int) -> None:
    """Send a delivery (again), with the same id, from the start of the schedule.

    Raises `NotFound`, and `WrongState` for one that is on its way.
    """
    if _again(tx, tenant, [_D.id == id_], now_us=now_us) == 0:
        state = _state_of(tx, tenant, id_)
        raise WrongState(
            f"delivery {id_} is {state}; only what was told of and is {', '.join(AGAIN[:-1])} or {AGAIN[-1]} "
            "can be sent again"
        )


def retry_all(
    tx: Connection,
    tenant: str,
    *,
    channel: str,
    since: datetime,
    until: datetime,
    sent_too: bool = False,
    now_us: int,
) -> int:
    """Send what a channel failed to deliver in that time, with `sent_too` all of it; returns how many."""
    states = ("dead", "sent") if sent_too else ("dead",)
    where = [
        _D.channel == channel,
        _D.state.in_(states),
        _D.created_us >= to_us(since),
        _D.created_us < to_us(until),
    ]
    return _again(tx, tenant, where, now_us=now_us)


def discard(tx: Connection, tenant: str, id_: str, *, now_us: int) -> None:
    """Give a pending delivery up. Raises `NotFound`, and `WrongState` for one that does not wait."""
    query = (
        update(DELIVERY)
        .where(_D.tenant == tenant, _D.id == id_, _D.state == "pending")
        .values(state="dead", reason="discarded", due_us=None, changed_us=now_us)
    )
    if tx.execute(query).rowcount == 0:
        state = _state_of(tx, tenant, id_)
        raise WrongState(f"delivery {id_} is {state}; only one that is pending can be given up")


def add_silence(
    tx: Connection, tenant: str, matches: Matches, *, ends: datetime, actor: str, comment: str, now_us: int
) -> Silence:
    """Tell nothing of what matches until then. Raises `InvalidInput` and `TenantEnded`."""
    require_not_ended(tx, tenant)
    ends_us = to_us(ends)
    if ends_us <= now_us or from_us(ends_us) - from_us(now_us) > SILENCE_MAX:
        raise InvalidInput(
            f"a silence ends in the future, within {SILENCE_MAX.days} days; not {shown(ends_us)}"
        )
    if not comment.strip() or len(comment) > COMMENT_MAX:
        raise InvalidInput(f"say why, in up to {COMMENT_MAX} characters: others will wonder")
    silence = Silence(
        id=new_id(),
        tenant=tenant,
        matches=matches,
        starts_us=now_us,
        ends_us=ends_us,
        actor=actor,
        comment=comment.strip(),
    )
    silence_rows.add(tx, silence)
    return silence


def prefer(
    tx: Connection,
    tenant: str,
    user: str,
    *,
    category: str | None,
    channel: str | None,
    mode: Mode | None,
    now_us: int,
) -> None:
    """A user's choice for a category and a channel, None for all; without a mode it is taken back.

    Raises `TenantEnded`: a link in a mail outlives the tenant.
    """
    require_not_ended(tx, tenant)
    at = PREFERENCE.c
    row = {"tenant": tenant, "recipient": user, "category": category or ANY, "channel": channel or ANY}
    if mode is None:
        tx.execute(delete(PREFERENCE).where(*(at[name] == value for name, value in row.items())))
        return
    given = dialect_insert(tx, PREFERENCE)
    new = given.excluded
    tx.execute(
        given.on_conflict_do_update(
            index_elements=[at.tenant, at.recipient, at.category, at.channel],
            set_={"mode": new.mode, "changed_us": new.changed_us},
        ),
        {**row, "mode": mode, "changed_us": now_us},
    )


def unsubscribe(tx: Connection, purpose: Purpose, *, now_us: int) -> None:
    """What the link in a mail does; twice is as good as once."""
    prefer(
        tx,
        purpose.tenant,
        purpose.user,
        category=purpose.category,
        channel=purpose.channel,
        mode="off",
        now_us=now_us,
    )


def mark_read(tx: Connection, tenant: str, user: str, items: Iterable[int], *, now_us: int) -> int:
    """Mark what is in a user's inbox as read; returns how many had not been."""
    at = INBOX.c
    query = update(INBOX).where(
        at.tenant == tenant,
        at.recipient.in_((user, EVERYBODY)),
        at.seq.in_(list(items)),
        at.read_us.is_(None),
    )
    return tx.execute(query.values(read_us=now_us)).rowcount


def enable_channel(tx: Connection, channel: ChannelInForce) -> None:
    """Try a disabled endpoint again. Raises `WrongState` for one that is not disabled."""
    if not enable(tx, Endpoint(channel.owner, channel.name)):
        raise WrongState(f"channel {channel.name} is not disabled")


def channel_of(configuration: Configuration, tenant: str, name: str) -> ChannelInForce:
    """A channel by name. Raises `NotFound`."""
    channels = configuration.channels(tenant)
    if name not in channels:
        raise NotFound(f"{tenant} has no channel {name!r}; there are {', '.join(channels)} ({JUST_SET})")
    return channels[name]


def read_rule(name: str, value: Any) -> CompiledRule:
    """A rule as it would be set. Raises `InvalidInput`."""
    rule: Rule = RULE.read(RULE.pattern.replace("*", name), value)
    return CompiledRule(name, rule, 0)


def dry_run(tx: Connection, tenant: str, rule: CompiledRule, *, since: datetime) -> DryRun:
    """What a rule would have done with the tenant's events since then; silences and the like left aside."""
    at = EVENT.c
    query = (
        select(EVENT)
        .where(at.tenant == tenant, at.time_us >= to_us(since))
        .order_by(at.time_us, at.source, at.id)
        .limit(DRY_RUN_MAX)
    )
    rules = RuleSet({rule.name: rule})
    events = 0
    counts = {"fires": 0, "resolves": 0}
    incidents: set[str] = set()
    windows: set[str] = set()
    failed: dict[str, str] = {}
    examples: list[str] = []
    for row in tx.execute(query):
        events += 1
        facts = facts_of_row(row)
        for verdict in verdicts(rules, facts):
            if isinstance(verdict, Broken):
                failed.setdefault(facts.type, verdict.reason)
                continue
            counts[verdict.effect] += 1
            incidents.add(verdict.incident)
            if verdict.effect == "fires":
                windows.add(alert_of(facts, verdict, reason=None, now_us=facts.time_us).id)
                if len(examples) < EXAMPLES_MAX:
                    examples.append(f"{shown(facts.time_us)} [{verdict.severity}] {facts.summary}")
    return DryRun(
        events=events,
        fires=counts["fires"],
        resolves=counts["resolves"],
        incidents=len(incidents),
        notifications=len(windows),
        failed=failed,
        examples=examples,
    )


def matches_of(value: Any, configuration: Configuration, tenant: str) -> Matches:
    """What a silence is about, from JSON values. Raises `InvalidInput`, also for a rule that there is not."""
    try:
        matches = msgspec.convert(value, Matches)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"silence: {error}") from error
    known = configuration.rule_names(tenant)
    for rule in matches.rules:
        if rule not in known:
            hint = near(rule, known) or f"; there are {', '.join(known)}"
            raise InvalidInput(f"silence: there is no rule {rule}{hint} ({JUST_SET})")
    return matches


def _state_of(tx: Connection, tenant: str, id_: str) -> str:
    """Raises `NotFound`."""
    state = tx.execute(select(_D.state).where(_D.tenant == tenant, _D.id == id_)).scalar_one_or_none()
    if state is None:
        raise NotFound(f"{tenant} has no delivery {id_}")
    return str(state)


def _again(tx: Connection, tenant: str, where: list[Any], *, now_us: int) -> int:
    told = select(NOTIFICATION.c.id).where(NOTIFICATION.c.tenant == tenant, NOTIFICATION.c.active == 1)
    query = (
        update(DELIVERY)
        .where(_D.tenant == tenant, _D.state.in_(AGAIN), _D.notification.in_(told), *where)
        .values(state="pending", reason=None, failures=0, due_us=now_us, changed_us=now_us)
    )
    return tx.execute(query).rowcount
