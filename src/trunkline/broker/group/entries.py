"""The facts that outlive a restart, as the journal keeps them.

Folding them in order gives the durable state. An entry sets or removes a whole value, so folding one twice,
or folding a snapshot followed by entries that it already contains, changes nothing.

Fields are only ever added, with defaults, and at the end: a newer broker reads what an older one wrote.
"""

from typing import TypeAlias
from uuid import UUID

import msgspec


class Offset(msgspec.Struct, frozen=True, array_like=True):
    """A committed position. `commit_ms` is Unix time; `leader_epoch` is -1 when the client gave none."""

    offset: int
    leader_epoch: int
    metadata: str
    commit_ms: int
    topic_id: UUID


class SavedMember(msgspec.Struct, frozen=True, array_like=True):
    """A member of a stable group: what it needs to go on after a restart as if nothing had happened."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    metadata: bytes
    assignment: bytes


class GroupSaved(msgspec.Struct, frozen=True, array_like=True, tag="group"):
    """A generation of a group: stable with these members, or empty. `changed_ms` is Unix time."""

    group_id: str
    generation: int
    protocol_type: str
    protocol_name: str
    leader: str
    members: tuple[SavedMember, ...]
    changed_ms: int


class GroupRemoved(msgspec.Struct, frozen=True, array_like=True, tag="no-group"):
    """A group and all its offsets are gone."""

    group_id: str


class OffsetsCommitted(msgspec.Struct, frozen=True, array_like=True, tag="offsets"):
    """Positions of (topic, partition), all set together."""

    group_id: str
    offsets: tuple[tuple[str, int, Offset], ...]


class OffsetsRemoved(msgspec.Struct, frozen=True, array_like=True, tag="no-offsets"):
    """Positions that are gone: deleted, expired, or of a topic that was deleted."""

    group_id: str
    partitions: tuple[tuple[str, int], ...]


Entry: TypeAlias = GroupSaved | GroupRemoved | OffsetsCommitted | OffsetsRemoved
