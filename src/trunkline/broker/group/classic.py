"""One group of the classic protocol: the rebalance, and who may do what when (`state.py` has the theory).

Every method takes the time; answers and entries for the journal leave through `emit`, in order.
"""

from collections.abc import Callable
from dataclasses import replace

from trunkline.broker.group.config import GroupConfig
from trunkline.broker.group.entries import GroupSaved
from trunkline.broker.group.members import Member, Members, request_size_bytes
from trunkline.broker.group.model import (
    Effect,
    GroupDescription,
    GroupListing,
    Join,
    JoinResult,
    LeavingMember,
    Persist,
    Reply,
    Sync,
    SyncResult,
    Token,
)
from trunkline.broker.group.state import GroupState, check_transition
from trunkline.broker.group.window import JoinWindow
from trunkline.broker.protocol.errors import ErrorCode


class ClassicGroup:
    """A group and its members. Not safe to use after `state` has become Dead."""

    def __init__(
        self,
        group_id: str,
        *,
        config: GroupConfig,
        emit: Callable[[Effect], None],
        new_member_id: Callable[[str], str],
        wall_ms: Callable[[], int],
    ) -> None:
        """`new_member_id` makes an id nobody has, from a prefix; `wall_ms` is Unix time, for the journal."""
        self.group_id = group_id
        self.state = GroupState.EMPTY
        self.generation = 0
        self.protocol_type = ""
        self.protocol_name: str | None = None
        self.leader = ""
        self.members = Members()
        self.changed_ms = wall_ms()
        self.pending: dict[str, int] = {}
        """Ids given out under KIP-394 whose owners have not come back, and when each is forgotten."""
        self._config = config
        self._emit = emit
        self._new_member_id = new_member_id
        self._wall_ms = wall_ms
        self._window = JoinWindow()
        self._sync_deadline_ms: int | None = None

    # -- restart

    def restore(self, saved: GroupSaved, *, now_ms: int) -> None:
        """Become what the journal says. Members of a stable group go on without noticing."""
        self.generation = saved.generation
        self.protocol_type = saved.protocol_type
        self.protocol_name = saved.protocol_name or None
        self.leader = saved.leader
        self.changed_ms = saved.changed_ms
        for member in saved.members:
            self.members.add(Member.restored(member, protocol_name=saved.protocol_name, now_ms=now_ms))
        self.state = GroupState.STABLE if saved.members else GroupState.EMPTY

    def _save(self) -> None:
        self.changed_ms = self._wall_ms()
        name = self.protocol_name or ""
        self._emit(
            Persist(
                GroupSaved(
                    group_id=self.group_id,
                    generation=self.generation,
                    protocol_type=self.protocol_type,
                    protocol_name=name,
                    leader=self.leader,
                    members=tuple(member.saved(name) for member in self.members),
                    changed_ms=self.changed_ms,
                )
            )
        )

    # -- join

    def join(self, request: Join, token: Token, *, now_ms: int) -> None:
        """Answer `token` now or when the rebalance has ended."""
        error = self._join_refusal(request)
        if error is not ErrorCode.NONE:
            self._refuse_join(token, request.member_id, error)
        elif request.member_id in self.pending:
            self._admit(request, token, member_id=request.member_id, now_ms=now_ms)
        elif request.member_id == "":
            self._join_unknown(request, token, now_ms=now_ms)
        else:
            self._join_known(request, token, now_ms=now_ms)

    def _join_refusal(self, request: Join) -> ErrorCode:
        if not self._supports(request):
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if self.members.size_bytes() + request_size_bytes(request) > self._config.group_bytes_max:
            return ErrorCode.GROUP_MAX_SIZE_REACHED
        if request.member_id == "":
            instance = request.group_instance_id
            known = instance is not None and self.members.instance(instance) is not None
            crowd = len(self.members) + len(self.pending)
            if not known and crowd >= self._config.members_max:
                return ErrorCode.GROUP_MAX_SIZE_REACHED
        elif request.member_id not in self.pending:
            return self.check_member(request.member_id, request.group_instance_id)
        return ErrorCode.NONE

    def _supports(self, request: Join) -> bool:
        if not request.protocol_type or not request.protocols:
            return False
        if not len(self.members):
            return True
        names = {name for name, _ in request.protocols}
        return request.protocol_type == self.protocol_type and not names.isdisjoint(
            self.members.common_protocols()
        )

    def _join_unknown(self, request: Join, token: Token, *, now_ms: int) -> None:
        instance = request.group_instance_id
        member_id = self._new_member_id(instance or request.client_id)
        if instance is not None:
            member = self.members.instance(instance)
            if member is None:
                self._admit(request, token, member_id=member_id, now_ms=now_ms)
            else:
                self._replace(member, request, token, member_id=member_id, now_ms=now_ms)
        elif request.requires_known_member_id:
            self.pending[member_id] = now_ms + request.session_timeout_ms
            self._refuse_join(token, member_id, ErrorCode.MEMBER_ID_REQUIRED)
        else:
            self._admit(request, token, member_id=member_id, now_ms=now_ms)

    def _admit(self, request: Join, token: Token, *, member_id: str, now_ms: int) -> None:
        self.pending.pop(member_id, None)
        member = Member.joined(request, member_id=member_id, now_ms=now_ms)
        if not len(self.members):
            self.protocol_type = request.protocol_type
            self.leader = member_id
        self.members.add(member)
        if self.state is GroupState.PREPARING_REBALANCE:
            self._window.grew()
        self._begin_rebalance(now_ms)
        member.joining, member.join_token = True, token
        self._complete_join_if_all_came(now_ms)

    def _join_known(self, request: Join, token: Token, *, now_ms: int) -> None:
        member = self.members.get(request.member_id)
        assert member is not None, "unknown members are refused before"
        unchanged = member.protocols == request.protocols
        # A leader that rejoins a stable group wants a new assignment: its topics have changed.
        settled = unchanged and (
            self.state is GroupState.COMPLETING_REBALANCE
            or (self.state is GroupState.STABLE and member.member_id != self.leader)
        )
        if settled:
            # The answer to its last join was lost.
            member.refresh(now_ms)
            self._emit(Reply(token, self._joined(member)))
        else:
            self._rejoin(member, request, token, now_ms=now_ms)

    def _rejoin(self, member: Member, request: Join, token: Token, *, now_ms: int) -> None:
        self._answer_join(member, ErrorCode.REBALANCE_IN_PROGRESS)
        member.update(request)
        self._begin_rebalance(now_ms)
        member.joining, member.join_token = True, token
        self._complete_join_if_all_came(now_ms)

    def _replace(self, member: Member, request: Join, token: Token, *, member_id: str, now_ms: int) -> None:
        """A static member came back, under a new id: whoever still uses the old one is fenced."""
        old_id, was_leader = member.member_id, member.member_id == self.leader
        self._answer_join(member, ErrorCode.FENCED_INSTANCE_ID)
        self._answer_sync(member, SyncResult(error=ErrorCode.FENCED_INSTANCE_ID), now_ms)
        self.members.rename(member, member_id)
        if was_leader:
            self.leader = member_id
        member.client_id, member.client_host = request.client_id, request.client_host
        member.refresh(now_ms)
        if self.state is not GroupState.STABLE or not self._same_choice(member, request):
            self._rejoin(member, request, token, now_ms=now_ms)
            return
        # It owns what it owned, and nobody else needs to know (KIP-345).
        member.update(request)
        self._save()
        skip = was_leader and request.can_skip_assignment
        # A leader that cannot be told to skip the assignment must not learn that it leads: it would make one.
        leader = old_id if was_leader and not skip else self.leader
        result = self._joined(member)
        members = self.members.as_joined(self.protocol_name) if skip else ()
        self._emit(Reply(token, replace(result, leader=leader, skip_assignment=skip, members=members)))

    def _same_choice(self, member: Member, request: Join) -> bool:
        """Whether the group would still elect its protocol with these protocols of the member."""
        before, member.protocols = member.protocols, request.protocols
        same = self.members.elect_protocol() == self.protocol_name
        member.protocols = before
        return same

    def _joined(self, member: Member) -> JoinResult:
        leads = member.member_id == self.leader
        return JoinResult(
            error=ErrorCode.NONE,
            member_id=member.member_id,
            generation=self.generation,
            protocol_type=self.protocol_type,
            protocol_name=self.protocol_name,
            leader=self.leader,
            members=self.members.as_joined(self.protocol_name) if leads else (),
        )

    # -- rebalance

    def _go(self, target: GroupState) -> None:
        check_transition(self.state, target)
        self.state = target

    def _begin_rebalance(self, now_ms: int) -> None:
        if self.state is GroupState.PREPARING_REBALANCE:
            return
        for member in self.members:
            self._answer_sync(member, SyncResult(error=ErrorCode.REBALANCE_IN_PROGRESS), now_ms)
        timeout_ms = self.members.rebalance_timeout_ms()
        if self.state is GroupState.EMPTY:
            delay_ms = self._config.initial_rebalance_delay_ms
            self._window.open_delayed(delay_ms, timeout_ms, now_ms=now_ms)
        else:
            self._window.open(timeout_ms, now_ms=now_ms)
        self._sync_deadline_ms = None
        self._go(GroupState.PREPARING_REBALANCE)

    def _complete_join_if_all_came(self, now_ms: int) -> None:
        delayed = self._window.delayed and len(self.members) > 0
        if not delayed and not self.pending and self.members.joining() == len(self.members):
            self._complete_join(now_ms)

    def _complete_join(self, now_ms: int) -> None:
        for member in self.members:
            # A static member keeps its place until its session ends.
            if not member.joining and member.group_instance_id is None:
                self._remove(member, now_ms)
        if len(self.members) and not self._elect_leader():
            # Only absent static members are left, and nobody to make an assignment.
            self._window.open(self.members.rebalance_timeout_ms(), now_ms=now_ms)
            return
        self._window.close()
        self.generation += 1
        if not len(self.members):
            self._become_empty()
            return
        self.protocol_name = self.members.elect_protocol()
        self._go(GroupState.COMPLETING_REBALANCE)
        self._sync_deadline_ms = now_ms + self.members.rebalance_timeout_ms()
        for member in self.members:
            member.synced = False
            if member.joining:
                member.is_new = False
                member.refresh(now_ms)
                self._answer_join(member, ErrorCode.NONE)

    def _elect_leader(self) -> bool:
        """Keep the leader if it has joined, else take the first member that has."""
        leader = self.members.get(self.leader)
        if leader is not None and leader.joining:
            return True
        first = next((member for member in self.members if member.joining), None)
        if first is not None:
            self.leader = first.member_id
        return first is not None

    def _become_empty(self) -> None:
        self.protocol_name, self.leader = None, ""
        self._go(GroupState.EMPTY)
        self._save()

    # -- sync

    def sync(self, request: Sync, token: Token, *, now_ms: int) -> None:
        """Answer `token` now or when the leader's assignment has come."""
        error = self._sync_refusal(request)
        member = self.members.get(request.member_id)
        if error is not ErrorCode.NONE or member is None:
            self._emit(Reply(token, SyncResult(error=error)))
            return
        if self.state is GroupState.STABLE:
            member.refresh(now_ms)
            self._emit(Reply(token, self._assigned(member)))
            return
        self._answer_sync(member, SyncResult(error=ErrorCode.REBALANCE_IN_PROGRESS), now_ms)
        member.synced, member.sync_token = True, token
        if member.member_id == self.leader:
            self._assign(request, now_ms)

    def _sync_refusal(self, request: Sync) -> ErrorCode:
        error = self.check_member(request.member_id, request.group_instance_id)
        if error is not ErrorCode.NONE:
            return error
        if request.generation != self.generation:
            return ErrorCode.ILLEGAL_GENERATION
        same_type = request.protocol_type in (None, self.protocol_type)
        if not same_type or request.protocol_name not in (None, self.protocol_name):
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if self.state is GroupState.PREPARING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        if sum(map(len, request.assignments.values())) > self._config.group_bytes_max:
            return ErrorCode.POLICY_VIOLATION
        return ErrorCode.NONE

    def _assign(self, request: Sync, now_ms: int) -> None:
        for member in self.members:
            member.assignment = request.assignments.get(member.member_id, b"")
        self._go(GroupState.STABLE)
        self._save()
        for member in self.members:
            self._answer_sync(member, self._assigned(member), now_ms)

    def _assigned(self, member: Member) -> SyncResult:
        return SyncResult(
            error=ErrorCode.NONE,
            protocol_type=self.protocol_type,
            protocol_name=self.protocol_name,
            assignment=member.assignment,
        )

    # -- membership

    def check_member(self, member_id: str, group_instance_id: str | None) -> ErrorCode:
        """`UNKNOWN_MEMBER_ID` if this is no member, `FENCED_INSTANCE_ID` if another took its place."""
        if group_instance_id is not None:
            current = self.members.instance(group_instance_id)
            if current is not None and current.member_id != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        known = self.members.get(member_id)
        if known is None or (group_instance_id is not None and known.group_instance_id != group_instance_id):
            return ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE

    def heartbeat(
        self, member_id: str, group_instance_id: str | None, generation: int, *, now_ms: int
    ) -> ErrorCode:
        """Keep a member alive and tell it whether to rejoin."""
        error = self.check_member(member_id, group_instance_id)
        if error is not ErrorCode.NONE:
            return error
        if generation != self.generation:
            return ErrorCode.ILLEGAL_GENERATION
        self._refresh(member_id, now_ms)
        rebalancing = self.state is GroupState.PREPARING_REBALANCE
        return ErrorCode.REBALANCE_IN_PROGRESS if rebalancing else ErrorCode.NONE

    def check_commit(
        self, member_id: str, group_instance_id: str | None, generation: int, *, now_ms: int
    ) -> ErrorCode:
        """Whether this member may commit. It may while others rejoin: nothing has been given away yet."""
        outside = generation < 0 and not member_id and group_instance_id is None
        if generation < 0 and self.state is GroupState.EMPTY:
            return ErrorCode.NONE
        if outside:
            return ErrorCode.UNKNOWN_MEMBER_ID
        error = self.check_member(member_id, group_instance_id)
        if error is not ErrorCode.NONE:
            return error
        if generation != self.generation:
            return ErrorCode.ILLEGAL_GENERATION
        self._refresh(member_id, now_ms)
        if self.state is GroupState.COMPLETING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    def leave(self, leaving: LeavingMember, *, now_ms: int) -> ErrorCode:
        """Put a member out; `settle` afterwards."""
        if leaving.member_id in self.pending:
            del self.pending[leaving.member_id]
            return ErrorCode.NONE
        if leaving.group_instance_id is not None and not leaving.member_id:
            member = self.members.instance(leaving.group_instance_id)
        else:
            error = self.check_member(leaving.member_id, leaving.group_instance_id)
            if error is not ErrorCode.NONE:
                return error
            member = self.members.get(leaving.member_id)
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        self._remove(member, now_ms)
        return ErrorCode.NONE

    def settle(self, *, now_ms: int, departed: bool) -> None:
        """Go on without those who left, if any did: rebalance, or end the one that waited for them."""
        if self.state is GroupState.EMPTY:
            return
        if departed:
            self._begin_rebalance(now_ms)
        if self.state is GroupState.PREPARING_REBALANCE:
            self._complete_join_if_all_came(now_ms)

    def _remove(self, member: Member, now_ms: int) -> None:
        self._answer_join(member, ErrorCode.UNKNOWN_MEMBER_ID)
        self._answer_sync(member, SyncResult(error=ErrorCode.UNKNOWN_MEMBER_ID), now_ms)
        self.members.remove(member)

    def _refresh(self, member_id: str, now_ms: int) -> None:
        member = self.members.get(member_id)
        assert member is not None
        member.refresh(now_ms)

    def die(self) -> None:
        """Be no more; only an empty group can."""
        self._go(GroupState.DEAD)

    # -- time

    @property
    def deadline_ms(self) -> int | None:
        """When `expire` has something to do, unless something happens before."""
        deadlines = [member.deadline_ms for member in self.members]
        deadlines += self.pending.values()
        deadlines += (self._window.deadline_ms, self._sync_deadline_ms)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def expire(self, *, now_ms: int) -> None:
        """Do what is due: silent members out, rebalances that took too long on."""
        self.pending = {member: due for member, due in self.pending.items() if due > now_ms}
        silent = [m for m in self.members if m.deadline_ms is not None and m.deadline_ms <= now_ms]
        if self._sync_deadline_ms is not None and self._sync_deadline_ms <= now_ms:
            self._sync_deadline_ms = None
            silent += [member for member in self.members if not member.synced and member not in silent]
        for member in silent:
            self._remove(member, now_ms)
        self.settle(now_ms=now_ms, departed=bool(silent))
        due_ms = self._window.deadline_ms
        if due_ms is not None and due_ms <= now_ms and self._window.end(now_ms=now_ms):
            self._complete_join(now_ms)

    # -- answers

    def forget(self, token: Token) -> None:
        """Nobody waits for this token any more. The member it belongs to stays."""
        for member in self.members:
            if member.join_token is token:
                member.join_token = None
            if member.sync_token is token:
                member.sync_token = None

    def _answer_join(self, member: Member, error: ErrorCode) -> None:
        token, member.join_token, member.joining = member.join_token, None, False
        if token is None:
            return
        if error is ErrorCode.NONE:
            self._emit(Reply(token, self._joined(member)))
        else:
            self._refuse_join(token, member.member_id, error)

    def _refuse_join(self, token: Token, member_id: str, error: ErrorCode) -> None:
        self._emit(Reply(token, JoinResult(error=error, member_id=member_id)))

    def _answer_sync(self, member: Member, result: SyncResult, now_ms: int) -> None:
        token, member.sync_token = member.sync_token, None
        if token is not None:
            member.refresh(now_ms)
            self._emit(Reply(token, result))

    # -- description

    def describe(self) -> GroupDescription:
        """The group for an administrator."""
        stable = self.state is GroupState.STABLE
        name = self.protocol_name if stable else None
        return GroupDescription(
            group_id=self.group_id,
            state=self.state,
            protocol_type=self.protocol_type,
            protocol_name=name or "",
            members=tuple(member.described(name) for member in self.members),
        )

    def listing(self) -> GroupListing:
        """The group in a list."""
        return GroupListing(group_id=self.group_id, protocol_type=self.protocol_type, state=self.state)
