"""Settings and a contract to render with, where a test is not about those of the packaged catalogue."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from trunkline.catalogue.cluster import (
    KAFKA_VERSION,
    METADATA_VERSION,
    Authentication,
    Cluster,
    Machine,
    ServicePods,
    Storage,
)
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Catalogue, Service
from trunkline.catalogue.names import ServiceName, TopicName

REPORTS: Final = ServiceName("report-service")
"""A service that somebody has added to the contract, and that no version of ours runs."""


def with_reports() -> Catalogue:
    """The packaged catalogue with `REPORTS`, which reads ai.agent.events in a group."""
    packaged = load_catalogue()
    topic = packaged.topic("ai.agent.events")
    reading = replace(topic, consumers=(*topic.consumers, REPORTS), groups=(*topic.groups, REPORTS))
    return replace(
        packaged,
        services=MappingProxyType({**packaged.services, REPORTS: Service(REPORTS, "Report Service")}),
        topics=MappingProxyType({**packaged.topics, TopicName(topic.name): reading}),
    )


def a_cluster(**changes: Any) -> Cluster:
    """Three brokers in namespaces of their own, with certificates; `changes` by the names of its fields."""
    return replace(
        Cluster(
            name="backbone",
            namespace="kafka",
            services_namespace="services",
            monitoring_namespace="monitoring",
            kafka_version=KAFKA_VERSION,
            metadata_version=METADATA_VERSION,
            controllers=3,
            broker=Machine(cpu="2", memory="8Gi", heap="3Gi"),
            broker_storage=Storage(size="200Gi", storage_class="fast"),
            controller=Machine(cpu="500m", memory="2Gi", heap="1Gi"),
            controller_storage=Storage(size="10Gi"),
            rack_key="topology.kubernetes.io/zone",
            cruise_control=True,
            authentication=Authentication.TLS,
            quota=None,
            services=ServicePods(
                image="trunkline-services:1.0.0", replicas=2, machine=Machine(cpu="250m", memory="512Mi")
            ),
        ),
        **changes,
    )
