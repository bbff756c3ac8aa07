"""The life of a group as its members see it: join, sync, heartbeat, leave, in every version."""

import pytest

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.groups import (
    DeleteGroupsRequest,
    DeleteGroupsResponse,
    DescribedGroup,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
    LeaveGroupRequest,
    LeaveGroupResponse,
    ListGroupsRequest,
    ListGroupsResponse,
    MemberIdentity,
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)
from trunkline.testing.api_desk import ApiDesk


def join(desk: ApiDesk, group: str, *, version: int = 9, member_id: str = "") -> JoinGroupResponse:
    request = JoinGroupRequest(
        group_id=group,
        session_timeout_ms=10_000,
        rebalance_timeout_ms=10_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=b"what I want")],
    )
    return desk.ask(request, version, JoinGroupResponse)


def member(desk: ApiDesk, group: str, *, version: int = 9) -> JoinGroupResponse:
    """Join as a client does: once more, with the id it was given, where that is asked for (KIP-394)."""
    first = join(desk, group, version=version)
    if version < 4:
        return first
    assert first.error_code == ErrorCode.MEMBER_ID_REQUIRED
    return join(desk, group, version=version, member_id=first.member_id)


def sync(desk: ApiDesk, group: str, joined: JoinGroupResponse, *, version: int = 5) -> SyncGroupResponse:
    request = SyncGroupRequest(
        group_id=group,
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        protocol_type="consumer",
        protocol_name="range",
        assignments=[SyncGroupRequestAssignment(member_id=joined.member_id, assignment=b"what I get")],
    )
    return desk.ask(request, version, SyncGroupResponse)


def heartbeat(desk: ApiDesk, group: str, joined: JoinGroupResponse, *, version: int = 4) -> int:
    request = HeartbeatRequest(group_id=group, generation_id=joined.generation_id, member_id=joined.member_id)
    return desk.ask(request, version, HeartbeatResponse).error_code


def leave(desk: ApiDesk, group: str, member_id: str, *, version: int = 5) -> LeaveGroupResponse:
    request = LeaveGroupRequest(
        group_id=group, member_id=member_id, members=[MemberIdentity(member_id=member_id)]
    )
    return desk.ask(request, version, LeaveGroupResponse)


def describe(desk: ApiDesk, group: str, *, version: int = 5) -> DescribedGroup:
    return desk.ask(DescribeGroupsRequest(groups=[group]), version, DescribeGroupsResponse).groups[0]


@pytest.mark.parametrize("version", range(10))
def test_the_life_of_a_member_in_every_version(desk: ApiDesk, version: int) -> None:
    group = f"life-{version}"
    joined = member(desk, group, version=version)
    assert (joined.error_code, joined.generation_id, joined.protocol_name) == (0, 1, "range")
    assert joined.leader == joined.member_id
    assert [entry.metadata for entry in joined.members] == [b"what I want"]
    synced = sync(desk, group, joined, version=min(version, 5))
    assert (synced.error_code, synced.assignment) == (0, b"what I get")
    assert heartbeat(desk, group, joined, version=min(version, 4)) == ErrorCode.NONE
    left = leave(desk, group, joined.member_id, version=min(version, 5))
    assert left.error_code == ErrorCode.NONE
    assert all(entry.error_code == ErrorCode.NONE for entry in left.members)
    assert heartbeat(desk, group, joined) == ErrorCode.UNKNOWN_MEMBER_ID


def test_strangers_are_refused(desk: ApiDesk) -> None:
    assert join(desk, "strangers", member_id="made-up").error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert join(desk, "").error_code == ErrorCode.INVALID_GROUP_ID
    assert leave(desk, "strangers", "made-up").members[0].error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert leave(desk, "strangers", "made-up", version=2).error_code == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("version", range(7))
def test_every_version_describes_a_group(desk: ApiDesk, version: int) -> None:
    group = f"described-{version}"
    joined = member(desk, group)
    sync(desk, group, joined)
    described = describe(desk, group, version=version)
    assert (described.error_code, described.group_state, described.protocol_data) == (0, "Stable", "range")
    (seen,) = described.members
    assert (seen.member_id, seen.client_id, seen.client_host) == (joined.member_id, "wire", "/127.0.0.1")
    assert (seen.member_metadata, seen.member_assignment) == (b"what I want", b"what I get")


def test_an_unknown_group_is_dead(desk: ApiDesk) -> None:
    assert (describe(desk, "unknown").error_code, describe(desk, "unknown").group_state) == (0, "Dead")
    assert describe(desk, "unknown", version=6).error_code == ErrorCode.GROUP_ID_NOT_FOUND


@pytest.mark.parametrize("version", range(6))
def test_every_version_lists_groups(desk: ApiDesk, version: int) -> None:
    member(desk, f"listed-{version}")
    answer = desk.ask(ListGroupsRequest(), version, ListGroupsResponse)
    assert f"listed-{version}" in {group.group_id for group in answer.groups}
    if version >= 4:
        empty = desk.ask(ListGroupsRequest(states_filter=["Empty"]), version, ListGroupsResponse)
        assert f"listed-{version}" not in {group.group_id for group in empty.groups}


def test_a_group_is_deleted_once_nobody_is_in_it(desk: ApiDesk) -> None:
    joined = member(desk, "deleted")
    sync(desk, "deleted", joined)
    delete = DeleteGroupsRequest(groups_names=["deleted", "unknown"])
    answer = desk.ask(delete, 2, DeleteGroupsResponse)
    assert [result.error_code for result in answer.results] == [
        ErrorCode.NON_EMPTY_GROUP,
        ErrorCode.GROUP_ID_NOT_FOUND,
    ]
    leave(desk, "deleted", joined.member_id)
    assert desk.ask(delete, 2, DeleteGroupsResponse).results[0].error_code == ErrorCode.NONE
