"""What a publisher counts."""

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.client.config import ConnectionOptions
from trunkline.client.errors import DeliveryRejected
from trunkline.client.publisher import Publisher

TOPIC = "query.execution.events"
SERVICE = {"service": "query-engine"}


def test_outcomes_are_counted_by_topic_and_their_time_is_measured(
    connection: ConnectionOptions, catalogue: Catalogue, event: Event, unique: Callable[[str], str]
) -> None:
    registry = CollectorRegistry()
    with Publisher(
        service="query-engine", connection=connection, catalogue=catalogue, registry=registry
    ) as publisher:
        for _ in range(250):
            publisher.publish(event, tenant=unique("tenant"))
        assert publisher.flush(10) == 0
        events = registry.get_sample_value(
            "trunkline_publisher_events_total", {**SERVICE, "topic": TOPIC, "outcome": "delivered"}
        )
        assert events == 250
        name = "trunkline_publisher_acknowledgement_seconds"
        assert registry.get_sample_value(f"{name}_count", SERVICE) == 250
        assert registry.get_sample_value(f"{name}_bucket", {**SERVICE, "le": "30.0"}) == 250
        assert (registry.get_sample_value(f"{name}_sum", SERVICE) or 0) > 0
        assert registry.get_sample_value("trunkline_publisher_waiting_events", SERVICE) == 0
        assert registry.get_sample_value("trunkline_publisher_held_lanes", SERVICE) == 0


def test_what_waits_and_what_was_rejected_is_told_apart_and_nothing_is_left_after_closing(
    catalogue: Catalogue, event: Event
) -> None:
    registry = CollectorRegistry()
    nowhere = ConnectionOptions(bootstrap_servers="127.0.0.1:1")
    publisher = Publisher(service="query-engine", connection=nowhere, catalogue=catalogue, registry=registry)
    delivery = publisher.publish(event, tenant="acme")
    assert registry.get_sample_value("trunkline_publisher_waiting_events", SERVICE) == 1
    publisher.close(0.01)
    with pytest.raises(DeliveryRejected):
        delivery.result(0)
    publisher.close()
    assert list(registry.collect()) == []
    # Its name is free again.
    Publisher(service="query-engine", connection=nowhere, catalogue=catalogue, registry=registry).close(0.01)
