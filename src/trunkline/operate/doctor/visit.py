"""What is asked of a cluster that lets the client in, and how the answers get to who judges them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from trunkline.catalogue.access import Asset, Kind, Right
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.topic_settings import TopicSettings, topic_settings
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.errors import ClusterUnavailable
from trunkline.client.kafka import Admin, Partition
from trunkline.client.kafka.survey import GroupTold, Survey, TopicTold
from trunkline.client.lag import Lag, lag_of, read_by
from trunkline.operate.doctor import clock, cluster, group, reach, tls, topics
from trunkline.operate.doctor import rights as rights_of
from trunkline.operate.doctor.certificates import Unusable, identity
from trunkline.operate.doctor.findings import Family, Finding
from trunkline.operate.doctor.greeting import Greeting, NotKafka, greet_in_the_clear
from trunkline.operate.doctor.handshake import greet_in_tls
from trunkline.operate.doctor.reach import Address
from trunkline.operate.doctor.rights import Told
from trunkline.operate.doctor.store import Stores

OTHERS_MAX: Final = 500
"""Of topics and groups that the catalogue does not know and this principal may see."""

Check: TypeAlias = Callable[[], list[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Whom to examine. Without a service, the cluster alone."""

    catalogue: Catalogue
    environment: str
    connection: ConnectionOptions
    service: str | None = None
    stores: Stores | None = None


class Visit:
    """What is asked of a cluster that lets the client in. What several checks need is asked for once."""

    def __init__(self, patient: Patient, granted: Sequence[Right], reached: Sequence[Address]) -> None:
        """Raises `InvalidInput`, `KafkaFailed` or `ClusterUnavailable` for who is not let in."""
        self._patient = patient
        self._granted = granted
        self._reached = reached
        config = admin_config(patient.connection)
        self._admin = Admin(config)
        self._survey = Survey(config)
        # Any broker answers this, also one that gives out addresses at which there is nobody.
        self._state = self._admin.cluster()
        self._topics: dict[str, TopicTold] = {}
        self._visible: list[str] = []

    def checks(self, now: Callable[[], datetime]) -> Iterator[tuple[Family, Check]]:
        """In their order: the later ones use what the first has found out.

        Each raises `ClusterUnavailable` and `KafkaFailed`.
        """
        yield Family.BROKERS, self._brokers
        yield Family.BROKERS, self._controller
        yield Family.VERSIONS, self._versions
        if self._patient.service is not None:
            yield Family.RIGHTS, self._rights
        yield Family.TOPICS, self._contract
        yield Family.CLOCK, lambda: [self._clock(now)]
        if self._patient.service is not None:
            yield Family.GROUP, self._group

    def _brokers(self) -> list[Finding]:
        told = self._state.brokers.values()
        found = reach.contacts(address for one in told for address in reach.addresses(one))
        environment = self._patient.catalogue.environment(self._patient.environment)
        return list(cluster.brokers(self._state, found, environment))

    def _controller(self) -> list[Finding]:
        """Whoever it is, it has the last word on what there is."""
        cluster_id = self._admin.cluster_id()
        ours = [topic.name for topic in self._settings()]
        others = sorted({name for name, _ in self._state.partitions}.difference(ours))
        self._topics = self._survey.topics([*ours, *others[:OTHERS_MAX]])
        return [cluster.identified(cluster_id)]

    def _versions(self) -> list[Finding]:
        try:
            greeting, why = self._greeting(), ""
        except (OSError, NotKafka, Unusable) as error:
            greeting, why = None, str(error)
        return list(cluster.versions(greeting, why))

    def _greeting(self) -> Greeting:
        security, address = self._patient.connection.security, self._reached[0]
        if not tls.uses_tls(security):
            return greet_in_the_clear(address.host, address.port)
        return greet_in_tls(address, security)

    def _rights(self) -> list[Finding]:
        services = self._patient.catalogue.services
        with suppress(ClusterUnavailable):  # one silent broker of several; each group tells for itself
            self._visible = self._admin.groups()
        wanted = [asset.name for asset in rights_of.asked(self._granted) if asset.kind is Kind.GROUP]
        others = [*services, *self._visible[:OTHERS_MAX]]
        groups = self._survey.groups(list(dict.fromkeys([*wanted, *others])))
        told = {Asset(Kind.TOPIC, name): _told(one) for name, one in self._topics.items()}
        told |= {Asset(Kind.GROUP, name): _told(one) for name, one in groups.items()}
        if any(one.operations is not None for one in told.values()):
            told[rights_of.CLUSTER] = Told(operations=self._survey.cluster())
        return list(rights_of.judge(self._granted, told, principal=self._principal()))

    def _principal(self) -> str:
        """As whom brokers see the client, unless they map names in a way of their own."""
        security = self._patient.connection.security
        if tls.protocol(security).startswith("SASL") and "sasl.username" in security:
            return f"User:{security['sasl.username']}"
        shown = identity(security) if tls.uses_tls(security) else None
        return f"User:{shown.certificate.subject}" if shown else f"the user of {self._patient.service}"

    def _contract(self) -> list[Finding]:
        wanted = [one for one in self._settings() if one.name in self._topics and self._concerns(one.name)]
        # Where brokers do not tell what is allowed, nobody is kept from anything.
        readable = [
            name
            for name, one in self._topics.items()
            if not one.code and (one.operations is None or "DescribeConfigs" in one.operations)
        ]
        configs = self._admin.topic_config(readable)
        return list(topics.judge(wanted, self._topics, configs))

    def _clock(self, now: Callable[[], datetime]) -> Finding:
        # Others may keep any time in their records, such as that of a plan.
        ours = {topic.name for topic in self._settings()}
        asked = [key for name in self._described() if name in ours for key in self._partitions(name)]
        newest: dict[str, int] = {}
        for (name, _), timestamp in self._survey.newest(asked).items():
            newest[name] = max(timestamp, newest.get(name, timestamp))
        return clock.judge(newest, now_ms=round(now().timestamp() * 1_000))

    def _group(self) -> list[Finding]:
        service = self._patient.service
        assert service is not None
        if not self._patient.catalogue.shared_by(service):
            return [group.without(service)]
        told = self._survey.groups([service])[service]
        lags = [] if told.code else self._lags(service, told)
        services = self._patient.catalogue.services
        return [*group.judge(service, told, lags), *group.strangers(service, self._visible, services)]

    def _lags(self, service: str, told: GroupTold) -> list[Lag]:
        """In what the group reads and this principal may see; nothing of a group that there is not."""
        if told.state == "DEAD":
            return []
        committed = self._admin.committed(service)
        counts = {name: self._topics[name].partitions for name in self._described()}
        keys = read_by(self._patient.catalogue, service, counts=counts, committed=committed)
        known = sorted(key for key in keys if key[0] in counts)
        bounds = self._admin.offsets(known)
        return [lag_of(service, key, committed=committed.get(key), bounds=bounds[key]) for key in known]

    def _settings(self) -> tuple[TopicSettings, ...]:
        return topic_settings(self._patient.catalogue, self._patient.environment)

    def _concerns(self, topic: str) -> bool:
        """Whether the service has a right on it; without a service, every topic does."""
        return not self._granted or any(right.covers(Asset(Kind.TOPIC, topic)) for right in self._granted)

    def _described(self) -> list[str]:
        return [name for name, one in self._topics.items() if not one.code and not one.leaderless]

    def _partitions(self, topic: str) -> list[Partition]:
        return [(topic, number) for number in range(self._topics[topic].partitions)]


def _told(one: TopicTold | GroupTold) -> Told:
    return Told(operations=one.operations, code=one.code)
