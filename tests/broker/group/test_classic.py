"""Whatever clients do, and whenever they vanish, a partition has one owner in a generation."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trunkline.broker.group.config import GroupConfig
from trunkline.broker.group.entries import GroupSaved
from trunkline.broker.group.model import JoinResult, LeavingMember, MemberDescription
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
    """A consumer that follows the protocol, a step at a time. The last two are static members."""

    def __init__(self, number: int) -> None:
        self.instance = f"static-{number}" if number >= 3 else None
        self.known_id = number % 2 == 0
        self.reset()

    def reset(self) -> None:
        """Start again knowing nothing."""
        self.member_id = ""
        self.generation = -1
        self.leads: tuple[str, ...] = ()
        self.join: str | None = None
        self.sync: str | None = None
        self.must_join = True
        self.assigned = False


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
        # A group with a committed offset is not forgotten while it is empty, so its generations go on.
        self.desk.commit()
        self.clients = [Client(number) for number in range(5)]
        self.saved_generation = 0
        self.owners: dict[tuple[int, int], str] = {}
        self.forgotten: set[str] = set()

    @rule(numbers=st.lists(CLIENTS, min_size=1, max_size=12))
    def work(self, numbers: list[int]) -> None:
        """Clients take their next steps, in some order."""
        for number in numbers:
            self._step(self.clients[number])

    @rule(rounds=st.integers(1, 6))
    def work_together(self, rounds: int) -> None:
        """All clients take several steps while a little time passes."""
        for _ in range(rounds):
            for client in self.clients:
                self._step(client)
            self.desk.advance(60)

    def _step(self, client: Client) -> None:
        if client.join is not None:
            self._hear_of_the_join(client, client.join)
        elif client.sync is not None:
            self._hear_of_the_sync(client, client.sync)
        elif client.must_join:
            client.join = self._ask_to_join(client, b"topics")
        elif not client.assigned:
            plan = shared_out(client.leads) if client.leads else {}
            client.sync = self.desk.ask_sync(
                client.member_id, client.generation, assignments=plan, instance=client.instance
            )
        else:
            error = self.desk.heartbeat(client.member_id, client.generation, instance=client.instance)
            self._take(client, error)

    def _ask_to_join(self, client: Client, topics: bytes) -> str:
        client.assigned = False
        return self.desk.ask_join(
            client.member_id,
            instance=client.instance,
            known_id=client.known_id,
            protocols=(("range", topics),),
            rebalance_timeout_ms=12_000,
        )

    def _take(self, client: Client, error: ErrorCode) -> None:
        """What a client does about an error."""
        if error in MEMBERSHIP_LOST:
            client.reset()
        elif error is not ErrorCode.NONE:
            client.must_join = True

    def _hear_of_the_join(self, client: Client, token: str) -> None:
        if self.desk.waits(token):
            return
        result = self.desk.joined(token)
        client.join = None
        self._take(client, result.error)
        if result.error is ErrorCode.MEMBER_ID_REQUIRED:
            client.member_id = result.member_id
        elif result.error is ErrorCode.NONE:
            assert result.generation >= client.generation, "a client saw its generation go back"
            client.member_id, client.generation = result.member_id, result.generation
            leads = result.leader == result.member_id and not result.skip_assignment
            client.leads = tuple(member.member_id for member in result.members) if leads else ()
            client.must_join = False

    def _hear_of_the_sync(self, client: Client, token: str) -> None:
        if self.desk.waits(token):
            return
        result = self.desk.synced(token)
        client.sync = None
        self._take(client, result.error)
        if result.error is ErrorCode.NONE:
            client.assigned = True
            name = client.instance or client.member_id
            for partition in result.assignment:
                owner = self.owners.setdefault((client.generation, partition), name)
                assert owner == name, "two owners of one partition in one generation"

    @rule(number=CLIENTS)
    def subscribe_to_others(self, number: int) -> None:
        client = self.clients[number]
        if client.join is None and client.sync is None:
            client.join = self._ask_to_join(client, b"other topics")

    @rule(number=CLIENTS)
    def commit(self, number: int) -> None:
        client = self.clients[number]
        if not client.assigned:
            return
        error = self.desk.commit(
            member_id=client.member_id, generation=client.generation, instance=client.instance
        )
        if error is ErrorCode.NONE:
            joined = [answer for answer in self.desk.answers.values() if isinstance(answer, JoinResult)]
            newest = max(result.generation for result in joined)
            assert client.generation == newest, "a commit of an old generation was taken"

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
        client.must_join = True

    @rule(number=CLIENTS)
    def crash(self, number: int) -> None:
        self.lose_the_connection(number)
        self.clients[number].reset()

    @rule(ms=st.sampled_from([10, 60, 60, 3_000, 9_000, 11_000, 31_000]))
    def pass_time(self, ms: int) -> None:
        self.desk.advance(ms)

    @invariant()
    def saved_generations_only_grow(self) -> None:
        for entry in self.desk.coordinator.snapshot():
            if isinstance(entry, GroupSaved):
                assert entry.generation >= self.saved_generation
                self.saved_generation = entry.generation

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
        assert self.desk.state == "Empty"


def assert_disjoint(members: tuple[MemberDescription, ...]) -> None:
    """No partition is in two assignments."""
    owned = [partition for member in members for partition in member.assignment]
    assert len(owned) == len(set(owned))


TestGroup = GroupMachine.TestCase
TestGroup.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
