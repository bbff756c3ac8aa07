"""What the library's errors mean to us: which are which, and as what they are raised."""

from typing import Final

import confluent_kafka as ck

from trunkline.client.errors import CommitRefused, KafkaFailed, KafkaFatal

_E: Final = ck.KafkaError

REJECTING: Final = frozenset(
    {
        _E.MSG_SIZE_TOO_LARGE,
        _E.RECORD_LIST_TOO_LARGE,
        _E.INVALID_RECORD,
        _E.INVALID_MSG,
        _E.INVALID_TIMESTAMP,
        _E.INVALID_REQUIRED_ACKS,
        _E.UNSUPPORTED_COMPRESSION_TYPE,
        _E.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        _E.TOPIC_AUTHORIZATION_FAILED,
        _E.CLUSTER_AUTHORIZATION_FAILED,
        _E.TOPIC_EXCEPTION,
        _E.POLICY_VIOLATION,
        _E.UNKNOWN_TOPIC_OR_PART,
        _E._UNKNOWN_TOPIC,
        _E._UNKNOWN_PARTITION,
    }
)
"""Errors after which the event is certainly not in the log. After any other it may be there."""

UNAUTHENTICATED: Final = frozenset({_E._AUTHENTICATION, _E.SASL_AUTHENTICATION_FAILED, _E._SSL})

_REBALANCING: Final = frozenset(
    {
        _E.REBALANCE_IN_PROGRESS,
        _E.ILLEGAL_GENERATION,
        _E.UNKNOWN_MEMBER_ID,
        _E.STALE_MEMBER_EPOCH,
        _E.FENCED_MEMBER_EPOCH,
        _E.FENCED_INSTANCE_ID,
        _E._ASSIGNMENT_LOST,
        _E._STATE,
    }
)
_REFUSING: Final = frozenset(
    {
        _E.TOPIC_AUTHORIZATION_FAILED,
        _E.GROUP_AUTHORIZATION_FAILED,
        _E.CLUSTER_AUTHORIZATION_FAILED,
        _E.SASL_AUTHENTICATION_FAILED,
        _E._AUTHENTICATION,
        _E.INVALID_GROUP_ID,
        _E.INCONSISTENT_GROUP_PROTOCOL,
        _E.GROUP_MAX_SIZE_REACHED,
        _E.INVALID_SESSION_TIMEOUT,
        _E.UNSUPPORTED_ASSIGNOR,
        _E.UNSUPPORTED_VERSION,
        _E._UNSUPPORTED_FEATURE,
    }
)
"""Consumer errors that no waiting cures."""

UNREACHABLE: Final = frozenset(
    {
        _E._ALL_BROKERS_DOWN,
        _E._TRANSPORT,
        _E._TIMED_OUT,
        _E._RESOLVE,
        _E.REQUEST_TIMED_OUT,
    }
)
STARTING: Final = frozenset(
    {
        _E.COORDINATOR_NOT_AVAILABLE,
        _E.COORDINATOR_LOAD_IN_PROGRESS,
        _E.NOT_COORDINATOR,
        _E.LEADER_NOT_AVAILABLE,
        _E.NOT_LEADER_FOR_PARTITION,
        _E.FENCED_LEADER_EPOCH,
        _E.UNKNOWN_LEADER_EPOCH,
    }
)
"""The brokers answer, and will do what was asked in a moment; the library does not always try again."""


def translated(error: ck.KafkaException) -> KafkaFailed:
    """The library's exception as ours; a `KafkaFatal` if its client is dead."""
    cause = error.args[0]
    if not isinstance(cause, ck.KafkaError):
        return KafkaFailed("UNKNOWN", f"Kafka: {error}")
    kind = KafkaFatal if is_fatal(cause) else KafkaFailed
    return kind(cause.name(), f"Kafka: {cause.str()}")


def is_fatal(error: ck.KafkaError) -> bool:
    """Whether the client is dead. The flag is missing where the error comes through `error_cb`."""
    return error.fatal() or error.code() == _E._FATAL


def raise_if_hopeless(error: ck.KafkaError, topic: str | None = None) -> None:
    """Raise a consumer's error as `KafkaFatal` or `KafkaFailed`, unless it may pass by itself.

    `topic` is the one that the error is about, if it is about one; the library's text may not say.
    """
    if is_fatal(error):
        raise KafkaFatal(error.name(), f"Kafka: {error.str()}")
    if error.code() in _REFUSING:
        about = f" topic {topic}" if topic else ""
        raise KafkaFailed(error.name(), f"Kafka refuses this consumer{about}: {error.str()}")


def commit_refused(error: ck.KafkaError) -> CommitRefused:
    """A commit's error as ours, which knows whether a rebalance was the reason."""
    return CommitRefused(error.name(), rebalance=error.code() in _REBALANCING)
