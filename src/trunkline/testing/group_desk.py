"""A group coordinator driven by hand: a clock that the test moves, entries durable at once, no sockets."""

import itertools
from collections.abc import Iterable
from uuid import UUID

from trunkline.broker.group.config import GroupConfig
from trunkline.broker.group.coordinator import GroupCoordinator
from trunkline.broker.group.entries import Entry
from trunkline.broker.group.model import (
    Commit,
    CommitOffset,
    CommitResult,
    DeleteResult,
    Effect,
    Heartbeat,
    Join,
    JoinResult,
    Leave,
    LeaveResult,
    LeavingMember,
    Persist,
    Reply,
    Result,
    Sync,
    SyncResult,
    Token,
)
from trunkline.broker.protocol.errors import ErrorCode

TOPIC_ID = UUID(int=7)
GROUP = "audit"
WALL_MS = 1_750_000_000_000


class Desk:
    """What a broker does with a coordinator, one call at a time.

    Raises `AssertionError` when a token is answered twice or a tick leaves something due.
    """

    def __init__(self, config: GroupConfig, entries: Iterable[Entry] = (), *, now_ms: int = 0) -> None:
        self.config = config
        self.now_ms = now_ms
        self.wall_ms = WALL_MS + now_ms
        self.journal: list[Entry] = list(entries)
        self.answers: dict[Token, Result] = {}
        self._ids = itertools.count(1)
        self._tokens = itertools.count(1)
        self.coordinator = GroupCoordinator(
            config=config,
            new_member_id=lambda prefix: f"{prefix}-{next(self._ids)}",
            wall_ms=lambda: self.wall_ms,
        )
        self.coordinator.restore(self.journal, now_ms=now_ms)

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """Journal, make durable and answer, all at once."""
        for effect in effects:
            match effect:
                case Persist(entry):
                    self.journal.append(entry)
                    self.coordinator.durable(entry)
                case Reply(token, result):
                    assert token not in self.answers, f"{token} was answered twice"
                    self.answers[token] = result

    def token(self) -> str:
        """A token nobody has used."""
        return f"token-{next(self._tokens)}"

    # -- requests

    def ask_join(
        self,
        member_id: str = "",
        *,
        instance: str | None = None,
        protocols: tuple[tuple[str, bytes], ...] = (("range", b"topics"),),
        protocol_type: str = "consumer",
        session_timeout_ms: int = 10_000,
        rebalance_timeout_ms: int = 30_000,
        known_id: bool = False,
        group: str = GROUP,
        can_skip: bool = True,
    ) -> str:
        """JoinGroup; returns the token."""
        request = Join(
            group_id=group,
            member_id=member_id,
            group_instance_id=instance,
            client_id="c",
            client_host="127.0.0.1",
            session_timeout_ms=session_timeout_ms,
            rebalance_timeout_ms=rebalance_timeout_ms,
            protocol_type=protocol_type,
            protocols=protocols,
            requires_known_member_id=known_id,
            can_skip_assignment=can_skip,
        )
        token = self.token()
        self.carry_out(self.coordinator.join(request, token, now_ms=self.now_ms))
        return token

    def ask_sync(
        self,
        member_id: str,
        generation: int,
        *,
        assignments: dict[str, bytes] | None = None,
        instance: str | None = None,
        protocol_name: str | None = None,
    ) -> str:
        """SyncGroup; returns the token."""
        request = Sync(
            group_id=GROUP,
            generation=generation,
            member_id=member_id,
            group_instance_id=instance,
            protocol_name=protocol_name,
            assignments=assignments or {},
        )
        token = self.token()
        self.carry_out(self.coordinator.sync(request, token, now_ms=self.now_ms))
        return token

    def heartbeat(self, member_id: str, generation: int, *, instance: str | None = None) -> ErrorCode:
        """Heartbeat."""
        request = Heartbeat(
            group_id=GROUP, generation=generation, member_id=member_id, group_instance_id=instance
        )
        return self.coordinator.heartbeat(request, now_ms=self.now_ms)

    def leave(self, *members: LeavingMember) -> tuple[ErrorCode, ...]:
        """LeaveGroup."""
        token = self.token()
        request = Leave(group_id=GROUP, members=members)
        self.carry_out(self.coordinator.leave(request, token, now_ms=self.now_ms))
        result = self.answers[token]
        assert isinstance(result, LeaveResult)
        return result.errors

    def commit(
        self,
        offset: int = 5,
        *,
        member_id: str = "",
        generation: int = -1,
        instance: str | None = None,
        group: str = GROUP,
        metadata: str = "",
        topic: str = "t",
    ) -> ErrorCode:
        """OffsetCommit of partition 0 of one topic."""
        request = Commit(
            group_id=group,
            generation=generation,
            member_id=member_id,
            group_instance_id=instance,
            offsets=[
                CommitOffset(topic=topic, topic_id=TOPIC_ID, partition=0, offset=offset, metadata=metadata)
            ],
        )
        token = self.token()
        self.carry_out(self.coordinator.commit(request, token, now_ms=self.now_ms))
        result = self.answers[token]
        assert isinstance(result, CommitResult)
        return result.errors[0]

    def delete_groups(self, *groups: str) -> tuple[ErrorCode, ...]:
        """DeleteGroups."""
        token = self.token()
        self.carry_out(self.coordinator.delete_groups(groups, token))
        result = self.answers[token]
        assert isinstance(result, DeleteResult)
        return result.errors

    # -- time and answers

    def advance(self, ms: int) -> None:
        """Let time pass, waking the coordinator when it asked to be."""
        end_ms = self.now_ms + ms
        while (deadline_ms := self.coordinator.next_deadline()) is not None and deadline_ms <= end_ms:
            self._move(max(deadline_ms, self.now_ms))
            self.carry_out(self.coordinator.tick(self.now_ms))
            following = self.coordinator.next_deadline()
            assert following is None or following > self.now_ms, "a tick left something due"
        self._move(end_ms)

    def _move(self, now_ms: int) -> None:
        self.wall_ms += now_ms - self.now_ms
        self.now_ms = now_ms

    def waits(self, token: str) -> bool:
        """Nobody has answered this token."""
        return token not in self.answers

    def joined(self, token: str) -> JoinResult:
        """The answer to a join."""
        result = self.answers[token]
        assert isinstance(result, JoinResult)
        return result

    def synced(self, token: str) -> SyncResult:
        """The answer to a sync."""
        result = self.answers[token]
        assert isinstance(result, SyncResult)
        return result

    def restarted(self) -> "Desk":
        """A new coordinator on the same journal."""
        return Desk(self.config, self.journal, now_ms=self.now_ms)

    # -- scenarios

    def form(self, count: int = 2, *, instances: tuple[str, ...] = ()) -> list[str]:
        """A stable group; returns the member ids, the leader first. Member n owns b"n"."""
        names = instances or (None,) * count
        tokens = [self.ask_join(instance=name) for name in names]
        self.advance(1_000)
        results = [self.joined(token) for token in tokens]
        assert {result.error for result in results} == {ErrorCode.NONE}
        leader = next(result for result in results if result.leader == result.member_id)
        ids = [leader.member_id, *(r.member_id for r in results if r is not leader)]
        plan = {member_id: b"%d" % position for position, member_id in enumerate(ids)}
        for member_id in ids:
            self.ask_sync(
                member_id, leader.generation, assignments=plan if member_id == leader.member_id else None
            )
        assert self.coordinator.describe(GROUP).state == "Stable"
        return ids

    @property
    def state(self) -> str:
        """The state of the group as an administrator sees it."""
        return self.coordinator.describe(GROUP).state.value

    def committed(self) -> int | None:
        """The durable offset of partition 0 of topic t."""
        stored = self.coordinator.offsets(GROUP).get(("t", 0))
        return None if stored is None else stored.offset
