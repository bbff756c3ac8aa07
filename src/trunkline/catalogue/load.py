"""Reads a catalogue file, refusing it whole with every problem in it, each with its line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast, get_args

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from trunkline.catalogue.cluster_file import read_cluster
from trunkline.catalogue.file import read_file
from trunkline.catalogue.model import (
    MS_PER_DAY,
    Catalogue,
    Compression,
    Deployment,
    Environment,
    Service,
    Topic,
    near,
)
from trunkline.catalogue.names import (
    RESERVED_SERVICES,
    SERVICE_CHARACTERS_MAX,
    SERVICE_PATTERN,
    TOPIC_CHARACTERS_MAX,
    TOPIC_PATTERN,
    ServiceName,
    TopicName,
)
from trunkline.catalogue.nodes import Entry, NodeReader
from trunkline.errors import InvalidInput

FILE_BYTES_MAX: Final = 1_048_576
"""A contract of ten topics takes 3 KB; a file this large is not one."""

ALL_SERVICES: Final = "all"
"""Written for `consumers` when every service reads the topic."""

SECTIONS: Final = ("services", "environments", "topics")
TOPIC_KEYS: Final = ("publisher", "consumers", "groups", "partitions")
COUNT_KEYS: Final = (
    "brokers",
    "replication_factor",
    "min_insync_replicas",
    "retention_days",
    "max_message_bytes",
    "default_partitions",
)
ENVIRONMENT_KEYS: Final = ("deployment", "compression", *COUNT_KEYS)

_NO_NODES: Final[Mapping[str, Node]] = MappingProxyType({})


def load_catalogue(path: Path | None = None) -> Catalogue:
    """The contract in the file, or the packaged one.

    Raises `CatalogueError` with all problems of a file that can be read, `InvalidInput` for one that cannot.
    """
    if path is None:
        packaged = files("trunkline.catalogue").joinpath("contract.yaml")
        return parse_catalogue(packaged.read_text(encoding="utf-8"), file="contract.yaml")
    raw = read_file(path, "the catalogue", bytes_max=FILE_BYTES_MAX)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the catalogue {path} is not UTF-8 text (byte {error.start})") from error
    return parse_catalogue(text, file=str(path))


def parse_catalogue(text: str, *, file: str) -> Catalogue:
    """The contract in this text; `file` is what problems call it. Raises `CatalogueError`."""
    reader = NodeReader(file)
    root = reader.compose(text)
    sections = reader.mapping(root, "the catalogue", allowed=SECTIONS, required=SECTIONS) or _NO_NODES
    services = dict(_services(reader, sections))
    environments = dict(_environments(reader, sections))
    _check_clusters_names(reader, sections, environments.values())
    topics = dict(_Topics(reader, services, environments).read(sections))
    reader.finish()
    return Catalogue(
        topics=MappingProxyType(topics),
        services=MappingProxyType(services),
        environments=MappingProxyType({name: env for name, env in environments.items() if env is not None}),
    )


def _entries(reader: NodeReader, sections: Mapping[str, Node], section: str) -> Mapping[str, Entry]:
    node = sections.get(section)
    if node is None:
        return {}  # Already noted as missing.
    if not isinstance(node, MappingNode) or not node.value:
        reader.at(node, f"{section} must be a mapping with at least one entry")
        return {}
    return reader.entries(node, section)


def _services(reader: NodeReader, sections: Mapping[str, Node]) -> Iterator[tuple[ServiceName, Service]]:
    for name, entry in _entries(reader, sections, "services").items():
        if not SERVICE_PATTERN.fullmatch(name):
            reader.at(
                entry.name, f"service {name!r} is not lower-case words joined by hyphens, as in query-engine"
            )
        elif len(name) > SERVICE_CHARACTERS_MAX:
            reader.at(
                entry.name,
                f"service {name!r} has {len(name)} characters; names in Kubernetes have "
                f"{SERVICE_CHARACTERS_MAX} at most",
            )
        elif name in RESERVED_SERVICES:
            reader.at(
                entry.name, f"service {name!r} would have the rights of Trunkline's own {name}; rename it"
            )
        keys = _keys(reader, entry, f"service {name}", allowed=("title",), required=("title",))
        title = reader.text(keys["title"], f"title of service {name}") if "title" in keys else None
        yield ServiceName(name), Service(ServiceName(name), title or name)


def _check_clusters_names(
    reader: NodeReader, sections: Mapping[str, Node], environments: Iterable[Environment | None]
) -> None:
    """Strimzi names Secrets and Services after the cluster, and a service's after the service."""
    names = sorted({one.cluster.name for one in environments if one is not None and one.cluster is not None})
    node = sections.get("services")
    for key, _ in node.value if isinstance(node, MappingNode) else ():
        taken = [name for name in names if isinstance(key, ScalarNode) and key.value.startswith(f"{name}-")]
        if taken:
            reader.at(
                key,
                f"service {key.value!r}: what begins with {taken[0]}- is named by Strimzi, after the cluster "
                f"{taken[0]}; rename one of them",
            )


def _environments(
    reader: NodeReader, sections: Mapping[str, Node]
) -> Iterator[tuple[str, Environment | None]]:
    """Each environment, None where it is at fault: topics may still name it without a second complaint."""
    for name, entry in _entries(reader, sections, "environments").items():
        yield name, _environment(reader, name, entry)


def _keys(
    reader: NodeReader, entry: Entry, where: str, *, allowed: Sequence[str], required: Sequence[str]
) -> Mapping[str, Node]:
    return (
        reader.mapping(entry.value, where, allowed=allowed, required=required, name=entry.name) or _NO_NODES
    )


def _environment(reader: NodeReader, name: str, entry: Entry) -> Environment | None:
    where = f"environment {name}"
    keys = _keys(reader, entry, where, allowed=(*ENVIRONMENT_KEYS, "cluster"), required=ENVIRONMENT_KEYS)
    read = {key: reader.positive(keys[key], f"{key} of {where}") for key in COUNT_KEYS if key in keys}
    counts = {key: count for key, count in read.items() if count is not None}
    for lower, upper in (("replication_factor", "brokers"), ("min_insync_replicas", "replication_factor")):
        if lower in counts and upper in counts and counts[lower] > counts[upper]:
            reader.at(keys[lower], f"{where}: {lower} {counts[lower]} is above its {upper} {counts[upper]}")
    deployment = _choice(reader, keys, "deployment", where, allowed=get_args(Deployment))
    compression = _choice(reader, keys, "compression", where, allowed=get_args(Compression))
    cluster = read_cluster(reader, keys, name=name, counts=counts)
    if deployment is None or compression is None or len(counts) < len(COUNT_KEYS):
        return None
    return Environment(
        name=name,
        deployment=cast("Deployment", deployment),
        compression=cast("Compression", compression),
        retention_ms=counts.pop("retention_days") * MS_PER_DAY,
        cluster=cluster,
        **counts,
    )


def _choice(
    reader: NodeReader, keys: Mapping[str, Node], key: str, where: str, *, allowed: tuple[str, ...]
) -> str | None:
    return reader.choice(keys[key], f"{key} of {where}", allowed) if key in keys else None


class _Topics:
    """Reads the topics against the services and environments that the same file declares."""

    def __init__(
        self,
        reader: NodeReader,
        services: Mapping[ServiceName, Service],
        environments: Mapping[str, Environment | None],
    ) -> None:
        self._reader = reader
        self._services = services
        self._environments = environments

    def read(self, sections: Mapping[str, Node]) -> Iterator[tuple[TopicName, Topic]]:
        for name, entry in _entries(self._reader, sections, "topics").items():
            if not TOPIC_PATTERN.fullmatch(name):
                self._reader.at(
                    entry.name, f"topic {name!r} is not {{domain}}.{{entity}}.{{action}} in lower case"
                )
            elif len(name) > TOPIC_CHARACTERS_MAX:
                self._reader.at(
                    entry.name,
                    f"topic {name!r} has {len(name)} characters; Kafka takes {TOPIC_CHARACTERS_MAX}",
                )
            topic = self._topic(TopicName(name), entry)
            if topic is not None:
                yield topic.name, topic

    def _topic(self, name: TopicName, entry: Entry) -> Topic | None:
        keys = _keys(
            self._reader, entry, f"topic {name}", allowed=TOPIC_KEYS, required=("publisher", "consumers")
        )
        publisher = self._publisher(keys["publisher"], f"topic {name}") if "publisher" in keys else None
        consumers = (
            self._consumers(keys["consumers"], f"consumers of topic {name}") if "consumers" in keys else ()
        )
        groups = self._groups(keys["groups"], name, consumers) if "groups" in keys else consumers
        partitions = self._partitions(keys.get("partitions"), f"partitions of topic {name}")
        if publisher is None:
            return None
        return Topic(
            name=name, publisher=publisher, consumers=consumers, groups=groups, partitions=partitions
        )

    def _groups(
        self, node: Node, topic: TopicName, consumers: tuple[ServiceName, ...]
    ) -> tuple[ServiceName, ...]:
        where = f"groups of topic {topic}"
        groups = self._consumers(node, where)
        for name in groups:
            if name not in consumers:
                self._reader.at(node, f"{where}: {name} is not one of its consumers")
        return groups

    def _publisher(self, node: Node, where: str) -> ServiceName | None:
        if isinstance(node, SequenceNode):
            self._reader.at(
                node, f"{where} has {len(node.value)} publishers; a topic has exactly one, written as a name"
            )
            return None
        return self._service(node, f"publisher of {where}")

    def _consumers(self, node: Node, where: str) -> tuple[ServiceName, ...]:
        if isinstance(node, ScalarNode) and node.value == ALL_SERVICES:
            return tuple(self._services)
        if not isinstance(node, SequenceNode) or not node.value:
            self._reader.at(node, f"{where} must be a list of at least one service, or `{ALL_SERVICES}`")
            return ()
        found: list[ServiceName] = []
        for item in node.value:
            name = self._service(item, where)
            if name in found:
                self._reader.at(item, f"{where}: {name} is named twice")
            elif name is not None:
                found.append(name)
        return tuple(found)

    def _partitions(self, node: Node | None, where: str) -> Mapping[str, int]:
        counts = {name: env.default_partitions for name, env in self._environments.items() if env is not None}
        if node is not None:
            given = self._reader.mapping(node, where, allowed=tuple(self._environments)) or _NO_NODES
            for name, count_node in given.items():
                count = self._reader.positive(count_node, f"{where} in {name}")
                if count is not None:
                    counts[name] = count
        return MappingProxyType(counts)

    def _service(self, node: Node, where: str) -> ServiceName | None:
        name = self._reader.text(node, where)
        if name is None or name in self._services:
            return ServiceName(name) if name is not None else None
        self._reader.at(node, f"{where}: unknown service {name!r}{near(name, self._services)}")
        return None
