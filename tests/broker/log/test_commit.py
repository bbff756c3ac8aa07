"""Nobody is told before the sync that covers them has returned, and one sync serves many."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from trunkline.broker.log.commit import Durability, GroupCommit
from trunkline.broker.log.errors import LogStopped
from trunkline.broker.log.fs import OsFs
from trunkline.broker.log.options import LogOptions
from trunkline.broker.log.partition import PartitionLog
from trunkline.broker.protocol.batch import split
from trunkline.broker.protocol.records import records
from trunkline.testing.log_desk import NOW_MS, make_batch


class GatedLog:
    """A log whose syncs wait until the test lets them go on."""

    def __init__(self, *, open_gate: bool = False) -> None:
        self.log_end_offset = 0
        self.visible = 0
        self.syncs: list[int] = []
        self.failure: Exception | None = None
        self.started = threading.Semaphore(0)
        self.gate = threading.Semaphore(1_000_000 if open_gate else 0)

    def append(self) -> int:
        self.log_end_offset += 1
        return self.log_end_offset

    def sync(self) -> int:
        covered = self.log_end_offset
        self.started.release()
        assert self.gate.acquire(timeout=10), "the test never opened the gate"
        if self.failure is not None:
            raise self.failure
        self.syncs.append(covered)
        return covered

    def advance(self, offset: int) -> None:
        assert offset >= self.visible
        self.visible = offset

    async def wait_started(self) -> None:
        await asyncio.to_thread(self.started.acquire)


def run(body: Callable[[GroupCommit], Awaitable[None]], *, durability: Durability = "fsync") -> None:
    async def main() -> None:
        committer = GroupCommit(durability=durability, flush_interval_s=0.01)
        try:
            await body(committer)
        finally:
            await committer.close()

    asyncio.run(main())


def test_what_was_appended_is_visible_once_it_is_durable() -> None:
    async def body(committer: GroupCommit) -> None:
        log = GatedLog(open_gate=True)
        log.append()
        await committer.durable(log)
        assert (log.syncs, log.visible) == ([1], 1)

    run(body)


def test_the_next_group_forms_while_one_is_synced() -> None:
    async def body(committer: GroupCommit) -> None:
        log = GatedLog()
        log.append()
        first = asyncio.ensure_future(committer.durable(log))
        await asyncio.sleep(0)
        await log.wait_started()
        later = []
        for _ in range(50):
            log.append()
            later.append(asyncio.ensure_future(committer.durable(log)))
        await asyncio.sleep(0)
        log.gate.release()
        await first
        assert (log.visible, any(waiter.done() for waiter in later)) == (1, False)
        log.gate.release()
        await asyncio.gather(*later)
        assert (log.syncs, log.visible) == ([1, 51], 51)

    run(body)


def test_one_slow_log_does_not_hold_up_another() -> None:
    async def body(committer: GroupCommit) -> None:
        slow, fast = GatedLog(), GatedLog(open_gate=True)
        slow.append()
        fast.append()
        waiting = asyncio.ensure_future(committer.durable(slow))
        await committer.durable(fast)
        assert not waiting.done()
        slow.gate.release()
        await waiting

    run(body)


def test_a_failed_sync_fails_everyone_now_and_later() -> None:
    async def body(committer: GroupCommit) -> None:
        log = GatedLog()
        log.failure = LogStopped("input/output error")
        first = asyncio.ensure_future(committer.durable(log))
        await log.wait_started()
        second = asyncio.ensure_future(committer.durable(log))
        await asyncio.sleep(0)
        log.gate.release()
        for waiter in (first, second, committer.durable(log)):
            with pytest.raises(LogStopped, match="input/output error"):
                await waiter
        assert (log.visible, log.syncs) == (0, [])

    run(body)


def test_a_log_forgotten_while_it_is_synced_answers_its_waiters_and_is_not_kept() -> None:
    async def body(committer: GroupCommit) -> None:
        log = GatedLog()
        first = asyncio.ensure_future(committer.durable(log))
        await log.wait_started()
        second = asyncio.ensure_future(committer.durable(log))
        await asyncio.sleep(0)
        committer.forget(log)
        log.gate.release(2)
        await asyncio.gather(first, second)
        kept = weakref.ref(log)
        del log, first, second
        await asyncio.sleep(0.01)
        gc.collect()
        assert kept() is None

    run(body)


def test_a_waiter_that_gave_up_disturbs_nobody() -> None:
    async def body(committer: GroupCommit) -> None:
        log = GatedLog()
        impatient = asyncio.ensure_future(committer.durable(log))
        patient = asyncio.ensure_future(committer.durable(log))
        await log.wait_started()
        impatient.cancel()
        log.gate.release()
        log.gate.release()
        await patient

    run(body)


def test_a_waiter_that_fails_is_reported_and_the_others_are_told() -> None:
    async def body(committer: GroupCommit) -> None:
        log = GatedLog(open_gate=True)
        reported: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: reported.append(context["exception"]))
        bug = ZeroDivisionError()

        def broken(_error: BaseException | None) -> None:
            raise bug

        first = asyncio.ensure_future(committer.durable(log))
        await log.wait_started()
        committer.when_durable(log, broken)
        await asyncio.gather(first, committer.durable(log))
        assert reported == [bug]

    run(body)


def test_os_durability_acknowledges_at_once_and_syncs_behind() -> None:
    async def body(committer: GroupCommit) -> None:
        log = GatedLog(open_gate=True)
        log.append()
        told: list[BaseException | None] = []
        committer.when_durable(log, told.append)
        assert (told, log.visible, log.syncs) == ([None], 1, [])
        await log.wait_started()

    run(body, durability="os")


def test_closing_waits_for_the_sync_under_way() -> None:
    async def main() -> None:
        log, committer = GatedLog(), GroupCommit()
        log.append()
        told: list[BaseException | None] = []
        committer.when_durable(log, told.append)
        await log.wait_started()
        closing = asyncio.ensure_future(committer.close())
        await asyncio.sleep(0)
        assert not closing.done()
        log.gate.release()
        log.gate.release()
        await closing
        assert told == [None]

    asyncio.run(main())


def test_a_real_log_keeps_its_order_while_threads_sync_it(tmp_path: Path) -> None:
    """The loop appends, rolls and reads while the pool syncs, writes checkpoints and index files."""
    options = LogOptions(segment_bytes=20_000, checkpoint_interval_bytes=5_000)
    log = PartitionLog.open(OsFs(), tmp_path / "t-0", options=options, now_ms=NOW_MS)

    async def writer(committer: GroupCommit, name: int) -> None:
        for number in range(100):
            log.append(make_batch(b"%d:%d:" % (name, number) + b"x" * 60), now_ms=NOW_MS)
            await committer.durable(log)
            assert log.high_watermark <= log.log_end_offset

    async def body(committer: GroupCommit) -> None:
        await asyncio.gather(*(writer(committer, name) for name in range(8)))

    run(body)
    assert log.high_watermark == log.log_end_offset == 800
    offset = 0
    seen: dict[bytes, int] = {}
    while data := log.read(offset, 4000):
        for header, start, end in split(data):
            assert header.base_offset == offset
            offset = header.next_offset
            (record,) = records(data[start:end])
            name, number, _ = (record.value or b"").split(b":")
            assert int(number) == seen.get(name, 0)
            seen[name] = int(number) + 1
    assert seen == {b"%d" % name: 100 for name in range(8)}
    log.close()
    again = PartitionLog.open(OsFs(), tmp_path / "t-0", options=options, now_ms=NOW_MS)
    assert (again.log_end_offset, again.recovery.scanned_bytes) == (800, 0)
    again.close()


def test_a_deleted_log_is_forgotten() -> None:
    async def body(committer: GroupCommit) -> None:
        log = GatedLog(open_gate=True)
        await committer.durable(log)
        committer.forget(log)
        committer.forget(log)

    run(body)
    run(body, durability="os")
