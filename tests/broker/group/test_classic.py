"""Whatever clients do, and whenever they vanish, a partition has one owner in a generation."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trunkline.broker.group.config import GroupConfig
from trunkline.broker.group.model import LeavingMember, MemberDescription
from trunkline.broker.group.state import GroupState
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.testing.group_desk import GROUP, Desk

PARTITIONS = 4
CLIENTS = st.integers(0, 4)

MEMBERSHIP_LOST = {
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.FENCED_INSTANCE_ID,
    ErrorCode.GROUP_MAX_SIZE_REACHED,
}


class Client:
    """A consumer that follows the protocol, when Hypothesis lets it. The last two are static members."""

    def __init__(self, number: int) -> None:
        self.instance = f"static-{number}" if number >= 3 else None
        self.reset()

    def reset(self) -> None:
        """Start again knowing nothing."""
        self.member_id = ""
        self.generation = -1
        self.leads: tuple[str, ...] = ()
        self.join: str | None = None
        self.sync: str | None = None
        self.owned: frozenset[int] = frozenset()


def shared_out(members: tuple[str, ...]) -> dict[str, bytes]:
    """Every partition to one member, in turn."""
    return {
        member: bytes(range(position, PARTITIONS, len(members))) for position, member in enumerate(members)
    }


class GroupMachine(RuleBasedStateMachine):
    """Five clients of one group, its coordinator, and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(GroupConfig(members_max=4))
        self.clients = [Client(number) for number in range(5)]
        self.generation = 0
        self.owners: dict[tuple[int, int], str] = {}
        self.forgotten: set[str] = set()

    @rule(number=CLIENTS, new_topics=st.booleans())
    def ask_to_join(self, number: int, new_topics: bool) -> None:
        client = self.clients[number]
        if client.join is not None or client.sync is not None:
            return
        client.owned = frozenset()
        client.join = self.desk.ask_join(
            client.member_id,
            instance=client.instance,
            known_id=number % 2 == 0,
            protocols=(("range", b"other" if new_topics else b"topics"),),
            rebalance_timeout_ms=12_000,
        )

    @rule(number=CLIENTS)
    def hear_of_the_join(self, number: int) -> None:
        client = self.clients[number]
        if client.join is None or self.desk.waits(client.join):
            return
        result = self.desk.joined(client.join)
        client.join = None
        if result.error in MEMBERSHIP_LOST:
            client.reset()
        elif result.error is ErrorCode.MEMBER_ID_REQUIRED:
            client.member_id = result.member_id
        elif result.error is ErrorCode.NONE:
            assert result.generation >= client.generation, "a client saw its generation go back"
            client.member_id, client.generation = result.member_id, result.generation
            leads = result.leader == result.member_id and not result.skip_assignment
            client.leads = tuple(member.member_id for member in result.members) if leads else ()

    @rule(number=CLIENTS)
    def ask_to_sync(self, number: int) -> None:
        client = self.clients[number]
        if client.join is None and client.sync is None and client.generation >= 0:
            plan = shared_out(client.leads) if client.leads else {}
            client.sync = self.desk.ask_sync(
                client.member_id, client.generation, assignments=plan, instance=client.instance
            )

    @rule(number=CLIENTS)
    def hear_of_the_sync(self, number: int) -> None:
        client = self.clients[number]
        if client.sync is None or self.desk.waits(client.sync):
            return
        result = self.desk.synced(client.sync)
        client.sync = None
        if result.error in MEMBERSHIP_LOST:
            client.reset()
        elif result.error is ErrorCode.NONE:
            client.owned = frozenset(result.assignment)
            for partition in client.owned:
                owner = self.owners.setdefault(
                    (client.generation, partition), client.instance or client.member_id
                )
                assert owner == (client.instance or client.member_id), "two owners of one partition"

    @rule(number=CLIENTS)
    def beat(self, number: int) -> None:
        client = self.clients[number]
        if client.generation < 0:
            return
        error = self.desk.heartbeat(client.member_id, client.generation, instance=client.instance)
        if error in MEMBERSHIP_LOST:
            client.reset()

    @rule(number=CLIENTS)
    def commit(self, number: int) -> None:
        client = self.clients[number]
        if client.generation < 0:
            return
        error = self.desk.commit(
            member_id=client.member_id, generation=client.generation, instance=client.instance
        )
        if error is ErrorCode.NONE:
            assert client.generation == self.generation, "a commit of an old generation was taken"

    @rule(number=CLIENTS)
    def leave(self, number: int) -> None:
        client = self.clients[number]
        if client.member_id and client.join is None and client.sync is None:
            self.desk.leave(LeavingMember(member_id=client.member_id, group_instance_id=client.instance))
            client.reset()

    @rule(number=CLIENTS)
    def lose_the_connection(self, number: int) -> None:
        client = self.clients[number]
        for token in (client.join, client.sync):
            if token is not None and self.desk.waits(token):
                self.desk.coordinator.forget(GROUP, token)
                self.forgotten.add(token)
        client.join = client.sync = None

    @rule(number=CLIENTS)
    def crash(self, number: int) -> None:
        self.lose_the_connection(number)
        self.clients[number].reset()

    @rule(ms=st.sampled_from([10, 60, 3_000, 11_000, 31_000]))
    def pass_time(self, ms: int) -> None:
        self.desk.advance(ms)

    @invariant()
    def generations_only_grow(self) -> None:
        saved = [entry for entry in self.desk.coordinator.snapshot() if hasattr(entry, "generation")]
        known = max((client.generation for client in self.clients), default=0)
        now = max([known, *(entry.generation for entry in saved)])
        assert self.generation <= max(now, self.generation)
        self.generation = max(now, self.generation)

    @invariant()
    def a_stable_group_has_handed_out_each_partition_once(self) -> None:
        described = self.desk.coordinator.describe(GROUP)
        if described.state is GroupState.STABLE:
            assert_disjoint(described.members)

    @invariant()
    def nobody_who_was_forgotten_is_answered(self) -> None:
        assert not self.forgotten & self.desk.answers.keys()

    def teardown(self) -> None:
        """Left alone, every client is answered and every group becomes empty."""
        self.desk.advance(10 * 60 * 1000)
        waiting = [
            token for client in self.clients for token in (client.join, client.sync) if token is not None
        ]
        assert all(not self.desk.waits(token) for token in waiting), "somebody waits for ever"
        assert self.desk.state in {"Empty", "Dead"}


def assert_disjoint(members: tuple[MemberDescription, ...]) -> None:
    """No partition is in two assignments."""
    owned = [partition for member in members for partition in member.assignment]
    assert len(owned) == len(set(owned))


TestGroup = GroupMachine.TestCase
TestGroup.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
