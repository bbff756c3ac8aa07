"""A cluster that Kubernetes, Strimzi or Kafka would refuse later, or cut down in silence, is refused here."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from trunkline.catalogue.cluster import Authentication, Machine, Storage
from trunkline.catalogue.load import load_catalogue, parse_catalogue
from trunkline.catalogue.problems import CatalogueError
from trunkline.catalogue.snapshot import take_snapshot
from trunkline.errors import InvalidInput

GOOD = """\
services:
  a-service: {title: A}
environments:
  production:
    deployment: strimzi
    brokers: 3
    replication_factor: 3
    min_insync_replicas: 2
    retention_days: 30
    compression: snappy
    max_message_bytes: 1048588
    default_partitions: 6
    cluster:
      name: backbone
      namespace: kafka
      monitoring_namespace: monitoring
      authentication: scram-sha-512
      controllers: 3
      cruise_control: true
      rack: topology.kubernetes.io/zone
      broker: {cpu: 2, memory: 8Gi, heap: 2g, disk: 100Gi, storage_class: fast.ssd}
      controller: {cpu: 500m, memory: 2Gi, heap: 512m, disk: 10Gi}
      quota: {producer_byte_rate: 2000000, consumer_byte_rate: 2000000, request_percentage: 50}
      services: {image: "registry.example/a/b:1.2", replicas: 2, cpu: 0.25, memory: 512Mi}
      config:
        num.io.threads: 8
        log.cleaner.min.cleanable.ratio: 0.5
        auto.leader.rebalance.enable: true
topics:
  one.two.three:
    publisher: a-service
    consumers: all
"""

OF = "the cluster of production"
NAME = (
    "is not at most 47 lower-case letters, digits and hyphens that begin with a letter; Strimzi names "
    "Services after it"
)
NAMESPACE = "is not a namespace: at most 63 lower-case letters, digits and hyphens"
CPUS = "is not an amount of CPUs, such as 500m or 2"
SIZE = "is not a size as Kubernetes writes it, such as 512Mi or 8Gi"
HEAP = "is not a heap as the JVM takes it, such as 512m or 2g"
CONFIG = f"config of {OF}"
FOLLOWS = "follows from replication_factor; remove it and change that"
DROPPED = "is ruled by Strimzi, which would drop it without a word; remove it"
IMAGE = "is not an image with a version: NAME:TAG other than latest, or NAME@sha256:DIGEST"


def heap_fault(heap: str, memory: str) -> str:
    return f"a heap of {heap} is more than three quarters of {memory} and leaves the JVM itself too little"


OTHERS_NAMESPACES = {
    "monitoring": "Prometheus",
    "keda": "KEDA",
    "default": "Kubernetes",
    "kube-system": "Kubernetes",
}

CORPUS: list[tuple[str, str, str]] = [
    # Unknown and missing keys, which would be ignored.
    ("rack: topology", "racks: topology", f"{OF} has an unknown key 'racks'; did you mean rack?"),
    ("heap: 2g", "heap: 2g, hepa: 2g", f"broker of {OF} has an unknown key 'hepa'; did you mean heap?"),
    ("      namespace: kafka\n", "", f"{OF} has no namespace"),
    (", request_percentage: 50", "", f"quota of {OF} has no request_percentage"),
    ("controllers: 3", "controllers: 3\n      controllers: 3", f"{OF} has 'controllers' twice"),
    # Names.
    ("name: backbone", "name: Backbone", f"name of {OF}: 'Backbone' {NAME}"),
    ("name: backbone", "name: 3backbone", f"name of {OF}: '3backbone' {NAME}"),
    ("name: backbone", "name: back.bone", f"name of {OF}: 'back.bone' {NAME}"),
    ("name: backbone", f"name: {'b' * 48}", f"name of {OF}: '{'b' * 48}' {NAME}"),
    ("namespace: kafka", "namespace: kafka_1", f"namespace of {OF}: 'kafka_1' {NAMESPACE}"),
    ("namespace: monitoring", f"namespace: {'m' * 64}",
     f"monitoring_namespace of {OF}: '{'m' * 64}' {NAMESPACE}"),
    *(("namespace: kafka", f"namespace: kafka\n      services_namespace: {name}",
       f"{OF}: the services cannot be in {name}, which {whose} has for its own; give them a namespace such "
       "as trunkline-services, or remove the key to have them beside the brokers")
      for name, whose in OTHERS_NAMESPACES.items()),
    ("rack: topology.kubernetes.io/zone", "rack: a/b/c",
     f"rack of {OF}: 'a/b/c' is not a node's label, such as topology.kubernetes.io/zone"),
    ("fast.ssd", "Fast_SSD",
     f"storage_class of broker of {OF}: 'Fast_SSD' is not the name of a StorageClass"),
    ("a-service: {title: A}", f"a-service: {{title: A}}\n  {'b' * 64}: {{title: B}}",
     f"service '{'b' * 64}' has 64 characters; names in Kubernetes have 63 at most"),
    *(("a-service: {title: A}", f"a-service: {{title: A}}\n  {name}: {{title: B}}",
       f"service '{name}' would have the rights of Trunkline's own {name}; rename it")
      for name in ("trunkline-exporter", "trunkline-operator")),
    ("a-service: {title: A}", "a-service: {title: A}\n  backbone-cruise-control: {title: B}",
     "service 'backbone-cruise-control': what begins with backbone- is named by Strimzi, after the cluster "
     "backbone; rename one of them"),
    ("name: backbone", "name: a",
     "service 'a-service': what begins with a- is named by Strimzi, after the cluster a; rename one of them"),
    ("one.two.three", f"one.two.{'t' * 242}",
     f"topic 'one.two.{'t' * 242}' has 250 characters; Kafka takes 249"),
    # Numbers of nodes and replicas.
    ("replication_factor: 3", "replication_factor: 4",
     "environment production: replication_factor 4 is above its brokers 3"),
    ("min_insync_replicas: 2", "min_insync_replicas: 4",
     "environment production: min_insync_replicas 4 is above its replication_factor 3"),
    ("min_insync_replicas: 2", "min_insync_replicas: 3",
     "environment production: with min_insync_replicas 3 of 3 replicas nothing can be published while one "
     "broker restarts, and Strimzi never restarts one to update it"),
    ("controllers: 3", "controllers: 4",
     f"{OF}: a quorum of 4 controllers survives no more failures than one of 3; make it odd"),
    ("controllers: 3", "controllers: 2",
     f"{OF}: a quorum of 2 controllers survives no more failures than one of 1; make it odd"),
    ("controllers: 3", "controllers: -1", f"controllers of {OF} must be at least 0, not -1"),
    ("controllers: 3", "controllers: many", f"controllers of {OF} must be a whole number, not 'many'"),
    ("controllers: 3", "controllers: 0",
     f"{OF}: with controllers 0 the brokers are controllers as well; remove controller"),
    ("      controller: {cpu: 500m, memory: 2Gi, heap: 512m, disk: 10Gi}\n", "",
     f"{OF}: 3 controllers need a `controller:` with their machine and disk"),
    ("brokers: 3\n    replication_factor: 3\n    min_insync_replicas: 2",
     "brokers: 1\n    replication_factor: 1\n    min_insync_replicas: 1",
     f"{OF}: Cruise Control needs at least 2 brokers to move anything between"),
    ("deployment: strimzi", "deployment: embedded",
     "environment production has a cluster and `deployment: embedded`; remove one of them"),
    # Words and versions.
    ("cruise_control: true", "cruise_control: yes", f"cruise_control of {OF} must be true or false"),
    ("scram-sha-512", "oauth", f"authentication of {OF} is unknown: 'oauth'; known are tls, scram-sha-512"),
    ("rack:", "kafka_version: 4.4.0\n      rack:",
     f"kafka_version of {OF} is unknown: '4.4.0'; did you mean 4.3.0 or 4.2.0 or 4.3.1?"),
    ("rack:", "kafka_version: 4.2.1\n      metadata_version: 4.3-IV0\n      rack:",
     f"{OF}: Kafka 4.2.1 writes metadata 4.2-IV1 at the newest, not 4.3-IV0"),
    ("b:1.2", "b", f"image of services of {OF}: 'registry.example/a/b' {IMAGE}"),
    ("b:1.2", "b:latest", f"image of services of {OF}: 'registry.example/a/b:latest' {IMAGE}"),
    # Sizes.
    ("cpu: 2,", "cpu: two,", f"cpu of broker of {OF}: 'two' {CPUS}"),
    ("cpu: 2,", "cpu: 0,", f"cpu of broker of {OF}: '0' {CPUS}"),
    ("cpu: 2,", "cpu: 2Gi,", f"cpu of broker of {OF}: '2Gi' {CPUS}"),
    ("memory: 8Gi", "memory: 8GB", f"memory of broker of {OF}: '8GB' {SIZE}"),
    ("memory: 512Mi", "memory: 512m", f"memory of services of {OF}: '512m' {SIZE}"),
    ("disk: 100Gi", "disk: [100Gi]", f"disk of broker of {OF}: '' {SIZE}"),
    ("heap: 2g", "heap: 2Gi", f"heap of broker of {OF}: '2Gi' {HEAP}"),
    # Slips of a unit.
    ("heap: 2g", "heap: 7g", f"broker of {OF}: {heap_fault('7g', '8Gi')}; give it 6144m at most"),
    ("heap: 2g", "heap: 512g", f"broker of {OF}: {heap_fault('512g', '8Gi')}; did you mean 512m?"),
    ("heap: 512m", "heap: 2g", f"controller of {OF}: {heap_fault('2g', '2Gi')}; give it 1536m at most"),
    ("heap: 2g", "heap: 2m", f"broker of {OF}: a heap of 2m is less than 64m; did you mean 2g?"),
    ("memory: 8Gi", "memory: 8", f"broker of {OF}: a memory of 8 is less than 64Mi; did you mean 8Gi?"),
    ("memory: 8Gi", "memory: 8Mi", f"broker of {OF}: a memory of 8Mi is less than 64Mi; did you mean 8Gi?"),
    ("memory: 512Mi", "memory: 512",
     f"services of {OF}: a memory of 512 is less than 64Mi; did you mean 512Mi?"),
    ("memory: 512Mi", "memory: 512k",
     f"services of {OF}: a memory of 512k is less than 64Mi; did you mean 512Mi?"),
    ("disk: 100Gi", "disk: 100", f"broker of {OF}: a disk of 100 is less than 1Gi; did you mean 100Gi?"),
    ("disk: 100Gi", "disk: 100Mi", f"broker of {OF}: a disk of 100Mi is less than 1Gi; did you mean 100Gi?"),
    ("disk: 10Gi", "disk: 0.5Gi", f"controller of {OF}: a disk of 0.5Gi is less than 1Gi"),
    ("cpu: 0.25", "cpu: 250",
     f"services of {OF}: a cpu of 250 is more than 128 cores; did you mean 250m?"),
    ("cpu: 2,", "cpu: 200000m,", f"broker of {OF}: a cpu of 200000m is more than 128 cores"),
    ("producer_byte_rate: 2000000", "producer_byte_rate: 0",
     f"producer_byte_rate of quota of {OF} must be at least 1, not 0"),
    ("producer_byte_rate: 2000000", "producer_byte_rate: 20000",
     f"quota of {OF}: producer_byte_rate 20000 is below max_message_bytes 1048588: one message would have a "
     "service throttled for seconds; raise it"),
    ("consumer_byte_rate: 2000000", "consumer_byte_rate: 1048587",
     f"quota of {OF}: consumer_byte_rate 1048587 is below max_message_bytes 1048588: one message would have "
     "a service throttled for seconds; raise it"),
    # Broker settings.
    ("num.io.threads: 8", "listeners: PLAINTEXT://:9092",
     f"{CONFIG}: listeners {DROPPED}"),
    ("num.io.threads: 8", "ssl.keystore.location: /tmp/x",
     f"{CONFIG}: ssl.keystore.location {DROPPED}"),
    ("num.io.threads: 8", "allow.everyone.if.no.acl.found: true",
     f"{CONFIG}: allow.everyone.if.no.acl.found must be false: a topic without rights would be open to "
     "all"),
    ("num.io.threads: 8", "num.io.thread: 8",
     f"{CONFIG}: num.io.thread is not a setting of a Kafka broker, which would ignore it; did you mean "
     "num.io.threads?"),
    ("num.io.threads: 8", "num.io.threads: eight",
     f"{CONFIG}: num.io.threads must be a whole number, not 'eight'"),
    ("num.io.threads: 8", "num.io.threads: 0", f"{CONFIG}: num.io.threads must be at least 1, not 0"),
    ("num.io.threads: 8", "num.io.threads: 2147483648",
     f"{CONFIG}: num.io.threads must be at most 2147483647, not 2147483648"),
    ("num.io.threads: 8", "num.io.threads: [8]",
     f"num.io.threads in config of {OF} must be a number, true, false or a text"),
    ("auto.leader.rebalance.enable: true", "auto.leader.rebalance.enable: 1",
     f"{CONFIG}: auto.leader.rebalance.enable must be true or false, not 1"),
    ("num.io.threads: 8", "log.message.timestamp.type: createtime",
     f"{CONFIG}: log.message.timestamp.type must be one of CreateTime, LogAppendTime, not 'createtime'"),
    ("num.io.threads: 8", "log.retention.hours: 24",
     f"{CONFIG}: log.retention.hours follows from retention_days; remove it and change that"),
    ("num.io.threads: 8", "offsets.topic.replication.factor: 5",
     f"{CONFIG}: offsets.topic.replication.factor {FOLLOWS}"),
    ("num.io.threads: 8", "transaction.state.log.replication.factor: 5",
     f"{CONFIG}: transaction.state.log.replication.factor {FOLLOWS}"),
    ("num.io.threads: 8", "log.retention.bytes: 1000",
     f"{CONFIG}: log.retention.bytes cannot be set: a bound on bytes deletes events before their "
     "retention_days are over"),
    ("num.io.threads: 8", "offsets.retention.minutes: 60",
     f"{CONFIG}: offsets.retention.minutes follows from retention_days; remove it and change that"),
    ("num.io.threads: 8", "client.quota.callback.class: com.example.None",
     f"{CONFIG}: client.quota.callback.class cannot be set: it takes the place of Kafka's own, and every "
     "`quota` would be off"),
    ("num.io.threads: 8", "create.topic.policy.class.name: com.example.Own",
     f"{CONFIG}: create.topic.policy.class.name cannot be set: Strimzi's image has no class for it, and no "
     "broker would start"),
    ("num.io.threads: 8", "metric.reporters: com.example.Own",
     f"{CONFIG}: metric.reporters cannot be set: Strimzi's image has its own reporter only, and adds it "
     "itself"),
    ("num.io.threads: 8", "remote.log.storage.system.enable: true",
     f"{CONFIG}: remote.log.storage.system.enable cannot be set: tiered storage needs a plugin, and "
     "Strimzi's image has none"),
    ("num.io.threads: 8", "unclean.leader.election.enable: true",
     f"{CONFIG}: unclean.leader.election.enable cannot be set: acknowledged events would be lost"),
    ("num.io.threads: 8", "delegation.token.secret.key: hush",
     f"{CONFIG}: delegation.token.secret.key is a secret and does not belong in a catalogue"),
    ("config:\n        num.io.threads: 8\n        log.cleaner.min.cleanable.ratio: 0.5\n"
     "        auto.leader.rebalance.enable: true\n", "config: 8\n",
     f"{CONFIG} must be a mapping of broker settings"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "told"), CORPUS, ids=[told for _, _, told in CORPUS])
def test_a_broken_catalogue_is_refused_with_one_sentence(old: str, new: str, told: str) -> None:
    assert GOOD.count(old) >= 1
    broken = GOOD.replace(old, new, 1)
    with pytest.raises(CatalogueError) as refused:
        parse_catalogue(broken, file="contract.yaml")
    assert [problem.message for problem in refused.value.problems] == [told]


def test_a_problem_is_told_at_its_line() -> None:
    broken = GOOD.replace("num.io.threads: 8", "listeners: x").replace("memory: 8Gi", "memory: 8GB")
    with pytest.raises(CatalogueError) as refused:
        parse_catalogue(broken, file="contract.yaml")
    lines = broken.splitlines()
    assert [re.split(r"[:,]", lines[problem.line - 1].strip())[0] for problem in refused.value.problems] == [
        "broker",
        "listeners",
    ]


def test_the_section_is_read_whole() -> None:
    cluster = parse_catalogue(GOOD, file="contract.yaml").cluster("production")
    assert (cluster.name, cluster.namespace, cluster.monitoring_namespace) == (
        "backbone",
        "kafka",
        "monitoring",
    )
    assert cluster.authentication is Authentication.SCRAM
    assert (cluster.controllers, cluster.cruise_control, cluster.rack_key) == (
        3,
        True,
        "topology.kubernetes.io/zone",
    )
    assert cluster.broker == Machine(cpu="2", memory="8Gi", heap="2g")
    assert cluster.broker_storage == Storage(size="100Gi", storage_class="fast.ssd")
    assert cluster.controller == Machine(cpu="500m", memory="2Gi", heap="512m")
    assert cluster.controller_storage == Storage(size="10Gi")
    assert cluster.quota is not None
    assert cluster.quota.request_percentage == 50
    assert cluster.services.machine == Machine(cpu="0.25", memory="512Mi")
    assert cluster.config == {
        "num.io.threads": 8,
        "log.cleaner.min.cleanable.ratio": "0.5",
        "auto.leader.rebalance.enable": True,
    }


def test_services_are_beside_the_brokers_unless_the_catalogue_says_otherwise() -> None:
    assert parse_catalogue(GOOD, file="x").cluster("production").services_namespace == "kafka"
    apart = GOOD.replace("namespace: kafka", "namespace: kafka\n      services_namespace: platform")
    assert parse_catalogue(apart, file="x").cluster("production").services_namespace == "platform"


def test_the_newest_versions_are_taken_unless_the_catalogue_names_others() -> None:
    cluster = parse_catalogue(GOOD, file="x").cluster("production")
    assert (cluster.kafka_version, cluster.metadata_version) == ("4.3.1", "4.3-IV0")
    older = GOOD.replace("rack:", "kafka_version: 4.2.1\n      rack:")
    cluster = parse_catalogue(older, file="x").cluster("production")
    assert (cluster.kafka_version, cluster.metadata_version) == ("4.2.1", "4.2-IV1")
    upgrading = GOOD.replace("rack:", "metadata_version: 4.2-IV1\n      rack:")
    cluster = parse_catalogue(upgrading, file="x").cluster("production")
    assert (cluster.kafka_version, cluster.metadata_version) == ("4.3.1", "4.2-IV1")


def test_an_environment_without_the_section_has_no_cluster() -> None:
    without = GOOD[: GOOD.index("    cluster:")] + GOOD[GOOD.index("topics:") :]
    catalogue = parse_catalogue(without, file="x")
    assert catalogue.clusters == {}
    with pytest.raises(InvalidInput, match="environment 'production' has no `cluster:` in the catalogue"):
        catalogue.cluster("production")


def recorded(text: str) -> Any:
    return take_snapshot(parse_catalogue(text, file="x"), {}).environments["production"].get("cluster")


def test_the_snapshot_has_what_can_never_be_changed_in_place_and_no_more() -> None:
    assert recorded(GOOD) == {"name": "backbone", "namespace": "kafka", "quorum": "3 x controller"}
    larger = GOOD.replace("memory: 8Gi", "memory: 16Gi").replace("num.io.threads: 8", "num.io.threads: 9")
    assert recorded(larger) == recorded(GOOD)
    without = GOOD[: GOOD.index("    cluster:")] + GOOD[GOOD.index("topics:") :]
    assert recorded(without) is None


def test_without_controllers_the_brokers_are_the_quorum() -> None:
    start, end = GOOD.index("      controller: {"), GOOD.index("      quota:")
    together = (GOOD[:start] + GOOD[end:]).replace("controllers: 3", "controllers: 0")
    assert recorded(together)["quorum"] == "3 x broker,controller"


def test_an_even_number_of_brokers_that_are_controllers_is_refused() -> None:
    start, end = GOOD.index("      controller: {"), GOOD.index("      quota:")
    together = (GOOD[:start] + GOOD[end:]).replace("controllers: 3", "controllers: 0")
    with pytest.raises(CatalogueError) as refused:
        parse_catalogue(together.replace("brokers: 3", "brokers: 4"), file="x")
    assert [problem.message for problem in refused.value.problems] == [
        f"{OF}: a quorum of 4 brokers that are controllers as well survives no more failures than one of 3; "
        "make it odd"
    ]


def test_the_packaged_catalogue_has_a_cluster_for_each_environment() -> None:
    catalogue = load_catalogue()
    assert catalogue.clusters.keys() == catalogue.environments.keys() == {"development", "production"}
    assert catalogue.cluster("development").cruise_control is False
    assert catalogue.cluster("production").cruise_control is True


def test_the_packaged_catalogue_names_the_image_of_this_version() -> None:
    root = Path(__file__).parents[2]
    version = re.search(r'^version = "(.+)"$', (root / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    images = {cluster.services.image for cluster in load_catalogue().clusters.values()}
    assert images == {f"trunkline-services:{version[1]}"}


def test_the_good_example_is_yaml_that_anyone_reads_alike() -> None:
    assert yaml.safe_load(GOOD)["environments"]["production"]["cluster"]["controllers"] == 3
