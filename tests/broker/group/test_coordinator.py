"""Scenarios of the classic group protocol, each named for what it promises."""

import pytest

from trunkline.broker.group.config import GroupConfig
from trunkline.broker.group.coordinator import EXPIRY_INTERVAL_MS
from trunkline.broker.group.members import NEW_MEMBER_TIMEOUT_MS
from trunkline.broker.group.model import DeleteOffsets, DeleteResult, LeavingMember
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.testing.group_desk import GROUP, Desk

DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def desk() -> Desk:
    """A coordinator with the default configuration."""
    return Desk(GroupConfig())


def subscription(*topics: str) -> bytes:
    """A ConsumerProtocolSubscription of version 0."""
    names = b"".join(len(name).to_bytes(2, "big") + name.encode() for name in topics)
    return b"\0\0" + len(topics).to_bytes(4, "big") + names + b"\xff\xff\xff\xff"


# -- joining


def test_a_first_join_is_answered_after_the_initial_delay(desk: Desk) -> None:
    token = desk.ask_join()
    assert desk.waits(token)
    desk.advance(desk.config.initial_rebalance_delay_ms)
    result = desk.joined(token)
    assert (result.error, result.generation, result.leader) == (ErrorCode.NONE, 1, result.member_id)
    assert [member.metadata for member in result.members] == [b"topics"]


def test_without_an_initial_delay_a_first_join_is_answered_at_once() -> None:
    desk = Desk(GroupConfig(initial_rebalance_delay_ms=0))
    assert desk.joined(desk.ask_join()).generation == 1


def test_members_that_come_during_the_initial_delay_share_the_first_generation(desk: Desk) -> None:
    tokens = [desk.ask_join()]
    for _ in range(3):
        desk.advance(desk.config.initial_rebalance_delay_ms - 10)
        tokens.append(desk.ask_join())
    desk.advance(2 * desk.config.initial_rebalance_delay_ms)
    results = [desk.joined(token) for token in tokens]
    assert {result.generation for result in results} == {1}
    assert [len(result.members) for result in results] == [4, 0, 0, 0]


def test_the_initial_delay_never_exceeds_the_rebalance_timeout() -> None:
    desk = Desk(GroupConfig(initial_rebalance_delay_ms=100))
    first = desk.ask_join(rebalance_timeout_ms=250)
    for _ in range(4):
        desk.advance(60)
        desk.ask_join(rebalance_timeout_ms=250)
    desk.advance(10)
    assert not desk.waits(first)


def test_a_new_dynamic_member_is_sent_back_once_to_come_with_its_id(desk: Desk) -> None:
    """KIP-394."""
    refused = desk.joined(desk.ask_join(known_id=True))
    assert refused.error is ErrorCode.MEMBER_ID_REQUIRED
    token = desk.ask_join(refused.member_id, known_id=True)
    desk.advance(100)
    assert desk.joined(token).member_id == refused.member_id


def test_a_member_id_that_is_not_used_is_forgotten_after_its_session_timeout(desk: Desk) -> None:
    refused = desk.joined(desk.ask_join(known_id=True))
    desk.advance(10_000)
    again = desk.joined(desk.ask_join(refused.member_id, known_id=True))
    assert again.error is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_rebalance_waits_for_a_member_that_was_just_given_its_id(desk: Desk) -> None:
    leader, follower = desk.form()
    pending = desk.joined(desk.ask_join(known_id=True)).member_id
    first = desk.ask_join(leader)
    second = desk.ask_join(follower)
    assert desk.waits(first)
    third = desk.ask_join(pending, known_id=True)
    assert {desk.joined(token).generation for token in (first, second, third)} == {2}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"group": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"session_timeout_ms": 10}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"session_timeout_ms": 10**9}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"protocols": ()}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": ""}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"member_id": "nobody"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"protocols": (("range", bytes(5 << 20)),)}, ErrorCode.GROUP_MAX_SIZE_REACHED),
    ],
)
def test_a_join_that_makes_no_sense_is_refused_at_once(
    desk: Desk, changes: dict[str, object], error: ErrorCode
) -> None:
    assert desk.joined(desk.ask_join(**changes)).error is error  # type: ignore[arg-type]  # a table of arguments


@pytest.mark.parametrize(
    "changes", [{"protocol_type": "connect"}, {"protocols": (("sticky", b""),)}], ids=["type", "protocols"]
)
def test_a_member_with_nothing_in_common_with_the_others_is_refused(
    desk: Desk, changes: dict[str, object]
) -> None:
    desk.form()
    result = desk.joined(desk.ask_join(**changes))  # type: ignore[arg-type]  # a table of arguments
    assert result.error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert desk.state == "Stable"


def test_the_protocol_that_most_members_prefer_is_elected_among_the_common_ones(desk: Desk) -> None:
    preferences = ["range sticky old", "sticky range", "sticky range new"]
    tokens = [
        desk.ask_join(protocols=tuple((name, name.encode()) for name in names.split()))
        for names in preferences
    ]
    desk.advance(100)
    leader = desk.joined(tokens[0])
    assert leader.protocol_name == "sticky"
    assert [member.metadata for member in leader.members] == [b"sticky"] * 3


def test_a_full_group_refuses_another_member_but_not_its_own() -> None:
    desk = Desk(GroupConfig(members_max=2))
    leader, follower = desk.form()
    assert desk.joined(desk.ask_join()).error is ErrorCode.GROUP_MAX_SIZE_REACHED
    tokens = [desk.ask_join(leader), desk.ask_join(follower)]
    assert {desk.joined(token).error for token in tokens} == {ErrorCode.NONE}


def test_there_is_a_limit_to_the_number_of_groups() -> None:
    desk = Desk(GroupConfig(groups_max=1))
    desk.form()
    assert desk.joined(desk.ask_join(group="another")).error is ErrorCode.POLICY_VIOLATION
    assert desk.commit(group="another") is ErrorCode.POLICY_VIOLATION


# -- rebalancing


def test_a_new_member_makes_the_others_rejoin(desk: Desk) -> None:
    leader, follower = desk.form()
    newcomer = desk.ask_join()
    assert desk.heartbeat(leader, 1) is ErrorCode.REBALANCE_IN_PROGRESS
    assert desk.waits(newcomer)
    tokens = [desk.ask_join(leader), desk.ask_join(follower), newcomer]
    results = [desk.joined(token) for token in tokens]
    assert [result.generation for result in results] == [2, 2, 2]
    assert [len(result.members) for result in results] == [3, 0, 0]


def test_who_does_not_rejoin_within_the_rebalance_timeout_is_out(desk: Desk) -> None:
    leader, follower = desk.form()
    newcomer = desk.ask_join()
    rejoined = desk.ask_join(follower)
    for _ in range(29):
        desk.advance(1_000)
        assert desk.heartbeat(leader, 1) is ErrorCode.REBALANCE_IN_PROGRESS
    assert desk.waits(newcomer)
    desk.advance(1_000)
    assert desk.joined(rejoined).leader == follower
    assert desk.heartbeat(leader, 1) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_silent_member_is_out_after_its_session_timeout(desk: Desk) -> None:
    leader, follower = desk.form()
    desk.advance(9_000)
    assert desk.heartbeat(leader, 1) is ErrorCode.NONE
    desk.advance(1_000)
    assert desk.heartbeat(leader, 1) is ErrorCode.REBALANCE_IN_PROGRESS
    assert desk.heartbeat(follower, 1) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_follower_that_rejoins_unchanged_gets_its_generation_again(desk: Desk) -> None:
    _, follower = desk.form()
    result = desk.joined(desk.ask_join(follower))
    assert (result.error, result.generation, desk.state) == (ErrorCode.NONE, 1, "Stable")


def test_a_leader_that_rejoins_wants_a_new_assignment(desk: Desk) -> None:
    leader, _ = desk.form()
    assert desk.waits(desk.ask_join(leader))
    assert desk.state == "PreparingRebalance"


def test_a_member_with_another_subscription_starts_a_rebalance(desk: Desk) -> None:
    _, follower = desk.form()
    assert desk.waits(desk.ask_join(follower, protocols=(("range", b"other topics"),)))


def test_a_join_repeated_while_the_first_waits_replaces_it(desk: Desk) -> None:
    leader, follower = desk.form()
    lost = desk.ask_join(leader)
    again = desk.ask_join(leader)
    assert desk.joined(lost).error is ErrorCode.REBALANCE_IN_PROGRESS
    desk.ask_join(follower)
    assert desk.joined(again).generation == 2


def test_followers_wait_for_the_leaders_assignment(desk: Desk) -> None:
    tokens = [desk.ask_join(), desk.ask_join()]
    desk.advance(100)
    leader, follower = (desk.joined(token).member_id for token in tokens)
    waiting = desk.ask_sync(follower, 1)
    assert desk.waits(waiting)
    assert desk.heartbeat(follower, 1) is ErrorCode.NONE
    desk.ask_sync(leader, 1, assignments={leader: b"a", follower: b"b"})
    assert desk.synced(waiting).assignment == b"b"
    assert desk.synced(desk.ask_sync(follower, 1)).assignment == b"b"


def test_a_follower_that_waits_for_the_assignment_need_not_heartbeat(desk: Desk) -> None:
    tokens = [desk.ask_join(session_timeout_ms=10_000), desk.ask_join(session_timeout_ms=10_000)]
    desk.advance(100)
    leader, follower = (desk.joined(token).member_id for token in tokens)
    waiting = desk.ask_sync(follower, 1)
    desk.advance(8_000)
    desk.heartbeat(leader, 1)
    desk.advance(8_000)
    desk.ask_sync(leader, 1, assignments={follower: b"b"})
    assert desk.synced(waiting).assignment == b"b"
    desk.advance(9_999)
    assert desk.heartbeat(follower, 1) is ErrorCode.NONE


def test_a_join_during_the_sync_sends_everyone_back(desk: Desk) -> None:
    tokens = [desk.ask_join(), desk.ask_join()]
    desk.advance(100)
    follower = desk.joined(tokens[1]).member_id
    waiting = desk.ask_sync(follower, 1)
    desk.ask_join()
    assert desk.synced(waiting).error is ErrorCode.REBALANCE_IN_PROGRESS


def test_who_does_not_sync_within_the_rebalance_timeout_is_out(desk: Desk) -> None:
    tokens = [desk.ask_join(session_timeout_ms=60_000), desk.ask_join(session_timeout_ms=60_000)]
    desk.advance(100)
    leader, follower = (desk.joined(token).member_id for token in tokens)
    waiting = desk.ask_sync(follower, 1)
    desk.advance(30_000)
    assert desk.synced(waiting).error is ErrorCode.REBALANCE_IN_PROGRESS
    assert desk.heartbeat(leader, 1) is ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize(
    ("member", "generation", "protocol", "error"),
    [
        ("nobody", 1, None, ErrorCode.UNKNOWN_MEMBER_ID),
        (None, 7, None, ErrorCode.ILLEGAL_GENERATION),
        (None, 1, "sticky", ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        (None, 1, "range", ErrorCode.NONE),
    ],
)
def test_a_sync_is_checked(
    desk: Desk, member: str | None, generation: int, protocol: str | None, error: ErrorCode
) -> None:
    _, follower = desk.form()
    token = desk.ask_sync(member or follower, generation, protocol_name=protocol)
    assert desk.synced(token).error is error


def test_an_assignment_beyond_all_measure_is_refused() -> None:
    desk = Desk(GroupConfig(initial_rebalance_delay_ms=0, group_bytes_max=100))
    leader = desk.joined(desk.ask_join()).member_id
    token = desk.ask_sync(leader, 1, assignments={leader: bytes(101)})
    assert desk.synced(token).error is ErrorCode.POLICY_VIOLATION


# -- leaving and vanishing


def test_a_member_that_leaves_makes_the_others_rejoin(desk: Desk) -> None:
    leader, follower = desk.form()
    assert desk.leave(LeavingMember(member_id=leader)) == (ErrorCode.NONE,)
    assert desk.heartbeat(follower, 1) is ErrorCode.REBALANCE_IN_PROGRESS
    rejoined = desk.joined(desk.ask_join(follower))
    assert (rejoined.leader, rejoined.generation) == (follower, 2)


def test_several_members_leave_in_one_request(desk: Desk) -> None:
    leader, follower = desk.form()
    errors = desk.leave(
        LeavingMember(member_id=leader), LeavingMember(member_id="nobody"), LeavingMember(member_id=follower)
    )
    assert errors == (ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.NONE)
    assert desk.state == "Empty"


def test_a_leave_completes_the_rebalance_that_waited_for_the_member(desk: Desk) -> None:
    leader, follower = desk.form()
    waiting = desk.ask_join(leader)
    desk.leave(LeavingMember(member_id=follower))
    assert desk.joined(waiting).generation == 2


def test_a_member_id_can_be_given_back_unused(desk: Desk) -> None:
    pending = desk.joined(desk.ask_join(known_id=True)).member_id
    assert desk.leave(LeavingMember(member_id=pending)) == (ErrorCode.NONE,)
    assert desk.joined(desk.ask_join(pending)).error is ErrorCode.UNKNOWN_MEMBER_ID


def test_nobody_leaves_a_group_that_does_not_exist(desk: Desk) -> None:
    assert desk.leave(LeavingMember(member_id="a")) == (ErrorCode.UNKNOWN_MEMBER_ID,)


def test_a_forgotten_token_is_never_answered(desk: Desk) -> None:
    leader, follower = desk.form()
    lost = desk.ask_join(leader)
    desk.coordinator.forget(GROUP, lost)
    desk.ask_join(follower)
    assert desk.waits(lost)
    assert desk.state == "CompletingRebalance"


def test_a_member_whose_connection_was_lost_in_its_first_join_goes_after_its_session(desk: Desk) -> None:
    lost = desk.ask_join()
    desk.coordinator.forget(GROUP, lost)
    desk.advance(100)
    assert desk.state == "CompletingRebalance"
    desk.advance(10_000)
    assert desk.state == "Empty"


def test_a_new_member_does_not_wait_for_ever(desk: Desk) -> None:
    """A rebalance that takes longer than five minutes has lost its clients."""
    desk.form(2, instances=("a", "b"))
    token = desk.ask_join(rebalance_timeout_ms=2 * NEW_MEMBER_TIMEOUT_MS)
    desk.advance(2 * NEW_MEMBER_TIMEOUT_MS)
    assert not desk.waits(token)


# -- static members (KIP-345)


def test_a_static_member_that_restarts_gets_its_assignment_back_without_a_rebalance(desk: Desk) -> None:
    leader, follower = desk.form(2, instances=("a", "b"))
    back = desk.joined(desk.ask_join(instance="b"))
    assert (back.error, back.generation, desk.state) == (ErrorCode.NONE, 1, "Stable")
    assert back.member_id != follower
    assert desk.synced(desk.ask_sync(back.member_id, 1, instance="b")).assignment == b"1"
    assert desk.heartbeat(leader, 1, instance="a") is ErrorCode.NONE


def test_the_old_incarnation_of_a_static_member_is_fenced_everywhere(desk: Desk) -> None:
    _, follower = desk.form(2, instances=("a", "b"))
    desk.ask_join(instance="b")
    fenced = ErrorCode.FENCED_INSTANCE_ID
    assert desk.heartbeat(follower, 1, instance="b") is fenced
    assert desk.commit(member_id=follower, generation=1, instance="b") is fenced
    assert desk.synced(desk.ask_sync(follower, 1, instance="b")).error is fenced
    assert desk.joined(desk.ask_join(follower, instance="b")).error is fenced
    assert desk.leave(LeavingMember(member_id=follower, group_instance_id="b")) == (fenced,)


def test_a_restarted_static_leader_is_told_to_skip_the_assignment(desk: Desk) -> None:
    """KIP-814."""
    desk.form(2, instances=("a", "b"))
    back = desk.joined(desk.ask_join(instance="a"))
    assert back.skip_assignment
    assert (back.leader, len(back.members)) == (back.member_id, 2)


def test_a_restarted_static_leader_that_cannot_skip_does_not_learn_that_it_leads(desk: Desk) -> None:
    leader, _ = desk.form(2, instances=("a", "b"))
    back = desk.joined(desk.ask_join(instance="a", can_skip=False))
    assert not back.skip_assignment
    assert (back.leader, back.members) == (leader, ())


def test_a_static_member_that_takes_its_place_during_a_rebalance_fences_the_waiting_one(desk: Desk) -> None:
    leader, follower = desk.form(2, instances=("a", "b"))
    waiting = desk.ask_join(leader, instance="a")
    back = desk.ask_join(instance="a")
    assert desk.joined(waiting).error is ErrorCode.FENCED_INSTANCE_ID
    desk.ask_join(follower, instance="b")
    assert desk.joined(back).generation == 2


def test_a_static_member_keeps_its_place_in_a_rebalance_until_its_session_ends(desk: Desk) -> None:
    leader, follower = desk.form(2, instances=("a", "b"))
    rejoined = desk.ask_join(leader, instance="a", rebalance_timeout_ms=5_000)
    desk.advance(1)
    assert desk.waits(rejoined)
    desk.advance(9_999)
    assert [member.group_instance_id for member in desk.joined(rejoined).members] == ["a"]
    assert desk.heartbeat(follower, 1, instance="b") is ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("timeout_ms", [0, -1])
def test_waiting_for_an_absent_static_member_ends_although_no_time_was_granted(
    desk: Desk, timeout_ms: int
) -> None:
    tokens = [desk.ask_join(instance=instance, rebalance_timeout_ms=timeout_ms) for instance in ("one", None)]
    desk.advance(100)
    ids = [desk.joined(token).member_id for token in tokens]
    desk.ask_sync(ids[0], 1, assignments=dict.fromkeys(ids, b""))
    desk.ask_sync(ids[1], 1)
    assert desk.state == "Stable"
    desk.leave(LeavingMember(member_id=ids[1]))
    assert desk.state == "PreparingRebalance"
    desk.advance(11_000)
    assert desk.state == "Empty"


def test_an_administrator_removes_a_static_member_by_its_instance_id(desk: Desk) -> None:
    desk.form(2, instances=("a", "b"))
    errors = desk.leave(LeavingMember(group_instance_id="a"), LeavingMember(group_instance_id="z"))
    assert errors == (ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID)
    assert desk.state == "PreparingRebalance"


# -- commits


def test_a_member_of_this_generation_commits(desk: Desk) -> None:
    leader, _ = desk.form()
    assert desk.commit(41, member_id=leader, generation=1) is ErrorCode.NONE
    assert desk.committed() == 41


@pytest.mark.parametrize(
    ("member", "generation", "error"),
    [
        ("nobody", 1, ErrorCode.UNKNOWN_MEMBER_ID),
        ("", -1, ErrorCode.UNKNOWN_MEMBER_ID),
        (None, 0, ErrorCode.ILLEGAL_GENERATION),
        (None, 2, ErrorCode.ILLEGAL_GENERATION),
    ],
)
def test_nobody_else_commits_while_a_group_has_members(
    desk: Desk, member: str | None, generation: int, error: ErrorCode
) -> None:
    leader, _ = desk.form()
    member_id = leader if member is None else member
    assert desk.commit(member_id=member_id, generation=generation) is error
    assert desk.committed() is None


def test_a_commit_is_good_while_others_rejoin_and_refused_while_the_assignment_is_out(desk: Desk) -> None:
    leader, follower = desk.form()
    desk.ask_join(leader)
    assert desk.state == "PreparingRebalance"
    assert desk.commit(8, member_id=follower, generation=1) is ErrorCode.NONE
    desk.ask_join(follower)
    assert desk.state == "CompletingRebalance"
    assert desk.commit(9, member_id=follower, generation=1) is ErrorCode.ILLEGAL_GENERATION
    assert desk.commit(9, member_id=follower, generation=2) is ErrorCode.REBALANCE_IN_PROGRESS
    assert desk.committed() == 8


def test_a_consumer_without_a_group_commits_under_any_free_name(desk: Desk) -> None:
    assert desk.commit(3) is ErrorCode.NONE
    assert desk.commit(4) is ErrorCode.NONE
    assert (desk.committed(), desk.state) == (4, "Empty")


def test_a_generation_of_a_group_that_does_not_exist_is_illegal(desk: Desk) -> None:
    assert desk.commit(member_id="a", generation=3) is ErrorCode.ILLEGAL_GENERATION


def test_a_commit_keeps_a_member_alive(desk: Desk) -> None:
    leader, follower = desk.form()
    for _ in range(5):
        desk.advance(5_000)
        assert desk.commit(member_id=leader, generation=1) is ErrorCode.NONE
        assert desk.heartbeat(follower, 1) is ErrorCode.NONE


def test_oversized_commit_metadata_is_refused(desk: Desk) -> None:
    assert desk.commit(metadata="x" * 4_097) is ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert desk.committed() is None


def test_deleted_topics_take_their_offsets_along(desk: Desk) -> None:
    desk.commit(3)
    desk.commit(3, topic="u")
    desk.carry_out(desk.coordinator.topics_deleted(["t"]))
    assert list(desk.coordinator.offsets(GROUP)) == [("u", 0)]


def delete_offsets(desk: Desk, *topics: str) -> tuple[ErrorCode, ...]:
    """Delete the offsets of partition 0 of some topics."""
    token = desk.token()
    request = DeleteOffsets(group_id=GROUP, partitions=[(topic, 0) for topic in topics])
    desk.carry_out(desk.coordinator.delete_offsets(request, token))
    result = desk.answers[token]
    assert isinstance(result, DeleteResult)
    return result.errors


def test_offsets_of_a_topic_somebody_reads_are_not_deleted() -> None:
    desk = Desk(GroupConfig(initial_rebalance_delay_ms=0))
    member = desk.joined(desk.ask_join(protocols=(("range", subscription("t")),))).member_id
    desk.ask_sync(member, 1, assignments={member: b""})
    for topic in ("t", "u"):
        desk.commit(3, member_id=member, generation=1, topic=topic)
    assert delete_offsets(desk, "t", "u") == (ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, ErrorCode.NONE)
    assert list(desk.coordinator.offsets(GROUP)) == [("t", 0)]


def test_offsets_of_an_unknown_group_are_not_deleted(desk: Desk) -> None:
    assert delete_offsets(desk, "t") == (ErrorCode.GROUP_ID_NOT_FOUND,)


# -- expiry and administration


def test_offsets_expire_a_week_after_the_group_became_empty(desk: Desk) -> None:
    leader, follower = desk.form()
    desk.commit(member_id=leader, generation=1)
    desk.leave(LeavingMember(member_id=leader), LeavingMember(member_id=follower))
    desk.advance(7 * DAY_MS - 2 * EXPIRY_INTERVAL_MS)
    assert desk.committed() == 5
    desk.advance(3 * EXPIRY_INTERVAL_MS)
    assert desk.committed() is None
    assert desk.state == "Dead"


def test_offsets_of_a_group_with_members_never_expire(desk: Desk) -> None:
    member = desk.form(1)[0]
    desk.commit(member_id=member, generation=1)
    for _ in range(20):
        desk.advance(9_000)
        desk.heartbeat(member, 1)
    desk.wall_ms += 30 * DAY_MS
    desk.carry_out(desk.coordinator.tick(desk.now_ms + EXPIRY_INTERVAL_MS))
    assert desk.committed() == 5


def test_simple_commits_expire_one_by_one(desk: Desk) -> None:
    desk.commit(1)
    desk.advance(4 * DAY_MS)
    desk.commit(2, topic="u")
    desk.advance(4 * DAY_MS)
    assert list(desk.coordinator.offsets(GROUP)) == [("u", 0)]


def test_a_group_is_described_with_what_its_members_own(desk: Desk) -> None:
    desk.form()
    described = desk.coordinator.describe(GROUP)
    assert (described.state, described.protocol_type, described.protocol_name) == (
        "Stable",
        "consumer",
        "range",
    )
    assert [member.assignment for member in described.members] == [b"0", b"1"]
    assert desk.coordinator.describe("unknown").state == "Dead"


@pytest.mark.parametrize(
    ("states", "types", "found"),
    [
        ((), (), {GROUP, "simple"}),
        (("stable",), (), {GROUP}),
        (("Empty", "Dead"), ("Classic",), {"simple"}),
        ((), ("consumer",), set()),
    ],
)
def test_groups_are_listed_by_state_and_type(
    desk: Desk, states: tuple[str, ...], types: tuple[str, ...], found: set[str]
) -> None:
    desk.form()
    desk.commit(group="simple")
    listed = desk.coordinator.list_groups(states=states, types=types)
    assert {listing.group_id for listing in listed} == found


def test_only_groups_without_members_are_deleted_and_their_offsets_with_them(desk: Desk) -> None:
    desk.form()
    desk.commit(group="simple")
    errors = desk.delete_groups(GROUP, "simple", "unknown")
    assert errors == (ErrorCode.NON_EMPTY_GROUP, ErrorCode.NONE, ErrorCode.GROUP_ID_NOT_FOUND)
    assert not desk.coordinator.offsets("simple")


# -- restart


def test_members_of_a_stable_group_outlive_a_restart(desk: Desk) -> None:
    leader, follower = desk.form()
    desk.commit(17, member_id=leader, generation=1)
    after = desk.restarted()
    assert after.heartbeat(leader, 1) is ErrorCode.NONE
    assert after.commit(18, member_id=follower, generation=1) is ErrorCode.NONE
    assert after.synced(after.ask_sync(follower, 1)).assignment == b"1"
    assert after.committed() == 18


def test_members_that_do_not_come_back_after_a_restart_are_out_after_their_session(desk: Desk) -> None:
    desk.form()
    after = desk.restarted()
    after.advance(9_999)
    assert after.state == "Stable"
    after.advance(1)
    assert after.state == "Empty"


def test_generations_go_on_after_a_restart(desk: Desk) -> None:
    leader, follower = desk.form()
    desk.leave(LeavingMember(member_id=leader), LeavingMember(member_id=follower))
    after = desk.restarted()
    token = after.ask_join()
    after.advance(100)
    assert after.joined(token).generation == 3


def test_a_static_member_finds_its_place_after_a_restart(desk: Desk) -> None:
    desk.form(2, instances=("a", "b"))
    after = desk.restarted()
    back = after.joined(after.ask_join(instance="b"))
    assert (back.error, back.generation, after.state) == (ErrorCode.NONE, 1, "Stable")


def test_a_snapshot_folds_to_the_same_state(desk: Desk) -> None:
    leader, _ = desk.form()
    desk.commit(member_id=leader, generation=1)
    desk.commit(group="simple")
    snapshot = list(desk.coordinator.snapshot())
    after = Desk(desk.config, snapshot)
    assert list(after.coordinator.snapshot()) == snapshot
    assert after.coordinator.describe(GROUP) == desk.coordinator.describe(GROUP)
