"""Fetch (1), versions 4-18: read record batches, verbatim, up to the high watermark.

A fetch that finds less than `min_bytes` waits for appends, at most `max_wait_ms`; it is woken by the sync
that makes enough records visible. Topics are named by id from version 13. Fetch sessions (KIP-227) are
declined by answering session id 0, so every request names all its partitions. `read_committed` reads the
same: nothing is transactional.
"""

import asyncio
from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker, partition_log
from trunkline.broker.log.errors import OffsetOutOfRange
from trunkline.broker.log.fs import FsError
from trunkline.broker.log.partition import PartitionLog
from trunkline.broker.pending import Pending
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.fetch import (
    FetchableTopicResponse,
    FetchPartition,
    FetchPartitionData,
    FetchRequest,
    FetchResponse,
)
from trunkline.broker.protocol.notation import Message
from trunkline.broker.storage import Topic
from trunkline.broker.waiters import Wait

TOPICS_BY_ID: Final = 13
NO_SESSION: Final = 0
UNKNOWN_EPOCH: Final = -1
NO_OFFSET: Final = -1

FETCH_BYTES_MAX: Final = 16 * 1024 * 1024
"""What one answer holds, whatever the client would take: reading it keeps the loop from everyone else."""


class _Fetch:
    """One request: reads until it has enough, an error to tell, or no more time."""

    __slots__ = (
        "_answer",
        "_broker",
        "_by_id",
        "_failed",
        "_logs",
        "_read_bytes",
        "_request",
        "_timer",
        "_wait",
    )

    def __init__(self, broker: Broker, request: FetchRequest, *, by_id: bool) -> None:
        self._broker = broker
        self._request = request
        self._by_id = by_id
        self._logs: list[PartitionLog] = []
        self._failed = False
        self._read_bytes = 0
        self._answer: Pending[Message] = Pending(self._forget)
        self._wait: Wait[PartitionLog] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> Message | Pending[Message]:
        """The answer, or a promise of it within `max_wait_ms`."""
        response = self._read()
        if self._is_enough() or self._request.max_wait_ms <= 0:
            return response
        self._timer = self._broker.loop.call_later(self._request.max_wait_ms / 1000, self._finish)
        self._listen()
        return self._answer

    def _is_enough(self) -> bool:
        wanted = min(self._request.min_bytes, self._request.max_bytes)
        # Without a partition that could be read there is nothing to wait for.
        done = self._failed or not self._logs or self._broker.stopping
        return done or self._read_bytes >= wanted

    def _listen(self) -> None:
        self._wait = Wait(self._logs, self._request.min_bytes - self._read_bytes, self._woken)
        self._broker.waiters.add(self._wait)

    def _woken(self) -> None:
        response = self._read()
        if self._is_enough():
            self._forget()
            self._answer.resolve(response)
        else:
            self._listen()

    def _finish(self) -> None:
        self._forget()
        self._answer.resolve(self._read())

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._wait is not None:
            self._broker.waiters.remove(self._wait)

    def _read(self) -> FetchResponse:
        self._logs.clear()
        self._failed = False
        self._read_bytes = 0
        responses = []
        for wanted in self._request.topics:
            topic = (
                self._broker.topic_by_id(wanted.topic_id) if self._by_id else self._broker.topic(wanted.topic)
            )
            responses.append(
                FetchableTopicResponse(
                    topic=wanted.topic,
                    topic_id=wanted.topic_id,
                    partitions=[self._partition(topic, partition) for partition in wanted.partitions],
                )
            )
        return FetchResponse(session_id=NO_SESSION, responses=responses)

    def _partition(self, topic: Topic | None, wanted: FetchPartition) -> FetchPartitionData:
        if topic is None:
            unknown = ErrorCode.UNKNOWN_TOPIC_ID if self._by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            return self._error(wanted, unknown)
        log = partition_log(topic, wanted.partition)
        if log is None:
            return self._error(wanted, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        error = epoch_error(log, wanted.current_leader_epoch)
        if error is not ErrorCode.NONE:
            return self._error(wanted, error, log)
        room = min(self._request.max_bytes, FETCH_BYTES_MAX) - self._read_bytes
        try:
            records = log.read(
                wanted.fetch_offset,
                max(0, min(wanted.partition_max_bytes, room)),
                minimum_one=not self._read_bytes,
            )
        except OffsetOutOfRange:
            return self._error(wanted, ErrorCode.OFFSET_OUT_OF_RANGE, log)
        except FsError:
            return self._error(wanted, ErrorCode.KAFKA_STORAGE_ERROR, log)
        self._logs.append(log)
        self._read_bytes += len(records)
        return FetchPartitionData(
            partition_index=wanted.partition,
            error_code=ErrorCode.NONE,
            high_watermark=log.high_watermark,
            last_stable_offset=log.high_watermark,
            log_start_offset=log.log_start_offset,
            aborted_transactions=None,
            records=records,
        )

    def _error(
        self, wanted: FetchPartition, error: ErrorCode, log: PartitionLog | None = None
    ) -> FetchPartitionData:
        self._failed = True
        return FetchPartitionData(
            partition_index=wanted.partition,
            error_code=error,
            high_watermark=NO_OFFSET if log is None else log.high_watermark,
            last_stable_offset=NO_OFFSET if log is None else log.high_watermark,
            log_start_offset=NO_OFFSET if log is None else log.log_start_offset,
            aborted_transactions=None,
            records=b"",
        )


def epoch_error(log: PartitionLog, current_leader_epoch: int) -> ErrorCode:
    """What to tell a client that believes in `current_leader_epoch` (KIP-320)."""
    if current_leader_epoch in (UNKNOWN_EPOCH, log.leader_epoch):
        return ErrorCode.NONE
    if current_leader_epoch < log.leader_epoch:
        return ErrorCode.FENCED_LEADER_EPOCH
    return ErrorCode.UNKNOWN_LEADER_EPOCH


def _handle(broker: Broker, request: FetchRequest, call: Call) -> Message | Pending[Message]:
    if request.session_id != NO_SESSION:
        return FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND, responses=[])
    return _Fetch(broker, request, by_id=call.version >= TOPICS_BY_ID).start()


HANDLER = Handler(FetchRequest, _handle)
