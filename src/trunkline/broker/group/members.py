"""The members of one classic group and what they have in common."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from trunkline.broker.group.entries import SavedMember
from trunkline.broker.group.model import Join, JoinedMember, MemberDescription, Token

NEW_MEMBER_TIMEOUT_MS = 5 * 60 * 1000
"""How long a member that nobody has answered yet is kept; Kafka's constant. It has not begun to heartbeat."""

REBALANCE_TIMEOUT_MS_MIN = 100
"""What a group waits for at least. A client may ask for nothing, and the wait for an absent static member
would then begin anew without end."""


@dataclass(slots=True)
class Member:
    """One member. At most one join and one sync of it wait for an answer.

    Waiting and having a token differ: when the connection is lost the token goes, but the member has joined.
    """

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]
    expires_ms: int
    is_new: bool = True
    assignment: bytes = b""
    joining: bool = False
    join_token: Token | None = None
    synced: bool = False
    """Its SyncGroup of the current generation has come."""
    sync_token: Token | None = None

    @classmethod
    def joined(cls, request: Join, *, member_id: str, now_ms: int) -> "Member":
        """A member that has never been answered."""
        return cls(
            member_id=member_id,
            group_instance_id=request.group_instance_id,
            client_id=request.client_id,
            client_host=request.client_host,
            session_timeout_ms=request.session_timeout_ms,
            rebalance_timeout_ms=request.rebalance_timeout_ms,
            protocols=request.protocols,
            expires_ms=now_ms + NEW_MEMBER_TIMEOUT_MS,
        )

    @classmethod
    def restored(cls, saved: SavedMember, *, protocol_name: str, now_ms: int) -> "Member":
        """A member of a stable group after a restart of the broker; it has a session timeout to show up."""
        return cls(
            member_id=saved.member_id,
            group_instance_id=saved.group_instance_id,
            client_id=saved.client_id,
            client_host=saved.client_host,
            session_timeout_ms=saved.session_timeout_ms,
            rebalance_timeout_ms=saved.rebalance_timeout_ms,
            protocols=((protocol_name, saved.metadata),),
            expires_ms=now_ms + saved.session_timeout_ms,
            is_new=False,
            assignment=saved.assignment,
            synced=True,
        )

    def saved(self, protocol_name: str) -> SavedMember:
        """This member as the journal keeps it."""
        return SavedMember(
            member_id=self.member_id,
            group_instance_id=self.group_instance_id,
            client_id=self.client_id,
            client_host=self.client_host,
            session_timeout_ms=self.session_timeout_ms,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            metadata=self.metadata(protocol_name),
            assignment=self.assignment,
        )

    def described(self, protocol_name: str | None) -> MemberDescription:
        """This member for an administrator; without a protocol its metadata means nothing and is left out."""
        stable = protocol_name is not None
        return MemberDescription(
            member_id=self.member_id,
            group_instance_id=self.group_instance_id,
            client_id=self.client_id,
            client_host=self.client_host,
            metadata=self.metadata(protocol_name) if stable else b"",
            assignment=self.assignment if stable else b"",
        )

    def metadata(self, protocol_name: str | None) -> bytes:
        """What the member said under that protocol; empty when it did not name it."""
        return next((metadata for name, metadata in self.protocols if name == protocol_name), b"")

    def update(self, request: Join) -> None:
        """The member joined again, perhaps with other protocols and timeouts."""
        self.protocols = request.protocols
        self.session_timeout_ms = request.session_timeout_ms
        self.rebalance_timeout_ms = request.rebalance_timeout_ms

    def refresh(self, now_ms: int) -> None:
        """The member gave a sign of life."""
        self.expires_ms = now_ms + self.session_timeout_ms

    @property
    def deadline_ms(self) -> int | None:
        """When silence means death. A member that waits for an answer has nothing to say."""
        if self.is_new:
            return self.expires_ms
        waits = self.joining or self.sync_token is not None
        return None if waits else self.expires_ms


def request_size_bytes(request: Join) -> int:
    """About how much memory and journal a member takes."""
    return _size_bytes(request.protocols, request.client_id, request.group_instance_id or "")


def _size_bytes(protocols: tuple[tuple[str, bytes], ...], *ids: str) -> int:
    said = sum(len(name) + len(metadata) for name, metadata in protocols)
    return said + 2 * sum(map(len, ids))


class Members:
    """The members by id, in order of arrival, and by group instance id."""

    __slots__ = ("_by_id", "_by_instance")

    def __init__(self) -> None:
        self._by_id: dict[str, Member] = {}
        self._by_instance: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._by_id.values()))

    def get(self, member_id: str) -> Member | None:
        """The member with this id."""
        return self._by_id.get(member_id)

    def instance(self, group_instance_id: str) -> Member | None:
        """The static member with this instance id (KIP-345)."""
        member_id = self._by_instance.get(group_instance_id)
        return None if member_id is None else self._by_id[member_id]

    def add(self, member: Member) -> None:
        """Take a member in; its ids are not taken."""
        assert member.member_id not in self._by_id
        self._by_id[member.member_id] = member
        if member.group_instance_id is not None:
            assert member.group_instance_id not in self._by_instance
            self._by_instance[member.group_instance_id] = member.member_id

    def remove(self, member: Member) -> None:
        """Put a member out."""
        del self._by_id[member.member_id]
        if member.group_instance_id is not None:
            del self._by_instance[member.group_instance_id]

    def rename(self, member: Member, member_id: str) -> None:
        """A static member came back under a new id: it keeps its place, the old id is fenced."""
        assert member.group_instance_id is not None
        self._by_id = {
            member_id if known == member.member_id else known: value for known, value in self._by_id.items()
        }
        self._by_instance[member.group_instance_id] = member_id
        member.member_id = member_id

    def joining(self) -> int:
        """How many have joined the generation in preparation."""
        return sum(member.joining for member in self._by_id.values())

    def rebalance_timeout_ms(self) -> int:
        """The longest that any member may take to rejoin; 0 without members."""
        longest = max((member.rebalance_timeout_ms for member in self._by_id.values()), default=0)
        return max(longest, REBALANCE_TIMEOUT_MS_MIN) if self._by_id else 0

    def as_joined(self, protocol_name: str | None) -> tuple[JoinedMember, ...]:
        """The members for the leader."""
        return tuple(
            JoinedMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                metadata=member.metadata(protocol_name),
            )
            for member in self._by_id.values()
        )

    def size_bytes(self) -> int:
        """About how much all members have said about themselves."""
        return sum(
            _size_bytes(member.protocols, member.member_id, member.client_id)
            for member in self._by_id.values()
        )

    def common_protocols(self) -> set[str]:
        """The names that every member supports."""
        names = [{name for name, _ in member.protocols} for member in self._by_id.values()]
        return set.intersection(*names) if names else set()

    def elect_protocol(self) -> str:
        """The common protocol most members like best; of equals, the one the earliest member prefers."""
        common = self.common_protocols()
        assert common, "joins without a common protocol are refused"
        votes = Counter(
            next(name for name, _ in member.protocols if name in common) for member in self._by_id.values()
        )
        # Counter keeps the order of first votes, and max takes the first of equals.
        return max(votes, key=votes.__getitem__)
