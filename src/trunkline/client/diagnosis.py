"""Turns what Kafka says about a consumer into what to change. Pure.

Whether to wait is decided here, too. A cluster that is away may come back, and a service goes on asking. A
refused credential, a missing topic or a broker that is too old stays what it is until somebody acts.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.client.config import ConnectionOptions, ConsumerOptions, GroupProtocol

REFUSED_SECONDS: Final = 3.0
"""So long a refusal is given the benefit of the doubt: a broker that starts may not know its users yet."""

JOIN_SECONDS: Final = 8.0
"""A member whose coordinator answers has joined by then, or is not understood; librdkafka says nothing."""

CREDENTIALS_ADVICE: Final = (
    "check security.protocol, the sasl.* and the ssl.* properties (TRUNKLINE_SECURITY_PROTOCOL, "
    "TRUNKLINE_SASL_*, TRUNKLINE_SSL_* or --client-properties)"
)

MAY_NOT_PUBLISH_ADVICE: Final = (
    "grant its principal Write on the topics it publishes, or change its user (TRUNKLINE_SASL_USERNAME)"
)

_CREDENTIALS: Final = frozenset(
    {
        "_AUTHENTICATION",
        "SASL_AUTHENTICATION_FAILED",
        "UNSUPPORTED_SASL_MECHANISM",
        "ILLEGAL_SASL_STATE",
        "_SSL",
    }
)
_FORBIDDEN: Final = frozenset(
    {"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED"}
)
_DOWN: Final = "_ALL_BROKERS_DOWN"
_AWAY: Final = frozenset({"_TRANSPORT", _DOWN, "_RESOLVE", "_TIMED_OUT", "_TIMED_OUT_QUEUE"})
_STATIC: Final = frozenset({"FENCED_INSTANCE_ID", "UNRELEASED_INSTANCE_ID"})
_PROTOCOL: Final = frozenset({"UNSUPPORTED_VERSION", "_UNSUPPORTED_FEATURE", "INCONSISTENT_GROUP_PROTOCOL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a consumer was told to do."""

    connection: ConnectionOptions
    options: ConsumerOptions
    topics: frozenset[str]


def is_refusal(code: str, text: str) -> bool:
    """Whether the cluster does not let this client in at all."""
    return code in _CREDENTIALS or (code == "_TRANSPORT" and "SSL" in text)


def is_forbidden(code: str) -> bool:
    """Whether an ACL is missing."""
    return code in _FORBIDDEN


def refused(servers: str, text: str) -> str:
    """The text for a cluster that does not let this client in."""
    return f"{servers} refuses this client: {text}; {CREDENTIALS_ADVICE}"


def unreachable(servers: str, heard: Mapping[str, str], otherwise: str) -> str:
    """The text for a cluster that does not answer.

    `heard` is what the client library said about its connections, by code; `otherwise` stands for nothing.
    """
    advice = "start one, or set --bootstrap-servers or TRUNKLINE_BOOTSTRAP_SERVERS"
    # A broker that wants a login or encryption hangs up on who comes without. The library names no reason
    # then; it does for a connection that was never made.
    if set(heard) == {_DOWN}:
        return (
            f"no Kafka broker answers at {servers} (whatever is there closes the connection); {advice}; "
            f"where brokers ask for a login or for encryption, {CREDENTIALS_ADVICE}"
        )
    said = next((text for code, text in heard.items() if code != _DOWN), otherwise)
    return f"no Kafka broker answers at {servers} ({said}); {advice}"


def grant(code: str, resource: str, operation: str) -> str | None:
    """What lets this client do a thing that ACLs forbid; None for other errors. `operation` is an ACL's."""
    if code not in _FORBIDDEN:
        return None
    where = "the cluster" if code == "CLUSTER_AUTHORIZATION_FAILED" else resource
    return f"grant its principal {operation} on {where}, or change its user (TRUNKLINE_SASL_USERNAME)"


def named_in(text: str, topics: Collection[str]) -> list[str]:
    """The topics that an error names, sorted; all of them if it names none."""
    found = [
        topic for topic in sorted(topics) if re.search(rf"(?<![\w.-]){re.escape(topic)}(?![\w-]|\.\w)", text)
    ]
    return found or sorted(topics)


def explain(situation: Situation, code: str, text: str) -> str:
    """One line: what happened, and which setting to change. `code` is the name of Kafka's error."""
    return f"{text}; {_advice(situation, code, text)}"


def too_old(situation: Situation) -> str:
    """The text for a group protocol that the brokers do not answer."""
    return (
        f"the brokers at {situation.connection.bootstrap_servers} do not know the consumer group protocol "
        "(KIP-848, Apache Kafka 4.0 or newer with group.version 1); set the group protocol to classic "
        "(--group-protocol classic), or upgrade the brokers"
    )


def missing(topics: Collection[str], situation: Situation) -> str:
    """The text for topics that the cluster does not have."""
    return (
        f"the cluster at {situation.connection.bootstrap_servers} has no topic {', '.join(sorted(topics))}; "
        "create it (`trunkline topics create`), or correct --bootstrap-servers or --catalogue"
    )


def disagreement(situation: Situation, assigned: Mapping[str, Collection[str]]) -> str | None:
    """Why the members of a group do not agree on their topics, if one reads what this one does not."""
    for member, topics in sorted(assigned.items()):
        others = set(topics).difference(situation.topics)
        if others:
            return (
                f"group {situation.options.group} disagrees on its topics: {member} reads "
                f"{', '.join(sorted(others))}, this member does not; give all members the same --catalogue, "
                "or the other ones a group of their own"
            )
    return None


_ADVICE: Final[tuple[tuple[frozenset[str], str], ...]] = (
    (_AWAY, "check --bootstrap-servers or TRUNKLINE_BOOTSTRAP_SERVERS, which is {servers}"),
    (
        frozenset({"TOPIC_AUTHORIZATION_FAILED"}),
        "grant its principal Read and Describe on {topics}, or change its user (TRUNKLINE_SASL_USERNAME)",
    ),
    (
        frozenset({"GROUP_AUTHORIZATION_FAILED"}),
        "grant its principal Read on group {group}, or change its user (TRUNKLINE_SASL_USERNAME)",
    ),
    (
        frozenset({"UNKNOWN_TOPIC_OR_PART"}),
        "create the topic (`trunkline topics create`), or correct --catalogue",
    ),
    (
        frozenset({"UNSUPPORTED_ASSIGNOR"}),
        "Apache Kafka's remote assignors are uniform and range; correct remote_assignor",
    ),
    (
        _PROTOCOL,
        "all members of group {group} must use one --group-protocol, which is {protocol} here; the consumer "
        "protocol needs Apache Kafka 4.0 or newer",
    ),
)


def _advice(situation: Situation, code: str, text: str) -> str:
    options = situation.options
    if is_refusal(code, text):
        return CREDENTIALS_ADVICE
    if code in _STATIC or (options.instance_id is not None and "instance" in text):
        return (
            f"instance id {options.instance_id} is in use by another member of group {options.group}; give "
            f"each member its own --instance-id, or none{_released(situation)}"
        )
    template = next(
        (advice for codes, advice in _ADVICE if code in codes),
        "group {group} at {servers} cannot go on",
    )
    return template.format(
        servers=situation.connection.bootstrap_servers,
        topics=", ".join(named_in(text, situation.topics)),
        group=options.group,
        protocol=options.protocol,
    )


def _released(situation: Situation) -> str:
    if situation.options.protocol is GroupProtocol.CONSUMER:
        return "; one that was killed is released after the brokers' group.consumer.session.timeout.ms"
    return ""
