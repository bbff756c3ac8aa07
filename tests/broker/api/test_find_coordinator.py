"""This broker coordinates every group, and nothing else."""

import pytest

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.groups import FindCoordinatorRequest, FindCoordinatorResponse
from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import BrokerThread


@pytest.mark.parametrize("version", range(4))
def test_every_version_for_one_group_finds_it(desk: ApiDesk, thread: BrokerThread, version: int) -> None:
    answer = desk.ask(FindCoordinatorRequest(key="group"), version, FindCoordinatorResponse)
    assert answer.error_code == ErrorCode.NONE
    assert f"{answer.host}:{answer.port}" == thread.address


@pytest.mark.parametrize("version", range(4, 7))
def test_several_groups_are_found_at_once(desk: ApiDesk, version: int) -> None:
    request = FindCoordinatorRequest(coordinator_keys=["a", "b"])
    answer = desk.ask(request, version, FindCoordinatorResponse)
    assert [(entry.key, entry.error_code) for entry in answer.coordinators] == [("a", 0), ("b", 0)]


@pytest.mark.parametrize(
    ("key_type", "error"),
    [(1, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED), (2, ErrorCode.INVALID_REQUEST)],
)
def test_nothing_else_has_a_coordinator(desk: ApiDesk, key_type: int, error: ErrorCode) -> None:
    one = desk.ask(FindCoordinatorRequest(key="t", key_type=key_type), 3, FindCoordinatorResponse)
    several = FindCoordinatorRequest(coordinator_keys=["t"], key_type=key_type)
    (entry,) = desk.ask(several, 6, FindCoordinatorResponse).coordinators
    assert one.error_code == entry.error_code == error
