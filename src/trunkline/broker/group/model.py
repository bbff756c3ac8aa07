"""What a group coordinator is asked and what it answers: plain values, whatever version carried them.

The wire's versions differ in what they can say; a handler fills what an old version lacks with the value that
keeps its behaviour (`requires_known_member_id=False` below JoinGroup v4, for instance).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from trunkline.broker.group.entries import Entry
from trunkline.broker.group.state import GroupState
from trunkline.broker.protocol.errors import ErrorCode

Token: TypeAlias = object
"""Whatever the caller uses to find the client that waits; the coordinator only hands it back."""

TopicPartition: TypeAlias = tuple[str, int]

NO_GENERATION = -1
"""The generation of a commit from outside any membership."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """JoinGroup. `protocols` are (name, metadata) in the member's order of preference."""

    group_id: str
    member_id: str = ""
    group_instance_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocol_type: str
    protocols: tuple[tuple[str, bytes], ...]
    requires_known_member_id: bool = True
    """KIP-394, from version 4: a new dynamic member is sent back once, to come with the id it was given."""
    can_skip_assignment: bool = True
    """KIP-814, from version 9: a leader may be told not to compute an assignment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedMember:
    """A member as the leader sees it."""

    member_id: str
    group_instance_id: str | None
    metadata: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinResult:
    """The answer to a join. `members` is empty for everyone but the leader."""

    error: ErrorCode
    member_id: str
    generation: int = NO_GENERATION
    protocol_type: str | None = None
    protocol_name: str | None = None
    leader: str = ""
    skip_assignment: bool = False
    members: tuple[JoinedMember, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """SyncGroup. `assignments` by member id, empty from everyone but the leader."""

    group_id: str
    generation: int
    member_id: str
    group_instance_id: str | None = None
    protocol_type: str | None = None
    """None below version 5, which does not say; likewise the name."""
    protocol_name: str | None = None
    assignments: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """The answer to a sync."""

    error: ErrorCode
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignment: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Heartbeat."""

    group_id: str
    generation: int
    member_id: str
    group_instance_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavingMember:
    """A static member may be named by its instance id alone (the Admin API removes members so)."""

    member_id: str = ""
    group_instance_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """LeaveGroup. One member below version 3."""

    group_id: str
    members: Sequence[LeavingMember]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveResult:
    """One error for each member asked about, in order. Below version 3 the first one is the whole answer."""

    errors: tuple[ErrorCode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """OffsetCommit. The caller has checked that the partitions exist and filled in the topic ids."""

    group_id: str
    generation: int = NO_GENERATION
    member_id: str = ""
    group_instance_id: str | None = None
    offsets: Sequence["CommitOffset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitOffset:
    """A position to commit."""

    topic: str
    topic_id: UUID
    partition: int
    offset: int
    leader_epoch: int = -1
    metadata: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResult:
    """One error for each offset, in the order of the request."""

    errors: tuple[ErrorCode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResult:
    """One error for each group or partition asked about, in order."""

    errors: tuple[ErrorCode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOffsets:
    """OffsetDelete."""

    group_id: str
    partitions: Sequence[TopicPartition]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberDescription:
    """A member as an administrator sees it."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    metadata: bytes
    assignment: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDescription:
    """DescribeGroups. A group nobody knows is described as Dead, without members."""

    group_id: str
    state: GroupState
    protocol_type: str = ""
    protocol_name: str = ""
    members: tuple[MemberDescription, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupListing:
    """ListGroups."""

    group_id: str
    protocol_type: str
    state: GroupState
    group_type: str = "classic"


Result: TypeAlias = JoinResult | SyncResult | LeaveResult | CommitResult | DeleteResult


@dataclass(frozen=True, slots=True)
class Persist:
    """`entry` goes to the journal. Once durable, the caller hands it back with `GroupCoordinator.durable`."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Reply:
    """`result` goes to the client behind `token` once everything before it in the list is durable."""

    token: Token
    result: Result


Effect: TypeAlias = Persist | Reply
