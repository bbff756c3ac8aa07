"""All groups of the broker: finds the group, keeps the clock, validates commits. Without I/O.

Time comes in with every call: `now_ms` is any clock that never goes back, for timeouts. Answers come out as
effects, to be carried out in order. What an `Entry` says is true for readers only after the caller has made
it durable and handed it back with `durable`; a `Reply` waits for the entries that precede it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from trunkline.broker.group.classic import ClassicGroup
from trunkline.broker.group.config import DEFAULT_CONFIG, GroupConfig
from trunkline.broker.group.entries import (
    Entry,
    GroupRemoved,
    Offset,
    OffsetsRemoved,
)
from trunkline.broker.group.model import (
    Commit,
    CommitResult,
    DeleteOffsets,
    DeleteResult,
    Effect,
    GroupDescription,
    GroupListing,
    Heartbeat,
    Join,
    JoinResult,
    Leave,
    LeaveResult,
    Persist,
    Reply,
    Sync,
    SyncResult,
    Token,
    TopicPartition,
)
from trunkline.broker.group.offsets import DurableGroups, batches, expired
from trunkline.broker.group.state import GroupState
from trunkline.broker.group.subscription import subscribed_topics
from trunkline.broker.group.timers import Timers
from trunkline.broker.protocol.errors import ErrorCode

CONSUMER_PROTOCOL_TYPE: Final = "consumer"

EXPIRY_INTERVAL_MS: Final = 10 * 60 * 1000
"""How often offsets are looked through for old ones; Kafka's `offsets.retention.check.interval.ms`."""


class GroupCoordinator:
    """Consumer groups and their committed offsets.

    Tokens are compared by identity and must not be None. Each is answered exactly once, unless forgotten.
    """

    def __init__(
        self,
        *,
        config: GroupConfig = DEFAULT_CONFIG,
        new_member_id: Callable[[str], str],
        wall_ms: Callable[[], int],
    ) -> None:
        """`new_member_id(prefix)` returns an id nobody has; `wall_ms()` is Unix time, for commit times."""
        self._config = config
        self._new_member_id = new_member_id
        self._wall_ms = wall_ms
        self._durable = DurableGroups()
        self._groups: dict[str, ClassicGroup] = {}
        self._effects: list[Effect] = []
        self._timers = Timers()
        self._expiry_ms: int | None = None

    # -- durable state

    def durable(self, entry: Entry) -> None:
        """`entry` is on disk: make it visible. In the order of the effects."""
        self._durable.apply(entry)

    def snapshot(self) -> Iterable[Entry]:
        """Everything durable, as entries that fold to it."""
        return self._durable.entries()

    def restore(self, entries: Iterable[Entry], *, now_ms: int) -> None:
        """Start from what the journal holds. Members of stable groups go on without noticing the restart.

        Call it once, before anything else, also with nothing to restore: the clock of the expiry starts here.
        """
        assert not self._groups, "restore comes first"
        self._expiry_ms = now_ms + EXPIRY_INTERVAL_MS
        for entry in entries:
            self._durable.apply(entry)
        for saved in self._durable.saved():
            group = self._create(saved.group_id)
            group.restore(saved, now_ms=now_ms)
            self._schedule(group)
        for group_id in self._durable.group_ids() - self._groups.keys():
            self._create(group_id)

    # -- membership

    def join(self, request: Join, token: Token, *, now_ms: int) -> list[Effect]:
        """JoinGroup."""
        error, group = self._joinable(request)
        if group is None:
            return [Reply(token, JoinResult(error=error, member_id=request.member_id))]
        group.join(request, token, now_ms=now_ms)
        return self._after(group, now_ms)

    def _joinable(self, request: Join) -> tuple[ErrorCode, ClassicGroup | None]:
        config = self._config
        if not request.group_id:
            return ErrorCode.INVALID_GROUP_ID, None
        if not config.session_timeout_ms_min <= request.session_timeout_ms <= config.session_timeout_ms_max:
            return ErrorCode.INVALID_SESSION_TIMEOUT, None
        group = self._groups.get(request.group_id)
        return (ErrorCode.NONE, group) if group is not None else self._founded(request)

    def _founded(self, request: Join) -> tuple[ErrorCode, ClassicGroup | None]:
        """A new group for its first member, if this can be one."""
        if request.member_id:
            return ErrorCode.UNKNOWN_MEMBER_ID, None
        if not request.protocol_type or not request.protocols:
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL, None
        if len(self._groups) >= self._config.groups_max:
            return ErrorCode.POLICY_VIOLATION, None
        return ErrorCode.NONE, self._create(request.group_id)

    def sync(self, request: Sync, token: Token, *, now_ms: int) -> list[Effect]:
        """SyncGroup."""
        group = self._groups.get(request.group_id)
        if group is None:
            return [Reply(token, SyncResult(error=ErrorCode.UNKNOWN_MEMBER_ID))]
        group.sync(request, token, now_ms=now_ms)
        return self._after(group, now_ms)

    def heartbeat(self, request: Heartbeat, *, now_ms: int) -> ErrorCode:
        """Heartbeat; never has effects."""
        group = self._groups.get(request.group_id)
        if group is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return group.heartbeat(
            request.member_id, request.group_instance_id, request.generation, now_ms=now_ms
        )

    def leave(self, request: Leave, token: Token, *, now_ms: int) -> list[Effect]:
        """LeaveGroup."""
        group = self._groups.get(request.group_id)
        if group is None:
            errors = tuple(ErrorCode.UNKNOWN_MEMBER_ID for _ in request.members)
            return [Reply(token, LeaveResult(errors=errors))]
        before = len(group.members)
        errors = tuple(group.leave(member, now_ms=now_ms) for member in request.members)
        group.settle(now_ms=now_ms, departed=len(group.members) < before)
        return [*self._after(group, now_ms), Reply(token, LeaveResult(errors=errors))]

    def forget(self, group_id: str, token: Token) -> None:
        """The client behind `token` is gone; its membership ends by timeout, as it would on a cluster."""
        group = self._groups.get(group_id)
        if group is not None:
            group.forget(token)

    # -- offsets

    def commit(self, request: Commit, token: Token, *, now_ms: int) -> list[Effect]:
        """OffsetCommit."""
        error = self._commit_error(request, now_ms)
        if error is not ErrorCode.NONE:
            return [Reply(token, CommitResult(errors=tuple(error for _ in request.offsets)))]
        bytes_max = self._config.offset_metadata_bytes_max
        errors = tuple(
            ErrorCode.OFFSET_METADATA_TOO_LARGE if len(offset.metadata) > bytes_max else ErrorCode.NONE
            for offset in request.offsets
        )
        commit_ms = self._wall_ms()
        accepted = tuple(
            (
                offset.topic,
                offset.partition,
                Offset(offset.offset, offset.leader_epoch, offset.metadata, commit_ms, offset.topic_id),
            )
            for offset, refused in zip(request.offsets, errors, strict=True)
            if not refused
        )
        entries = batches(request.group_id, accepted)
        return [*map(Persist, entries), Reply(token, CommitResult(errors=errors))]

    def _commit_error(self, request: Commit, now_ms: int) -> ErrorCode:
        group = self._groups.get(request.group_id)
        if group is None:
            if request.generation >= 0:
                return ErrorCode.ILLEGAL_GENERATION
            if len(self._groups) >= self._config.groups_max:
                return ErrorCode.POLICY_VIOLATION
            # A consumer that assigns its partitions itself, or an administrator: the group is only a name.
            group = self._create(request.group_id)
        return group.check_commit(
            request.member_id, request.group_instance_id, request.generation, now_ms=now_ms
        )

    def offsets(self, group_id: str) -> Mapping[TopicPartition, Offset]:
        """OffsetFetch: everything a group has committed, durably. Compare `topic_id` before using one."""
        return self._durable.offsets(group_id)

    def delete_offsets(self, request: DeleteOffsets, token: Token) -> list[Effect]:
        """OffsetDelete: refused for topics that a member is subscribed to."""
        group = self._groups.get(request.group_id)
        if group is None:
            return [Reply(token, _all(ErrorCode.GROUP_ID_NOT_FOUND, request.partitions))]
        if len(group.members) and group.protocol_type != CONSUMER_PROTOCOL_TYPE:
            return [Reply(token, _all(ErrorCode.NON_EMPTY_GROUP, request.partitions))]
        in_use = self._subscribed(group)
        errors = tuple(
            ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC if topic in in_use else ErrorCode.NONE
            for topic, _ in request.partitions
        )
        free = tuple(key for key in request.partitions if key[0] not in in_use)
        reply = Reply(token, DeleteResult(errors=errors))
        return [Persist(OffsetsRemoved(request.group_id, free)), reply] if free else [reply]

    def _subscribed(self, group: ClassicGroup) -> set[str]:
        topics: set[str] = set()
        for member in group.members:
            for _, metadata in member.protocols:
                topics |= subscribed_topics(metadata)
        return topics

    def topics_deleted(self, topics: Sequence[str]) -> list[Effect]:
        """Forget what was committed for topics that are gone: a new one of that name must not inherit it."""
        gone = frozenset(topics)
        effects: list[Effect] = []
        for group_id in self._groups:
            keys = tuple(key for key in self._durable.offsets(group_id) if key[0] in gone)
            if keys:
                effects.append(Persist(OffsetsRemoved(group_id, keys)))
        return effects

    # -- administration

    def describe(self, group_id: str) -> GroupDescription:
        """DescribeGroups. An unknown group is Dead."""
        group = self._groups.get(group_id)
        if group is None:
            return GroupDescription(group_id=group_id, state=GroupState.DEAD)
        return group.describe()

    def list_groups(self, *, states: Iterable[str] = (), types: Iterable[str] = ()) -> list[GroupListing]:
        """ListGroups: those in one of `states` and of one of `types`, whatever the case; none means all."""
        wanted_states = {state.lower() for state in states}
        wanted_types = {kind.lower() for kind in types}
        return [
            listing
            for listing in (group.listing() for group in self._groups.values())
            if (not wanted_states or listing.state.lower() in wanted_states)
            and (not wanted_types or listing.group_type in wanted_types)
        ]

    def delete_groups(self, group_ids: Sequence[str], token: Token) -> list[Effect]:
        """DeleteGroups: groups without members, with their offsets."""
        effects: list[Effect] = []
        errors: list[ErrorCode] = []
        for group_id in group_ids:
            group = self._groups.get(group_id)
            if group is None:
                errors.append(ErrorCode.GROUP_ID_NOT_FOUND)
            elif group.state is not GroupState.EMPTY:
                errors.append(ErrorCode.NON_EMPTY_GROUP)
            else:
                effects.append(self._delete(group))
                errors.append(ErrorCode.NONE)
        return [*effects, Reply(token, DeleteResult(errors=tuple(errors)))]

    # -- time

    def next_deadline(self) -> int | None:
        """When to call `tick` next; None when nothing is due, ever. May be early, never late."""
        deadlines = (self._timers.next_ms, self._expiry_ms)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def tick(self, now_ms: int) -> list[Effect]:
        """Do what is due."""
        for group_id in self._timers.due(now_ms):
            self._expire(self._groups[group_id], now_ms)
        if self._expiry_ms is not None and self._expiry_ms <= now_ms:
            self._expire_offsets()
            self._expiry_ms = now_ms + EXPIRY_INTERVAL_MS
        return self._take()

    def _expire(self, group: ClassicGroup, now_ms: int) -> None:
        deadline_ms = group.deadline_ms
        while deadline_ms is not None and deadline_ms <= now_ms:
            group.expire(now_ms=now_ms)
            deadline_ms = group.deadline_ms
        self._schedule(group)

    def _schedule(self, group: ClassicGroup) -> None:
        """Have `tick` look at the group in time. Heartbeats only put deadlines off and do not come here."""
        deadline_ms = group.deadline_ms
        if deadline_ms is not None:
            self._timers.set(group.group_id, deadline_ms)

    def _expire_offsets(self) -> None:
        for group in tuple(self._groups.values()):
            if group.state is not GroupState.EMPTY or group.pending:
                continue
            offsets = self._durable.offsets(group.group_id)
            old = expired(
                offsets,
                empty_since_ms=group.changed_ms if group.protocol_type else None,
                retention_ms=self._config.offsets_retention_ms,
                wall_ms=self._wall_ms(),
            )
            if len(old) == len(offsets) and self._aged(group):
                self._effects.append(self._delete(group))
            elif old:
                self._effects.append(Persist(OffsetsRemoved(group.group_id, old)))

    def _aged(self, group: ClassicGroup) -> bool:
        """An empty group without offsets is kept for a while: its generations go on if it comes back."""
        return self._wall_ms() - group.changed_ms >= EXPIRY_INTERVAL_MS

    # -- groups

    def _create(self, group_id: str) -> ClassicGroup:
        group = ClassicGroup(
            group_id,
            config=self._config,
            emit=self._effects.append,
            new_member_id=self._new_member_id,
            wall_ms=self._wall_ms,
        )
        self._groups[group_id] = group
        return group

    def _delete(self, group: ClassicGroup) -> Persist:
        group.die()
        del self._groups[group.group_id]
        self._timers.drop(group.group_id)
        return Persist(GroupRemoved(group.group_id))

    def _after(self, group: ClassicGroup, now_ms: int) -> list[Effect]:
        self._expire(group, now_ms)
        return self._take()

    def _take(self) -> list[Effect]:
        effects = self._effects.copy()
        self._effects.clear()
        return effects


def _all(error: ErrorCode, partitions: Sequence[TopicPartition]) -> DeleteResult:
    return DeleteResult(errors=tuple(error for _ in partitions))
