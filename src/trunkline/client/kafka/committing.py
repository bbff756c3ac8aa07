"""Commits offsets synchronously, and not for ever.

The library's synchronous commit waits for the group's coordinator without end while its connections are
taken and dropped again, as a load balancer in front of a dead broker does it. The member would not poll
meanwhile, and could neither be told to stop nor seen to be alive. So the library waits on a thread of its
own, and the caller waits for that thread as long as it can. Until it has its answer the consumer must be left
alone: the Python binding lets one thread at a time use it.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Final

import confluent_kafka as ck

from trunkline.client.errors import CommitRefused
from trunkline.client.kafka.errors import commit_refused
from trunkline.client.kafka.library import REPLY_SECONDS

NO_ANSWER: Final = ck.KafkaError(ck.KafkaError._TIMED_OUT).name()


@dataclass(slots=True)
class _Commit:
    offsets: Sequence[ck.TopicPartition]
    answered: threading.Event = field(default_factory=threading.Event)
    refused: CommitRefused | None = None


class Committer:
    """One consumer's commits, one after the other. For one thread, apart from `close`."""

    def __init__(self, consumer: ck.Consumer) -> None:
        self._consumer = consumer
        self._asked: SimpleQueue[_Commit | None] = SimpleQueue()
        self._late: _Commit | None = None
        self._started = False
        self._direct = False

    def commit(self, offsets: Sequence[ck.TopicPartition]) -> None:
        """Commit, and wait for the answer. Raises `CommitRefused`, also when there is none for long.

        A commit without an answer may be taken yet; no other one is begun before that is known.
        """
        commit = _Commit(offsets)
        if self._direct:
            commit.refused = self._refused(commit)
        else:
            self._hand_over(commit)
        if commit.refused is not None:
            raise commit.refused

    @contextmanager
    def on_this_thread(self) -> Iterator[None]:
        """Commit without the other thread: the library lets no other in while it calls back."""
        self._direct = True
        try:
            yield
        finally:
            self._direct = False

    def _hand_over(self, commit: _Commit) -> None:
        if not self.is_idle(REPLY_SECONDS):
            raise CommitRefused(NO_ANSWER, rebalance=False)
        if not self._started:
            # A daemon: one that is never answered keeps no process from ending.
            threading.Thread(target=self._serve, name="offset commits", daemon=True).start()
            self._started = True
        self._asked.put(commit)
        if not commit.answered.wait(REPLY_SECONDS):
            self._late = commit
            raise CommitRefused(NO_ANSWER, rebalance=False)

    def is_idle(self, timeout: float) -> bool:
        """Whether every commit has its answer, or gets it in this time."""
        if self._late is not None and self._late.answered.wait(timeout):
            self._late = None
        return self._late is None

    def close(self) -> None:
        """End the thread, as soon as what it waits for is answered."""
        self._asked.put(None)

    def _serve(self) -> None:
        while (commit := self._asked.get()) is not None:
            commit.refused = self._refused(commit)
            commit.answered.set()

    def _refused(self, commit: _Commit) -> CommitRefused | None:
        try:
            answers = self._consumer.commit(offsets=[*commit.offsets], asynchronous=False)
        except ck.KafkaException as error:
            return commit_refused(error.args[0])
        except RuntimeError:  # The consumer was closed meanwhile.
            return CommitRefused(NO_ANSWER, rebalance=False)
        return next((commit_refused(answer.error) for answer in answers if answer.error is not None), None)
