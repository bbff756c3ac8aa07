"""What can go wrong between a service, its store and the cluster.

    TrunklineError
    ├── KafkaFailed                the cluster or its client library refused an operation
    │   └── KafkaFatal             the client object is dead and has to be built anew
    ├── DeliveryRejected           the broker answered that the event is not in the log and never will be
    ├── BreakerOpen                too many events failed in a row; the consumer stopped before skipping more
    ├── StopOverdue                a consumer did not stop in time; what it had in hand was given up
    ├── TransactionLost            a handler caught a database error, or ended the transaction it was given
    ├── StoreIncompatible          the store was written by a newer version, or by something else
    ├── JournalUnreadable          the growth journal holds what this version does not know
    ├── GrowthStopped              a topic did not grow; the text says whether it is open to publishers
    │   └── GrowthOvertaken        another run has begun or gone on with the growth of this topic
    ├── InvalidInput
    │   ├── PublishRefused         refused before anything was sent
    │   │   ├── NotPublisher       the service does not publish this type or topic
    │   │   ├── InvalidTenant      the tenant id is not one
    │   │   ├── InvalidEvent       the event breaks its own constraints
    │   │   └── EventTooLarge      it would not fit into the broker's limit
    │   ├── TopicMissing           the cluster does not have a topic that this needs
    │   ├── InvalidGrowth          a topic cannot grow to this number of partitions
    │   ├── InvalidStore           the store URL or path cannot be a store
    │   └── UnknownFailure         no such row in the failure ledger, or it is settled already
    └── Unavailable
        ├── ClusterUnavailable     no broker answers at the bootstrap servers
        ├── StoreUnavailable       the database is locked, full or unreachable; trying again may help
        ├── QueueFull              the publisher's queue stayed full for the whole wait
        ├── DeliveryUnknown        the event may or may not be in the log; publish it again with the same id
        └── PublisherClosed        the publisher was closed

`CommitRefused` is control flow between the Kafka adapter and the consumer runtime and never reaches a user.
"""

from trunkline.errors import InvalidInput, TrunklineError, Unavailable


class KafkaFailed(TrunklineError):  # noqa: N818 - reads as what it is
    """Kafka refused an operation. `code` is the protocol's or the client library's error name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class KafkaFatal(KafkaFailed):
    """The client instance can do nothing more; what it had not resolved is of unknown outcome."""


class CommitRefused(Exception):  # noqa: N818 - control flow, named for what the coordinator did
    """An offset commit did not take. `reason` is the error's name; the position in the store is not affected.

    `rebalance` says that the group is moving on: keep what is pending, poll, then commit what is still owned.
    """

    def __init__(self, reason: str, *, rebalance: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.rebalance = rebalance


class DeliveryRejected(TrunklineError):  # noqa: N818 - reads as what it is
    """The broker refused the event for good: it is not in the log. `code` is the protocol's error name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BreakerOpen(TrunklineError):  # noqa: N818 - reads as what it is
    """Too many events failed in a row. The last batch was rolled back: nothing in it was skipped."""


class StopOverdue(TrunklineError):  # noqa: N818 - reads as what it is
    """A batch or a commit was still under way at the end of the time to stop; it will not become final."""


class TransactionLost(TrunklineError):  # noqa: N818 - reads as what it is
    """A transaction that its owner went on with can no longer be committed; nothing in it has changed."""


class StoreIncompatible(TrunklineError):  # noqa: N818 - reads as what it is
    """The store's schema is not one this version can work with."""


class JournalUnreadable(TrunklineError):  # noqa: N818 - reads as what it is
    """The growth journal has an entry of a newer version, or one that is none."""


class GrowthStopped(TrunklineError):  # noqa: N818 - reads as what it is
    """A growth did not come to its end. The text says whether the topic is open, and what to do."""


class GrowthOvertaken(GrowthStopped):
    """Another run was first; this one has stopped and touches nothing more."""


class TopicMissing(InvalidInput):
    """The cluster does not have a topic that this needs: it is another one, or the topic is to be created."""


class InvalidGrowth(InvalidInput):
    """The topic does not exist, or cannot grow to this number of partitions."""


class PublishRefused(InvalidInput):
    """The event was refused before anything was sent."""


class NotPublisher(PublishRefused):
    """The catalogue does not let this service publish this."""


class InvalidTenant(PublishRefused):
    """The tenant id does not have the form of one."""


class InvalidEvent(PublishRefused):
    """The event does not satisfy the constraints of its type."""


class EventTooLarge(PublishRefused):
    """The event would exceed the broker's limit. Both sizes are in bytes."""

    def __init__(self, message: str, *, size: int, size_max: int) -> None:
        super().__init__(message)
        self.size = size
        self.size_max = size_max


class InvalidStore(InvalidInput):
    """The store's URL or path is unusable."""


class UnknownFailure(InvalidInput):
    """The failure ledger has no open row of this id."""


class ClusterUnavailable(Unavailable):
    """No broker answers at the bootstrap servers."""


class StoreUnavailable(Unavailable):
    """The store cannot be read or written right now; nothing was changed."""


class QueueFull(Unavailable):
    """The publisher's queue stayed full for the whole wait; this event was not sent."""


class DeliveryUnknown(Unavailable):
    """It is not known whether the event is in the log. Publishing it again with the same id is safe."""


class PublisherClosed(Unavailable):
    """The publisher was closed; this event was not sent."""
