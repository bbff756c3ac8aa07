"""What governance shows of itself."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class GovernanceMetrics:
    """The metrics of one instance. What is stored is counted from the store, with every heartbeat."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.bundles = Gauge(
            "trunkline_governance_bundles", "Tenants that have an active bundle.", registry=registry
        )
        self.quarantined = Gauge(
            "trunkline_governance_quarantined_assets",
            "Assets that readers are kept from, or warned of, by mode.",
            ["mode"],
            registry=registry,
        )
        self.overrides = Gauge(
            "trunkline_governance_overrides",
            "Assets about which a person's word holds instead of their checks.",
            registry=registry,
        )
        self.refused_settings = Gauge(
            "trunkline_governance_refused_settings",
            "Values of the configuration that are not used because they are bad; the API has the reasons.",
            registry=registry,
        )
        self.heartbeats = Counter(
            "trunkline_governance_heartbeats", "Heartbeats that this instance has sent.", registry=registry
        )
        self.snapshots = Counter(
            "trunkline_governance_snapshots", "Bundles that this instance has repeated.", registry=registry
        )
