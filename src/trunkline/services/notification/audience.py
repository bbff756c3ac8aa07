"""To whom a notification goes, on which channel, and what they have to say about that."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Connection, select

from trunkline.codec.identity import derive_id
from trunkline.services.notification.configuration import ChannelInForce, Configuration
from trunkline.services.notification.notices import Draft, Item, Put, Target, put
from trunkline.services.notification.preferences import EVERYBODY, Chosen, mode_for
from trunkline.services.notification.rows import chunks
from trunkline.services.notification.tables import PREFERENCE
from trunkline.services.settings.notification import (
    SEVERITIES,
    AppriseChannel,
    EmailChannel,
    InboxChannel,
    Mode,
    Takes,
)

WHOLE_TENANT: Final = ""
"""The target of a channel that does not tell users apart."""

DIGEST_RULE: Final = "digest"
HOUR_US: Final = 3_600_000_000

NO_CHANNEL: Final = "no_channel"
PREFERENCE_OFF: Final = "preference"
IN_DIGEST: Final = "digest"


@dataclass(frozen=True, slots=True)
class Audience:
    """Who hears of the drafts of one transaction."""

    configuration: Configuration
    chosen: dict[str, Chosen]

    @classmethod
    def of(cls, tx: Connection, configuration: Configuration, tenants: Collection[str]) -> "Audience":
        """With what users of these tenants chose."""
        table = PREFERENCE.c
        chosen: dict[str, dict[tuple[str, str, str], Mode]] = {tenant: {} for tenant in tenants}
        for some in chunks(set(tenants)):
            query = select(table.tenant, table.recipient, table.category, table.channel, table.mode)
            for tenant, user, category, channel, mode in tx.execute(query.where(table.tenant.in_(some))):
                chosen[tenant][user, category, channel] = cast("Mode", mode)
        return cls(configuration, dict(chosen))

    def targets(self, draft: Draft) -> Sequence[Target]:
        """Where a notification goes, each place once; with a reason where it does not."""
        if draft.rule == DIGEST_RULE:
            channel, _, user = draft.group.partition("/")
            return [Target(channel, user)]
        channels = self.configuration.channels(draft.tenant)
        names = [*draft.channels, *(name for name, one in channels.items() if _takes(one, draft))]
        return [
            target for name in dict.fromkeys(names) for target in self._on(draft, name, channels.get(name))
        ]

    def digests(self, drafts: Iterable[Draft], done: dict[str, Put]) -> list[Draft]:
        """The digests that what is told now goes into, one a user, category, channel and window."""
        found: list[Draft] = []
        for draft in drafts:
            if done[draft.id].activated and draft.rule != DIGEST_RULE:
                found += [
                    self._digest(draft, target, done[draft.id].notification)
                    for target in self.targets(draft)
                    if target.reason == IN_DIGEST
                ]
        return found

    def _on(self, draft: Draft, name: str, channel: ChannelInForce | None) -> list[Target]:
        if channel is None:
            return [Target(name, WHOLE_TENANT, NO_CHANNEL)]
        return [Target(name, user, self._reason(draft, name, user)) for user in users_of(channel)]

    def _reason(self, draft: Draft, channel: str, user: str) -> str | None:
        mode = mode_for(
            self.chosen.get(draft.tenant, {}),
            self.configuration.preferences(draft.tenant),
            user=user or EVERYBODY,
            category=draft.category,
            channel=channel,
        )
        return {"off": PREFERENCE_OFF, "digest": IN_DIGEST, "immediate": None}[mode]

    def _digest(self, draft: Draft, target: Target, notification: str) -> Draft:
        length_us = self.configuration.digest_hours(draft.tenant) * HOUR_US
        time_us = min(item.time_us for item in draft.items)
        window_us = time_us - time_us % length_us
        group = f"{target.channel}/{target.target}"
        end_us = max(window_us + length_us, draft.due_us)
        return Draft(
            id=derive_id("digest", draft.tenant, group, draft.category, str(window_us), str(length_us)),
            tenant=draft.tenant,
            kind="digest",
            rule=DIGEST_RULE,
            rule_version=0,
            title=f"Digest of {draft.category}",
            severity="info",
            category=draft.category,
            template=DIGEST_RULE,
            group=group,
            window_us=window_us,
            due_us=end_us,
            late_us=draft.due_us + length_us,
            items=[Item(ref=notification, time_us=time_us)],
        )


def put_with_digests(
    tx: Connection, drafts: Sequence[Draft], audience: Audience, *, now_us: int
) -> dict[str, Put]:
    """As `notices.put`, and into the digests of those who want digests."""
    done = put(tx, drafts, audience.targets, now_us=now_us)
    put(tx, audience.digests(drafts, done), audience.targets, now_us=now_us)
    return done


def users_of(channel: ChannelInForce) -> Sequence[str]:
    """The targets of a channel."""
    match channel.channel:
        case EmailChannel(users=users):
            return tuple(dict.fromkeys(users))
        case AppriseChannel(urls=urls):
            return tuple(dict.fromkeys(urls))
        case InboxChannel(users=users):
            return tuple(dict.fromkeys(users)) or (EVERYBODY,)
        case _:
            return (WHOLE_TENANT,)


def _takes(channel: ChannelInForce, draft: Draft) -> bool:
    takes = channel.channel.takes
    return takes is not None and _is_taken(takes, draft)


def _is_taken(takes: Takes, draft: Draft) -> bool:
    severe = _rank(draft.severity) >= _rank(takes.severity_at_least)
    return severe and (not takes.categories or draft.category in takes.categories)


def _rank(severity: str) -> int:
    return next(number for number, one in enumerate(SEVERITIES) if one == severity)
