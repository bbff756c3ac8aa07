"""Groups at work: who waits is answered when it is time, when a peer leaves and when the broker stops."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.groups import (
    DescribeGroupsRequest,
    DescribeGroupsResponse,
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)
from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import BrokerThread

Connect = Callable[[BrokerThread], ApiDesk]
DEADLINE_S = 10.0


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as opened:
        yield lambda broker: opened.enter_context(closing(ApiDesk(broker.address)))


def join(group: str, *, session_timeout_ms: int = 10_000) -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id=group,
        session_timeout_ms=session_timeout_ms,
        rebalance_timeout_ms=30_000,
        member_id="",
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
    )


def sync(group: str, joined: JoinGroupResponse) -> SyncGroupRequest:
    return SyncGroupRequest(
        group_id=group,
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        assignments=[SyncGroupRequestAssignment(member_id=joined.member_id, assignment=b"mine")],
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.001)


def waiting(broker: BrokerThread) -> int:
    """How many clients wait for other members."""
    return broker.call(lambda: len(broker.broker.groups.waiting))


def test_a_stop_answers_members_that_wait(connect: Connect) -> None:
    with BrokerThread() as broker:
        stable, late = connect(broker), connect(broker)
        joined = stable.ask(join("stops"), 3, JoinGroupResponse)
        stable.ask(sync("stops", joined), 2, SyncGroupResponse)
        late.wire.send(join("stops"), 3)
        until(lambda: waiting(broker) == 1)
        started = time.monotonic()
        stopping = threading.Thread(target=broker.stop)
        stopping.start()
        answer = late.wire.receive(join("stops"), 3)
        stopping.join()
        assert isinstance(answer, JoinGroupResponse)
        assert answer.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
        assert time.monotonic() - started < 2


def test_a_member_that_hangs_up_is_waited_for_no_more(connect: Connect) -> None:
    with BrokerThread() as broker:
        stable, gone = connect(broker), connect(broker)
        joined = stable.ask(join("hangs-up"), 3, JoinGroupResponse)
        stable.ask(sync("hangs-up", joined), 2, SyncGroupResponse)
        gone.wire.send(join("hangs-up"), 3)
        until(lambda: waiting(broker) == 1)
        gone.wire.close()
        until(lambda: waiting(broker) == 0)


def test_a_silent_member_is_out_after_its_session(connect: Connect) -> None:
    with BrokerThread() as broker:
        desk = connect(broker)
        desk.ask(join("silent", session_timeout_ms=6_000), 3, JoinGroupResponse)
        service = broker.broker.groups
        later_ms = broker.call(service.now_ms) + 60_000
        broker.call(lambda: service.carry_out(service.coordinator.tick(later_ms)))
        described = desk.ask(DescribeGroupsRequest(groups=["silent"]), 5, DescribeGroupsResponse)
        assert described.groups[0].members == []


def test_a_generation_survives_a_restart(connect: Connect) -> None:
    fs = MemoryFs()
    with BrokerThread(fs) as broker:
        desk = connect(broker)
        joined = desk.ask(join("restarts"), 3, JoinGroupResponse)
        desk.ask(sync("restarts", joined), 2, SyncGroupResponse)
    with BrokerThread(fs) as broker:
        described = connect(broker).ask(DescribeGroupsRequest(groups=["restarts"]), 5, DescribeGroupsResponse)
        (group,) = described.groups
        assert group.group_state == "Stable"
        assert [member.member_assignment for member in group.members] == [b"mine"]


def test_a_damaged_journal_is_reported_and_the_rest_of_it_used(connect: Connect) -> None:
    fs = MemoryFs()
    with BrokerThread(fs) as broker:
        desk = connect(broker)
        for group in ("first", "second"):
            joined = desk.ask(join(group), 3, JoinGroupResponse)
            desk.ask(sync(group, joined), 2, SyncGroupResponse)
    fs.corrupt(Path("/data/groups.journal"), 40, b"\xff" * 8)
    with BrokerThread(fs) as broker:
        assert any("damaged" in finding for finding in broker.broker.findings)
        described = connect(broker).ask(DescribeGroupsRequest(groups=["second"]), 5, DescribeGroupsResponse)
        assert described.groups[0].group_state == "Stable"
