"""Collects from a cluster what `trunkline.operate.access_audit` judges. Reads only, and joins no group."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from trunkline.catalogue.internal import BROADCAST_POSITIONS, ERASURE_RECEIPTS, INTERNAL_TOPICS
from trunkline.catalogue.model import Catalogue
from trunkline.client.broadcast.acknowledgement import decode_acknowledgement
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.errors import KafkaFailed
from trunkline.client.kafka import Admin, Partition
from trunkline.client.kafka.acls import Acls, Binding
from trunkline.client.kafka.survey import DENIED, Survey
from trunkline.client.reader import TopicReader
from trunkline.codec.record import Record
from trunkline.deploy.acls import acls
from trunkline.operate.access_audit import (
    Anomaly,
    Audit,
    Evidence,
    Irregularity,
    anomalies,
    grants,
    unknown_groups,
    unknown_users,
)
from trunkline.operate.acls import wanted_bindings
from trunkline.operate.authorizer_log import AuthorizerLog
from trunkline.services.kit.ending.records import decode_receipt

RECORDS_MAX: Final = 20_000
"""The newest of an internal topic; instances repeat themselves every few seconds."""

WITHOUT_USERS: Final = "who has a SCRAM password is not told: these brokers do not know such users"

WITHOUT_GROUPS: Final = "a broker did not tell its groups: some of them and their use are not told"

NOBODY: Final = (
    "the catalogue's users have no right at all here, and others have some: where the cluster takes them for "
    "somebody else, say so with --principal"
)

OPEN: Final = Anomaly(
    kind=Irregularity.NO_AUTHORISER,
    who="User:*",
    why="these brokers have no authoriser: whoever gets in may do everything",
)

Said = TypeVar("Said")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A cluster as this principal sees it.

    `acls` is None where there is no authoriser, `users` None where this principal may not know them.
    """

    acls: frozenset[Binding] | None
    users: frozenset[str] | None
    groups: tuple[str, ...]
    evidence: Evidence


def audited(
    seen: Seen,
    catalogue: Catalogue,
    *,
    known_as: Mapping[str, str],
    accepted: Collection[str] = (),
    log: AuthorizerLog | None = None,
) -> Audit:
    """The judgement of what was seen.

    `known_as` are the principals by name, of `trunkline.operate.plan`. `accepted` are principals that are in
    no catalogue and all the same no surprise, such as an administrator's.
    """
    wanted = wanted_bindings(acls(catalogue, principals=known_as))
    found = [
        *unknown_users(seen.users or (), {*known_as.values(), *accepted}),
        *unknown_groups(seen.groups, wanted),
    ]
    notes = [] if seen.users is not None else [WITHOUT_USERS]
    if not seen.evidence.complete:
        notes.append(WITHOUT_GROUPS)
    denied = {} if log is None else log.denied
    if seen.acls is None:
        return Audit(anomalies=(OPEN, *found), grants=(), denied=denied, notes=tuple(notes))
    holders = {principal: name for name, principal in known_as.items()}
    theirs = {binding.principal for binding in seen.acls}
    if theirs and theirs.isdisjoint(holders):
        notes.append(NOBODY)
    judged = frozenset(binding for binding in seen.acls if binding.principal not in accepted)
    return Audit(
        anomalies=(*anomalies(wanted, judged, principals=holders), *found),
        grants=tuple(grants(catalogue, seen.acls, seen.evidence, holders=holders, log=log)),
        denied=denied,
        notes=tuple(notes),
    )


def look(connection: ConnectionOptions, catalogue: Catalogue) -> Seen:
    """Everything that an audit needs.

    Needs Describe on the cluster, on its topics and groups, which the catalogue's operator has; what more it
    would take, such as reading internal topics, is left out where it is denied. Raises `ClusterUnavailable`,
    and `KafkaFailed` naming the right that is missing.
    """
    admin, survey = Admin(admin_config(connection)), Survey(admin_config(connection))
    found = Acls(admin.config).listed()
    groups, complete = survey.group_names()
    committed = admin.committed_by(groups)
    return Seen(
        acls=found,
        users=survey.scram_users(),
        groups=groups,
        evidence=Evidence(
            committed={name: frozenset(topic for topic, _ in offsets) for name, offsets in committed.items()},
            members=admin.member_counts(groups),
            written=_written(admin, survey, catalogue),
            instances=_instances(connection, survey),
            receipts=_receipts(connection, survey),
            complete=complete,
        ),
    )


def _written(admin: Admin, survey: Survey, catalogue: Catalogue) -> dict[str, str]:
    told = survey.topics([*catalogue.topics, *(topic.name for topic in INTERNAL_TOPICS)])
    keys = [
        (name, number)
        for name, one in told.items()
        if not one.code
        for number in range(one.partitions)
        if number not in one.leaderless
    ]
    used = [key for key, (_, high) in admin.offsets(keys).items() if high > 0]
    oldest = survey.oldest(used)
    return {name: _first(name, oldest) for name in sorted({name for name, _ in used})}


def _first(topic: str, oldest: Mapping[Partition, int]) -> str:
    times = [timestamp for (name, _), timestamp in oldest.items() if name == topic]
    return _moment(datetime.fromtimestamp(min(times) / 1_000, UTC)) if times else ""


def _instances(connection: ConnectionOptions, survey: Survey) -> Mapping[str, str] | None:
    return _latest(
        connection,
        survey,
        BROADCAST_POSITIONS.name,
        decode_acknowledgement,
        lambda said: (said.service, said.at),
    )


def _receipts(connection: ConnectionOptions, survey: Survey) -> Mapping[str, str] | None:
    return _latest(
        connection,
        survey,
        ERASURE_RECEIPTS.name,
        decode_receipt,
        lambda said: (said.service, said.erased_at),
    )


def _latest(
    connection: ConnectionOptions,
    survey: Survey,
    topic: str,
    decode: Callable[[Record], Said | None],
    who_and_when: Callable[[Said], tuple[str, datetime]],
) -> Mapping[str, str] | None:
    """When each service has last written to an internal topic; None where it may not be read."""
    told = survey.topics([topic])[topic]
    if told.code or (told.operations is not None and "Read" not in told.operations):
        return None
    last: dict[str, datetime] = {}
    try:
        for said in filter(None, map(decode, _records(connection, topic))):
            service, at = who_and_when(said)
            last[service] = max(at, last.get(service, at))
    except KafkaFailed as error:
        if error.code in DENIED:
            return None
        raise
    return {service: _moment(at) for service, at in last.items()}


def _records(connection: ConnectionOptions, topic: str) -> Iterable[Record]:
    with TopicReader(connection, topic) as reader:
        yield from reader.existing(last=RECORDS_MAX)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
