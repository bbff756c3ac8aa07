"""Consumer groups at work: the coordinator's effects carried out, its deadlines kept, its journal synced.

The coordinator decides without I/O; this puts its entries into the journal, answers its clients once what
they are told is durable, and wakes it in time.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from trunkline.broker.complaints import Complaints
from trunkline.broker.group.coordinator import GroupCoordinator
from trunkline.broker.group.journal import Journal
from trunkline.broker.group.model import Effect, JoinResult, Persist, Reply, Result, SyncResult
from trunkline.broker.log.commit import GroupCommit
from trunkline.broker.log.errors import LogStopped
from trunkline.broker.log.fs import Fs, FsError
from trunkline.broker.pending import Pending
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.notation import Message

Ask: TypeAlias = Callable[[GroupCoordinator, Pending[Result], int], list[Effect]]
"""One call of the coordinator, given it, the token to answer and the time."""

MEMBER_ID_BYTES: Final = 16

log = logging.getLogger("trunkline.broker.groups")


@dataclass(frozen=True, slots=True)
class Waiting:
    """What to do about a client that waits for other members."""

    group_id: str
    """The group that waits for it, until its connection is lost."""
    given_up: Result
    """What it is told when the broker stops first."""


class GroupService:
    """All groups of a broker. Everything is called on the loop."""

    def __init__(
        self, fs: Fs, data_dir: Path, *, commit: GroupCommit, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Read the journal in `data_dir`; `findings` says what was wrong with it.

        Raises `JournalRefused` for a journal of another format and `FsError` when the device fails.
        """
        self.coordinator = GroupCoordinator(new_member_id=_new_member_id, wall_ms=_wall_ms)
        self._commit = commit
        self._loop = loop
        self._complaints = Complaints(log, loop.time)
        self.waiting: dict[Pending[Result], Waiting] = {}
        """The clients that wait for other members."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._journal = Journal(
            fs, data_dir, snapshot=self.coordinator.snapshot, on_durable=self.coordinator.durable
        )
        recovered = self._journal.recover()
        self.findings = recovered.reports
        self.coordinator.restore(recovered.entries, now_ms=self.now_ms())
        self._schedule()

    def now_ms(self) -> int:
        """The clock of all time-outs; it never goes back."""
        return int(self._loop.time() * 1000)

    def ask(
        self, ask: Ask, respond: Callable[[Any], Message], *, waiting: Waiting | None = None
    ) -> Pending[Message]:
        """Put a request to the coordinator; `respond` makes the response of the result, once that is durable.

        `waiting` is for a request that waits for other members, and so perhaps for long.
        """
        token: Pending[Result] = Pending()
        response: Pending[Message] = Pending()
        if waiting is not None:
            self.waiting[token] = waiting
            response = Pending(lambda: self._give_up(token))
        token.then(lambda result: self._respond(token, response, respond(result)))
        self.carry_out(ask(self.coordinator, token, self.now_ms()))
        return response

    def _respond(self, token: Pending[Result], response: Pending[Message], message: Message) -> None:
        self.waiting.pop(token, None)
        response.resolve(message)

    def _give_up(self, token: Pending[Result]) -> Waiting:
        """Have the group wait for this client no more."""
        waiting = self.waiting.pop(token)
        self.coordinator.forget(waiting.group_id, token)
        return waiting

    def release(self) -> None:
        """Answer everyone who waits for other members; the broker stops."""
        for token in tuple(self.waiting):
            token.resolve(self._give_up(token).given_up)

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """Journal what must be durable and answer who may be told."""
        replies = [effect for effect in effects if isinstance(effect, Reply)]
        entries = [effect.entry for effect in effects if isinstance(effect, Persist)]
        try:
            for entry in entries:
                self._journal.append(entry)
        except (FsError, LogStopped) as error:
            self._refuse(replies, error)
        else:
            if entries:
                self._commit.when_durable(self._journal, lambda error: self._durable(replies, error))
            else:
                _answer(replies)
        self._schedule()

    def _durable(self, replies: list[Reply], error: BaseException | None) -> None:
        if error is None:
            self._complaints.over("the group journal is written again")
            _answer(replies)
        else:
            self._refuse(replies, error)

    def _refuse(self, replies: list[Reply], error: BaseException) -> None:
        """Clients take this as a coordinator in trouble: they look for it again and repeat the request."""
        self._complaints.say("the group journal cannot be written: %s", error)
        for reply in replies:
            _resolve(reply, _failed(reply.result, ErrorCode.COORDINATOR_NOT_AVAILABLE))

    def _schedule(self) -> None:
        deadline_ms = self.coordinator.next_deadline()
        if deadline_ms is None:
            return
        if self._timer is not None:
            if self._timer_ms <= deadline_ms:
                return
            self._timer.cancel()
        self._timer_ms = deadline_ms
        self._timer = self._loop.call_at(deadline_ms / 1000 + 0.001, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.carry_out(self.coordinator.tick(self.now_ms()))

    async def close(self) -> None:
        """Make everything durable and release the journal. A device that fails now is only logged."""
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._commit.durable(self._journal)
        except (FsError, LogStopped) as error:
            log.error("the group journal was not closed cleanly: %s", error)  # noqa: TRY400 - no traceback helps
        self._journal.close()


def _answer(replies: list[Reply]) -> None:
    for reply in replies:
        _resolve(reply, reply.result)


def _resolve(reply: Reply, result: Result) -> None:
    assert isinstance(reply.token, Pending), "tokens are the promises that `ask` made"
    reply.token.resolve(result)


def _failed(result: Result, error: ErrorCode) -> Result:
    if isinstance(result, JoinResult | SyncResult):
        return replace(result, error=error)
    return replace(result, errors=tuple(error for _ in result.errors))


def _new_member_id(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(MEMBER_ID_BYTES)}"


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
