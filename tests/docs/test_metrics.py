"""The metrics that code has, that the page lists, and that the alerts name are the same."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from trunkline.cli._certificate import expiry_gauge
from trunkline.client.broadcast.metrics import BroadcastMetrics
from trunkline.client.exporter import FAMILIES
from trunkline.client.metrics import ConsumerMetrics
from trunkline.client.outbox.metrics import RelayMetrics
from trunkline.client.publisher_metrics import PublisherMetrics, Standing
from trunkline.services.kit.api.metrics import ApiMetrics

DOCS = Path(__file__).parents[2] / "docs"
NAME = re.compile(r"\b(?:kafka|trunkline)_[a-z_]+")


class Idle:
    def standing(self) -> Standing:
        return Standing(0, 0)


def listed() -> set[str]:
    page = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([a-z_]+)` \| (?:gauge|counter|histogram) \|", page, re.M))


def test_every_metric_is_in_the_page() -> None:
    registry = CollectorRegistry()
    ConsumerMetrics(registry, "a-group")
    RelayMetrics(registry, "a-service")
    PublisherMetrics(registry, "a-service", Idle())
    ApiMetrics(registry)
    expiry_gauge(registry)
    BroadcastMetrics(registry, stale=lambda: False, unconfirmed_seconds=lambda: 0.0, entries=lambda: 0)
    counted = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in registry.collect()
    }
    assert counted | {family.name for family in FAMILIES} == listed()


def test_alerts_name_metrics_that_exist() -> None:
    page = (DOCS / "how-to" / "observe.md").read_text(encoding="utf-8")
    named = {name for line in page.splitlines() if "expr:" in line for name in NAME.findall(line)}
    assert len(named) > 5
    assert named - listed() == set()
