"""What single services need of their pods beyond what all of them do, and how many pods each may have.

Instances of a service share their work on one PostgreSQL: tenants of the outbox, deliveries, months to close,
heartbeats, tenants to delete and planned settings are each taken by one instance in a transaction. What two
services keep in files is not shared, and these run as one pod.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import ServiceName

RUNNABLE: Final = frozenset(
    {
        "ai-service",
        "audit-service",
        "billing-service",
        "catalog-service",
        "config-service",
        "data-quality-service",
        "governance-service",
        "iam-service",
        "ml-service",
        "notification-service",
        "pipeline-service",
        "query-engine",
        "tenant-service",
    }
)
"""What `trunkline service` runs: as in `trunkline.services`, whose code no manifest follows from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What a service keeps on a volume: its size, and why it may not be lost."""

    size: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Of one service. `files` make it a single pod; `memory_max` is what it may take for a while, where that
    is more than the settings' machine.

    `ports` are TCP ports to anywhere; `is_public` opens HTTP and HTTPS to public addresses. `reads_secrets`
    is for a service whose configuration may name files that hold credentials for other systems.
    """

    files: Files | None = None
    memory_max: str | None = None
    ports: tuple[int, ...] = ()
    is_public: bool = False
    reads_secrets: bool = False


NEEDS: Final[Mapping[str, Needs]] = {
    "audit-service": Needs(
        files=Files(
            size="10Gi",
            why="Signed checkpoints, their register and the signing key: kept apart from the database, "
            "so that whoever changes that cannot change them.",
        )
    ),
    "config-service": Needs(ports=(6379,), reads_secrets=True),
    "notification-service": Needs(ports=(25, 465, 587), is_public=True, reads_secrets=True),
    "query-engine": Needs(
        files=Files(size="50Gi", why="The tenants' DuckDB databases, which one process at a time has open."),
        # Queries of one tenant may take 512 MB together; this is room for six tenants at once.
        memory_max="4Gi",
    ),
}
NOTHING_MORE: Final = Needs()


def runnable(catalogue: Catalogue) -> tuple[ServiceName, ...]:
    """The services that have pods, in the catalogue's order. Any other one has its rights, and is deployed by
    whoever wrote it: a pod of ours could only exit."""
    return tuple(name for name in catalogue.services if name in RUNNABLE)


def needs(service: str) -> Needs:
    """What the service needs beyond what all do."""
    return NEEDS.get(service, NOTHING_MORE)


@dataclass(frozen=True, slots=True)
class Replicas:
    """The fewest and the most pods that a service may have at once."""

    least: int
    most: int

    @property
    def are_scaled(self) -> bool:
        """Whether there is anything to decide."""
        return self.least < self.most


def replicas(catalogue: Catalogue, environment: str, cluster: Cluster, service: str) -> Replicas:
    """How many pods: one where files are not shared, as many as the settings say where none reads in a group,
    and never more than the partitions of the topics that the group shares: another one would get none."""
    if needs(service).files is not None:
        return Replicas(1, 1)
    shared = sum(catalogue.partitions(topic.name, environment) for topic in catalogue.shared_by(service))
    if not shared:
        return Replicas(cluster.services.replicas, cluster.services.replicas)
    return Replicas(min(cluster.services.replicas, shared), shared)


def is_any_scaled(catalogue: Catalogue, environment: str, cluster: Cluster) -> bool:
    """Whether there is anything to decide for any service, and so whether KEDA is needed."""
    return any(replicas(catalogue, environment, cluster, name).are_scaled for name in runnable(catalogue))
