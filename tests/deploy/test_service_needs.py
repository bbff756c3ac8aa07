"""How many pods a service may have: never more than have work, and one where files are not shared."""

from dataclasses import replace

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.service_needs import NEEDS, Replicas, replicas
from trunkline.services import runnable
from trunkline.testing.clusters import a_cluster

CATALOGUE = load_catalogue()


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        # tenant 6, query 6, ai 6
        ("billing-service", Replicas(2, 18)),
        # tenant 6, pipeline 3, quality 3, usage 3
        ("notification-service", Replicas(2, 15)),
        # ml 3, policy 3
        ("catalog-service", Replicas(2, 6)),
        ("data-quality-service", Replicas(2, 6)),
        ("governance-service", Replicas(2, 3)),
        ("config-service", Replicas(2, 3)),
        # They read without a group: nothing to share, nothing to scale by.
        ("tenant-service", Replicas(2, 2)),
        ("iam-service", Replicas(2, 2)),
        ("ml-service", Replicas(2, 2)),
        # Files of their own.
        ("audit-service", Replicas(1, 1)),
        ("query-engine", Replicas(1, 1)),
    ],
)
def test_a_group_has_at_most_a_pod_for_each_partition_that_it_shares(
    service: str, expected: Replicas
) -> None:
    assert replicas(CATALOGUE, "production", a_cluster(), service) == expected


def test_there_are_no_more_than_partitions_whatever_the_settings_say() -> None:
    cluster = a_cluster(services=replace(a_cluster().services, replicas=50))
    assert replicas(CATALOGUE, "production", cluster, "config-service") == Replicas(3, 3)


def test_needs_are_of_services_that_exist() -> None:
    assert set(NEEDS) <= set(CATALOGUE.services)
    for service in NEEDS:
        assert runnable(service)
